"""Simulated runs: what must take how long, and what limits it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xstat_ray.benchmarks.simulation import Costs, Layout, Work, simulate

FREE = Costs(call=0, survey=0, row=0, flag=0, match=0, add=0, person=0, serial=0)
WORK = Work(batches=640, rows=64_000, flags=6_400, matches=6_400, persons=1_000, flags_a_call=100)
ONE = Layout(row_environments=1, cores_a_row_environment=1, column_cores=1, pool_cores=1)
WIDE = 1_000


def seconds(costs: Costs, layout: Layout = ONE, in_flight: int = WIDE) -> float:
    """Seconds of a simulated run."""
    return simulate(costs, WORK, layout, in_flight).seconds


def test_what_one_core_does_takes_the_sum_of_its_work():
    assert seconds(replace(FREE, match=0.01)) == pytest.approx(64)
    assert seconds(replace(FREE, flag=0.01)) == pytest.approx(64)
    assert seconds(replace(FREE, row=0.001)) == pytest.approx(64)
    assert seconds(replace(FREE, survey=0.001)) == pytest.approx(64)
    assert seconds(replace(FREE, serial=7)) == pytest.approx(7)


def test_cores_divide_the_work():
    joins = replace(FREE, match=0.01)
    assert seconds(joins, replace(ONE, pool_cores=16)) == pytest.approx(4, rel=0.05)
    flags = replace(FREE, flag=0.01)
    assert seconds(flags, replace(ONE, column_cores=16)) == pytest.approx(4, rel=0.05)
    assert seconds(
        replace(FREE, row=0.001), replace(ONE, cores_a_row_environment=8)
    ) == pytest.approx(8)
    exchange = replace(FREE, person=0.2)
    assert seconds(exchange, ONE) == pytest.approx(100)


def test_environments_divide_the_batches_but_each_surveys_the_whole_table():
    four = replace(ONE, row_environments=4)
    assert seconds(replace(FREE, row=0.001), four) == pytest.approx(16)
    assert seconds(replace(FREE, survey=0.001), four) == pytest.approx(64)


def test_the_driver_makes_one_call_after_the_other():
    calls = replace(FREE, call=0.001)
    alone = seconds(calls)
    # Flags, rows and a join of every batch, and the additions.
    assert alone == pytest.approx(640 * 3 * 0.001, rel=0.05)
    busy = simulate(calls, WORK, ONE, WIDE).busy
    assert busy["driver"] == pytest.approx(1)
    assert busy["pool"] == 0


def test_few_tasks_in_flight_leave_cores_idle():
    joins = replace(FREE, match=0.01)
    assert seconds(joins, replace(ONE, pool_cores=16), in_flight=4) == pytest.approx(16, rel=0.05)


def test_results_are_added_eight_at_a_time():
    adds = replace(FREE, add=1.0)
    # 640 results: 80, 10 and 1 additions, and one of the 2 + 1 results that are left.
    assert seconds(adds) == pytest.approx(80 + 10 + 1 + 1)
