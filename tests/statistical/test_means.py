"""Published means against the truth: intervals and standard errors, in both directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from tests.case import study
from tests.sizes import first
from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.publication.publish import publish

AREAS = [f"a{number}" for number in range(20)]
KINDS = [f"k{number}" for number in range(100)]
RELEASES = 8
LOW = 0
HIGH = 1000
MID = 500


def plan_of(noise: str, publish_rule: str, least: int) -> Plan:
    column = {
        "measures": [{"name": "fare", "low": LOW, "high": HIGH}],
        "dimensions": [{"name": "kind", "values": KINDS}],
    }
    privacy = {"publish": publish_rule, "suppress_below": least, "epsilon": "1/2"}
    return make_plan(study(noise=noise, areas=AREAS, column=column, privacy=privacy))


def truth(largest: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts, and sums of values less mid; means of a cell lie anywhere between the bounds."""
    draw = np.random.default_rng(4)
    counts = draw.integers(0, largest, (len(AREAS), len(KINDS)))
    means = draw.uniform(LOW - MID, HIGH - MID, counts.shape)
    return counts, np.rint(counts * means).astype(np.int64)


def published(plan: Plan, largest: int) -> dict[str, np.ndarray]:
    """Publish again and again; what was published of each mean, and what is true."""
    counts, sums = truth(largest)
    exact = np.concatenate([counts, sums], axis=1)
    true = (MID + np.divide(sums, np.maximum(counts, 1))).ravel()
    parts: dict[str, list[np.ndarray]] = {}
    for _ in range(RELEASES):
        noisy = exact + plan.design.draw(len(KINDS))
        cells = publish(plan, Coefficients("00" * 16, 0, noisy)).cells
        there = cells["fare_mean"].is_valid().to_numpy()
        rows = {
            name: cells[f"fare_{name}"].to_numpy(zero_copy_only=False)[there].astype(float)
            for name in ("mean", "low95", "high95", "stderr")
        }
        rows |= {"true": true[there], "count": counts.ravel()[there]}
        for name, values in rows.items():
            parts.setdefault(name, []).append(values)
    found = {name: np.concatenate(values) for name, values in parts.items()}
    assert (found["low95"] >= LOW).all() and (found["high95"] <= HIGH).all()
    assert ((found["low95"] <= found["mean"]) & (found["mean"] <= found["high95"])).all()
    return found


def held(found: dict[str, np.ndarray], factor: float = 1.0) -> tuple[int, int]:
    """How many intervals, longer by a factor, hold the truth, of how many."""
    low, high = (
        found["mean"] + factor * (found[end] - found["mean"]) for end in ("low95", "high95")
    )
    return int(((low <= found["true"]) & (found["true"] <= high)).sum()), len(low)


def too_few(found: dict[str, np.ndarray], factor: float = 1.0) -> bool:
    """Whether so few would be held in one of a million runs, if 95 % are on average."""
    return bool(binom.cdf(*held(found, factor), 0.95) < 1e-6)


@pytest.mark.parametrize("noise", first(1, ["laplace", "gaussian"]))
@pytest.mark.parametrize(("rule", "least"), first(1, [("distinct", 10), ("all", 40)]))
def test_intervals_hold_the_true_mean_and_shorter_ones_do_not(noise, rule, least):
    plan = plan_of(noise, rule, least)
    found = published(plan, 400)
    right, size = held(found)
    assert size > 4000
    assert not too_few(found)
    assert too_few(found, 0.8)
    # Nor are they needlessly long: few hold more than they must.
    assert right / size < 0.985


@pytest.mark.parametrize("noise", first(1, ["laplace", "gaussian"]))
def test_standard_errors_are_those_of_the_means_where_many_were_counted(noise):
    plan = plan_of(noise, "all", 40)
    found = published(plan, 4000)
    inside = (found["true"] > LOW + 50) & (found["true"] < HIGH - 50) & (found["count"] > 500)
    score = ((found["mean"] - found["true"]) / found["stderr"])[inside]
    # The kurtosis of Laplace noise is 6: the variance has a standard error of sqrt(5 / size).
    error = (5 / score.size) ** 0.5
    assert score.size > 9000
    assert abs((score**2).mean() - 1) < 5 * error + 0.01
    assert abs(score.mean()) < 5 / score.size**0.5
    for factor in (0.8, 1.2):
        assert abs((score**2).mean() / factor**2 - 1) > 5 * error + 0.01


def test_means_are_withheld_where_counts_are_and_where_there_is_nobody():
    plan = plan_of("laplace", "all", 40)
    counts, sums = truth(400)
    noisy = np.concatenate([counts, sums], axis=1) + plan.design.draw(len(KINDS))
    cells = publish(plan, Coefficients("00" * 16, 0, noisy)).cells
    hidden = cells["suppressed"].to_numpy()
    assert 0 < hidden.sum() < len(hidden)
    for name in ("mean", "low95", "high95", "stderr"):
        assert (cells[f"fare_{name}"].is_null().to_numpy() == hidden).all()
    assert cells["fare_sum"].null_count == cells["fare_sum_stderr"].null_count == 0
    without = replace(plan.study, privacy=replace(plan.study.privacy, suppress_below=0))
    cells = publish(replace(plan, study=without), Coefficients("00" * 16, 0, noisy)).cells
    nobody = cells["noisy"].to_numpy() < 1
    assert (cells["fare_mean"].is_null().to_numpy() == nobody).all() and nobody.any()
    total = noisy[:, len(KINDS) :] + MID * noisy[:, : len(KINDS)]
    assert (cells["fare_sum"].to_numpy() == total.ravel()).all()
