"""What a run on many machines costs: known costs are found, and layouts fill the cores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.test_simulation import FREE, WORK
from xstat_ray.benchmarks.machines_suite import costs_of, fastest, layouts
from xstat_ray.benchmarks.region import studies
from xstat_ray.benchmarks.timed import CallCost, Costs, Run
from xstat_ray.planning.plan import make_plan

ROWS = 10**6
MEASURED = replace(FREE, flag=2e-5, match=1e-5)


def told() -> Costs:
    """Pretend an intake by two environments."""
    seconds = {
        "row.hand_in": 15_000 * 2e-6,
        "row.merge": 15_000 * 5e-6,
        "row.take_survey": 15_000 * 4e-6,
        "row.take_hashes": 15_000 * 2e-6,
        "row.put_keys": 15_000 * 6e-6,
        "row.hash_persons": 15_000 * 8e-6,
    }
    return Costs({name: CallCost(spent, 2) for name, spent in seconds.items()})


def run() -> Run:
    """Pretend a run."""
    seconds = {
        "row.intake": ROWS * 1e-7 + 15_000 * 8e-6,
        "row.emit": ROWS * 2e-7,
        "column.emit": 5_000 * 2e-5,
        "join_whole": 1_000 * 1e-5,
        "add": 10 * 0.5,
        "row.hide": 20_000 * 3e-6,
        "column.evaluate": 20_000 * 1e-6,
    }
    costs = Costs(
        {name: CallCost(spent, 10) for name, spent in seconds.items()},
        persons=20_000,
        row_persons=15_000,
    )
    return Run(costs, 5_000, 1_000, 30, None)


def test_known_costs_are_found():
    plan = make_plan(studies()["all"], key_bits=2048)
    costs = costs_of(run(), told(), plan, ROWS, 3e-4)
    assert costs.call == 3e-4
    assert costs.survey == pytest.approx(1e-7)
    assert costs.merge == pytest.approx(6e-6)
    assert costs.know == pytest.approx(1e-6 + 3e-6 + 6e-6)
    assert costs.hash == pytest.approx(8e-6)
    assert costs.row == pytest.approx(2e-7)
    assert costs.flag == pytest.approx(2e-5)
    assert costs.match == pytest.approx(1e-5)
    assert costs.add == pytest.approx(0.5)
    assert costs.person == pytest.approx(4e-6)


@pytest.mark.parametrize("cores", [3, 4, 8, 64, 1024])
def test_layouts_leave_no_core_idle(cores):
    found = layouts(MEASURED, WORK, cores)
    assert found
    for layout in found:
        assert layout.cores == cores
        assert min(layout.row_environments, layout.column_cores, layout.pool_cores) >= 1


def test_the_fastest_layout_gives_cores_to_those_who_work():
    layout, _ = fastest(MEASURED, WORK, 64)
    assert (layout.row_environments, layout.cores_a_row_environment) == (1, 1)
    assert layout.column_cores > layout.pool_cores
