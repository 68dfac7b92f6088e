"""The cost model: known costs are found and projected."""

from __future__ import annotations

import pytest

from xstat_ray.benchmarks.cost_model import PARTS, RunSizes, fit
from xstat_ray.benchmarks.timed import CallCost, Costs, Run

COSTS = {
    "rows": {"rows": 2e-7},
    "exchange": {"persons": 3e-5},
    "flags": {"flags": 2e-5},
    "join": {"rows": 1e-8, "matches": 2e-6},
    "release": {"nodes": 1e-3},
}
RUNS = [
    RunSizes(10**6, 10**4, 500, 90, 200),
    RunSizes(3 * 10**6, 4 * 10**4, 5000, 1900, 200),
    RunSizes(10**7, 10**5, 900, 300, 200),
]


def run(sizes: RunSizes, slower: float = 1.0) -> Run:
    """Pretend a run that costs what `COSTS` has; the calls of a part share its seconds."""
    costs = Costs()
    for part, (calls, _) in PARTS.items():
        seconds = sum(cost * getattr(sizes, size) for size, cost in COSTS[part].items())
        for call in calls:
            costs.by_name[call] = CallCost(
                slower * seconds / len(calls), 1, 20 * sizes.rows if call == "row.emit" else 0
            )
    return Run(costs, sizes.flags, sizes.matches, sizes.nodes, None)


def test_known_costs_are_found_and_projected():
    model = fit([(sizes, run(sizes)) for sizes in RUNS])
    for part, costs in COSTS.items():
        assert model.seconds[part] == pytest.approx(costs)
    assert model.bytes["rows"] == pytest.approx({"rows": 20})
    assert model.residual == pytest.approx(0, abs=1e-9)
    large = RunSizes(10**10, 10**7, 10**8, 10**7, 200)
    assert model.predict(large) == pytest.approx(2000 + 100 + 2000 + 20 + 0.2)
    assert model.exchange(large) == pytest.approx(300)
    assert model.predict(large, exchange=True) == pytest.approx(model.predict(large) + 300)


def test_the_residual_says_how_far_the_runs_are_from_the_model():
    noisy = [
        (sizes, run(sizes, slower)) for sizes, slower in zip(RUNS, (1.0, 1.2, 0.9), strict=True)
    ]
    assert 0.05 < fit(noisy).residual < 0.2


def test_a_cost_is_never_negative():
    odd = [(RunSizes(10**6 * (3 - place), 1, 1, 10**place, 1), run(RUNS[0])) for place in range(3)]
    assert all(cost >= 0 for costs in fit(odd).seconds.values() for cost in costs.values())
