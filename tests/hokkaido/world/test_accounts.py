"""The operator's table of subscribers, its lists, and the register."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow.parquet as pq

from xstat_ray.hokkaido.world.accounts import AGE_WIDTH, register, residents
from xstat_ray.hokkaido.world.people import people_of
from xstat_ray.hokkaido.world.places import places


def test_subscribers_and_lists_are_those_of_the_people(world, built):
    blocks = [people_of(world, block) for block in range(world.blocks)]
    phones = [phone for people in blocks for phone in people.phones(people.subscriber).to_pylist()]
    rows = pq.read_table(built / "operator" / "subscribers.parquet").to_pylist()
    assert [row["subscriber"] for row in rows] == phones
    listed = pq.read_table(built / "operator" / "opt_out.parquet")["subscriber"].to_pylist()
    assert listed == [
        phone for people in blocks for phone in people.phones(people.opt_out).to_pylist()
    ]
    assert set(listed) <= set(phones)
    reasons = {
        row["subscriber"]: row["reason"]
        for row in pq.read_table(built / "operator" / "not_used.parquet").to_pylist()
    }
    for row in rows:
        age = world.first_day.year - row["birth_year"]
        reason = None if 15 <= age <= 79 else "age outside 15-79"
        if row["corporate"]:
            reason = "corporate line"
        assert reasons.get(row["subscriber"]) == reason
        assert row["home"] in set(places().codes)


def test_the_register_counts_everybody_of_the_ages_used(world, built):
    counted: Counter[tuple[str, str, str]] = Counter()
    for number in range(world.blocks):
        people = people_of(world, number)
        for home, male, age in zip(people.home, people.male, people.age, strict=True):
            if 15 <= age <= 79:
                youngest = int(age) // AGE_WIDTH * AGE_WIDTH
                counted[
                    str(places().codes[home]),
                    "male" if male else "female",
                    f"{youngest}-{youngest + 4}",
                ] += 1
    rows = pq.read_table(built / "public" / "register.parquet").to_pylist()
    assert {(row["home"], row["sex"], row["age"]): row["residents"] for row in rows} == counted


def test_registers_of_blocks_add_up(world):
    blocks = [residents(people_of(world, number)) for number in range(world.blocks)]
    total = register(np.sum(blocks, axis=0))
    assert sum(total["residents"].to_pylist()) == sum(int(block.sum()) for block in blocks)
    assert min(total["residents"].to_pylist()) >= 1
