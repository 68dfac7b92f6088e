"""Both orders hold equal rows, and unequal counts are not compared."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from tests.sizes import slow, thorough
from xstat_ray.benchmarks import order_suite, profile_suite
from xstat_ray.benchmarks.timed import Run
from xstat_ray.errors import XstatError
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.table_check import inspect_order
from xstat_ray.runtime.progress import Progress

WORLD = World(first_day=dt.date(2023, 10, 29), days=1, people=1200, block=400, air=0.6, studied=25)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> order_suite.Sizes:
    """Make a small world, of which every second file is read."""
    folder = tmp_path_factory.mktemp("world")
    build(WORLD, folder, map, lambda _: None)
    return order_suite.Sizes(
        folder, people=1, days=1, part=2, batches_a_day=4, rounds=1, key_bits=2048
    )


@slow
def test_the_same_rows_are_read_in_both_orders(sizes, monkeypatch):
    right = order_suite.run_timed
    looks = []

    def spy(plan: Plan, sources: dict[Role, Source]) -> Run:
        looks.append(inspect_order(plan.study, sources["row"]))
        return right(plan, sources)

    monkeypatch.setattr(order_suite, "run_timed", spy)
    records = order_suite.run(sizes, Progress())
    assert [look.order for look in looks] == ["sorted", "unsorted"]
    (rows,) = {look.rows for look in looks}
    assert records[0].metric == "order.rows" and records[0].value == rows > 0
    assert [record.metric for record in records[1:]] == [
        f"order.{part}.rows_per_s" for part in ("intake", "emit", "all")
    ]
    assert all(record.ratio == record.value / record.baseline > 0 for record in records[1:])


@thorough
def test_an_order_that_changes_the_counts_is_not_reported(sizes, monkeypatch):
    right = order_suite.run_timed
    added = iter(range(9))

    def wrong(*arguments: Any) -> Run:
        run = right(*arguments)
        return replace(run, matches=run.matches + next(added))

    monkeypatch.setattr(order_suite, "run_timed", wrong)
    with pytest.raises(XstatError, match="depend on the order"):
        order_suite.run(sizes, Progress())


@slow
def test_the_profile_counts_the_rows_of_its_part(sizes):
    records = profile_suite.run(profile_suite.Sizes(sizes.tables, 1, 1, 2, 4, 1, 2048), Progress())
    assert records[0].metric == "profile.rows" and records[0].value > 0
