"""Shares of noisy counts, and how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from xstat_ray.hokkaido.needs.publication import NoisyCounts
from xstat_ray.hokkaido.needs.shares import Shares, overlap, shares


def counts(values: ArrayLike, stderr: float) -> NoisyCounts:
    """Make counts with this standard error."""
    values = np.array(values, float)
    return NoisyCounts(values, np.full(values.shape, float(stderr) ** 2))


def covered(truth: np.ndarray, estimate: Shares, width: float = 1.0) -> float:
    """Share of intervals, made narrower by a factor, that hold the truth."""
    half = width * (estimate.high95 - estimate.low95) / 2
    middle = (estimate.high95 + estimate.low95) / 2
    return (abs(truth - middle) <= half).mean()


def test_noise_alone_is_covered_95_times_in_100():
    rng = np.random.default_rng(1)
    exact = np.array([500.0, 300.0, 200.0])
    noisy = counts(exact + 20 * rng.standard_normal((4000, 3)), 20)
    part = shares(noisy)
    assert 0.94 < covered(exact / 1000, part) < 0.96
    assert covered(exact / 1000, part, 0.8) < 0.9
    assert np.std(part.value, axis=0) == pytest.approx(part.stderr.mean(axis=0), rel=0.05)


@pytest.mark.parametrize("units", [1, 2])
def test_everybody_is_covered_when_a_random_part_was_counted(units):
    rng = np.random.default_rng(2)
    chance = np.array([0.6, 0.3, 0.1])
    everybody = 3000
    true = rng.multinomial(everybody, chance, 4000)
    seen = units * rng.binomial(true, 0.42)
    noisy = counts(seen + 5 * rng.standard_normal(seen.shape), 5)
    share = true / everybody
    assert 0.935 < covered(share, shares(noisy, sampled=0.42, units=units)) < 0.965
    # Not so if one pretends that those counted were everybody.
    assert covered(share, shares(noisy)) < 0.8


def test_what_is_too_small_is_unknown_and_not_zero():
    part = shares(counts([[3, 1], [300, 100], [np.nan, 5]], 10))
    assert np.isnan(part.value).tolist() == [[True, True], [False, False], [True, True]]
    assert np.isnan(part.low95[0]).all()
    exact = shares(counts([[1, 3], [0, 0]], 0))
    np.testing.assert_equal(exact.value, [[0.25, 0.75], [np.nan, np.nan]])
    assert exact.stderr[0].tolist() == [0, 0]


def test_overlap():
    part = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [-0.1, 0.3, 0.6], [np.nan] * 3]
    np.testing.assert_allclose(overlap(np.array(part)), [0, 1, 0.5, np.nan])
