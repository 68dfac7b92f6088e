"""Nobody but the party itself learns that somebody opted out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.adversary.deployments import DEPLOYMENTS, READER, OneProcess, Ran
from tests.adversary.features import shape_of
from tests.adversary.people import NUMBERS, People
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.recorder import RECEIVED
from tests.case import study
from tests.sizes import first, slow, thorough
from xstat_ray.model.study import Role
from xstat_ray.roles import intake

STUDY = study(noise="laplace")
ROLES: tuple[Role, ...] = ("row", "column")


def left_out(role: Role, deployment: OneProcess, folder: Path, listed: bool) -> Ran:
    """Run without a person: one who is in the party's table and list, or in neither of them."""
    tables = People(NUMBERS[:30], NUMBERS[15:45]).tables()
    number = 14 if role == "row" else 25
    gone = tables[role]["id"][number]
    folder.mkdir()
    path = folder / "opted_out.parquet"
    pq.write_table(pa.table({"id": [gone if listed else NUMBERS[100]]}), path)
    if not listed:
        tables[role] = {
            name: values[:number] + values[number + 1 :] for name, values in tables[role].items()
        }
    return deployment.run(STUDY, tables, folder / "run", {role: path}, shards=1)


def seen_by_others(ran: Ran, deployment: OneProcess, role: Role) -> Any:
    """How much the others received of what, and how long the messages in the exchange are."""
    others = {*ROLES, *deployment.counters} - {role}
    received = [
        thing
        for thing in ran.record.of(*others)
        if thing.kind == RECEIVED and isinstance(thing.value, np.ndarray | bytes)
    ]
    files = {
        # Durations have more digits or fewer: they tell what a clock tells.
        thing.name: len(re.sub(rb'"seconds":{[^}]*}', b"", thing.value))
        for thing in ran.record.of(READER)
        if isinstance(thing.value, bytes) and thing.name.endswith(".msg")
    }
    return set(shape_of(received)), files


def difference(deployment: OneProcess, role: Role, folder: Path) -> Any:
    """What differs for others between somebody who opted out and somebody who was never there."""
    # A study keeps its digest once it is asked for: both runs are given one that has it.
    assert len(STUDY.digest) == 32
    seen = [
        seen_by_others(
            left_out(role, deployment, folder / str(int(listed)), listed), deployment, role
        )
        for listed in (True, False)
    ]
    files = {name for name in seen[0][1] if seen[0][1][name] != seen[1][1].get(name)}
    return seen[0][0] ^ seen[1][0], files


@thorough
@pytest.mark.parametrize("role", first(1, ROLES, slow))
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow), ids=lambda made: made.name)
def test_who_opted_out_looks_like_who_was_never_there(deployment, role, tmp_path):
    """Lengths are compared exactly; what is in them is under keys that are fresh in each run."""
    assert difference(deployment, role, tmp_path) == (set(), set())


def nobody(*_arguments: Any) -> intake.LeftOut:
    """An empty list of people to leave out."""
    return intake.LeftOut(pa.array([], pa.string()))


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow), ids=lambda made: made.name)
def test_who_is_left_in_until_later_is_seen(deployment, tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, intake.read_excluded, nobody)
    assert difference(deployment, "column", tmp_path) != (set(), set())
