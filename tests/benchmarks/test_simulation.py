"""Simulated runs: what must take how long, and what limits it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from xstat_ray.benchmarks.simulation import Costs, Layout, Work, simulate

FREE = Costs(*[0.0] * len(fields(Costs)))
WORK = Work(
    batches=640,
    rows=64_000,
    flags=6_400,
    matches=6_400,
    persons=1_000,
    row_persons=800,
    flags_a_call=100,
)
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


def test_environments_divide_the_batches_the_survey_and_the_hashes_but_not_what_they_are_told():
    four = replace(ONE, row_environments=4)
    assert seconds(replace(FREE, row=0.001), four) == pytest.approx(16)
    assert seconds(replace(FREE, survey=0.001), four) == pytest.approx(16)
    assert seconds(replace(FREE, hash=0.1), four) == pytest.approx(20)
    assert seconds(replace(FREE, know=0.1), four) == pytest.approx(80)
    assert seconds(replace(FREE, know=0.1), ONE) == 0


def test_surveys_are_merged_two_by_two():
    merge = replace(FREE, merge=0.1)
    for environments, levels in ((1, 0), (2, 1), (4, 2), (5, 3), (8, 3)):
        layout = replace(ONE, row_environments=environments)
        assert seconds(merge, layout) == pytest.approx(levels * 80)


def test_many_bins_keep_the_driver_longer_than_the_work_on_them():
    calls = replace(FREE, call=0.001)
    many = replace(WORK, batches=1, flags=0, row_persons=2**26)
    assert simulate(calls, many, ONE, WIDE).seconds == pytest.approx(1024 * 6 * 0.001, rel=0.01)


def test_the_driver_makes_one_call_after_the_other():
    calls = replace(FREE, call=0.001)
    alone = seconds(calls)
    # Flags, rows and a join of every batch, the additions, and a bin of the ID exchange.
    assert alone == pytest.approx((640 * 3 + 92 + 6 + 2) * 0.001)
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
