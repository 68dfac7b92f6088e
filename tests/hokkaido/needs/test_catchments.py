"""Huff's model, and the way from the airport by counts and model."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from tests.sizes import first
from xstat_ray.hokkaido.needs.access import airport_minutes
from xstat_ray.hokkaido.needs.catchments import huff, way
from xstat_ray.hokkaido.needs.publication import NoisyCounts

ATTRACTION = np.array([3.0, 2.0, 1.0, 0.5])
WHOLE = {"model_passengers": 10, "sampled": 1.0}


def planted(scale: float = 30.0) -> NDArray[np.float64]:
    """(areas, airports) shares by the model, around the airports of eastern Hokkaido."""
    weights = ATTRACTION * np.exp(-airport_minutes() / scale)
    return weights / weights.sum(axis=1, keepdims=True)


def counts_of(counts: ArrayLike, error: float = 0.0) -> NoisyCounts:
    """Make counts with this standard error."""
    return NoisyCounts(np.asarray(counts, float), np.full(np.shape(counts), float(error) ** 2))


def test_the_model_is_found_again_from_exact_counts():
    counts = planted() * np.geomspace(30, 30_000, 50)[:, None]
    found = huff(counts_of(counts), airport_minutes())
    assert found.shares == pytest.approx(planted(), abs=0.02)
    assert found.way == pytest.approx((planted() * airport_minutes()).sum(axis=1), abs=2)


def test_the_model_is_found_again_from_noisy_counts_of_all_areas_together():
    rng = np.random.default_rng(11)
    counts = planted() * np.geomspace(30, 3_000, 50)[:, None]
    noisy = counts + 20 * rng.standard_normal(counts.shape)
    error = abs(huff(counts_of(noisy, 20), airport_minutes()).shares - planted())
    assert error.mean() < 0.03
    # Most areas alone say much less.
    alone = noisy / noisy.sum(axis=1, keepdims=True)
    assert np.median(abs(alone - planted())) > 2 * np.median(error)


def test_an_airport_that_nobody_uses_has_no_passengers():
    shares = planted() * [1, 1, 0, 1]
    found = huff(counts_of(1000 * shares / shares.sum(axis=1, keepdims=True)), airport_minutes())
    assert found.shares[:, 2].max() < 0.03


def test_where_nothing_is_known_nearer_airports_are_likelier_and_the_error_says_so():
    unknown = way(counts_of(np.full((50, 4), 3.0), 1000), airport_minutes(), **WHOLE)
    equal = np.exp(-airport_minutes() / 30)
    equal /= equal.sum(axis=1, keepdims=True)
    assert unknown.value == pytest.approx((equal * airport_minutes()).sum(axis=1), abs=1)
    known = way(counts_of(1000 * equal, 10), airport_minutes(), **WHOLE)
    assert (unknown.stderr > 1.5 * known.stderr).all()


def test_what_was_not_published_says_nothing():
    counts = 1000 * planted()
    counts[7] = np.nan
    variance = np.where(np.isnan(counts), np.nan, 100.0)
    found = way(NoisyCounts(counts, variance), airport_minutes(), **WHOLE)
    assert np.isfinite(found.value).all() and np.isfinite(found.stderr).all()
    assert found.value[7] == pytest.approx((planted() * airport_minutes())[7].sum(), abs=3)


def test_the_error_of_the_model_is_that_of_the_counts_it_is_fitted_to():
    rng = np.random.default_rng(5)
    people = planted() * np.geomspace(10, 1_000, 50)[:, None]
    misses = []
    variances = []
    for _ in range(60):
        passengers = rng.poisson(people * (1 + 0.05 * rng.standard_normal(people.shape)))
        found = huff(
            counts_of(passengers + 15 * rng.standard_normal(people.shape), 15), airport_minutes()
        )
        misses.append(found.way - (planted() * airport_minutes()).sum(axis=1))
        variances.append(found.variance)
    ratio = np.sqrt(np.mean(np.square(misses), axis=0) / np.mean(variances, axis=0))
    assert (ratio > 0.4).all() and (ratio < 1.2).all()


def test_what_was_counted_overrules_the_model_the_more_the_surer_it_is():
    """All passengers of one area come through its third airport, unlike anybody else's."""
    place = 20
    counts = 2000 * planted()
    order = np.argsort(airport_minutes()[place])
    counts[place] = 0
    counts[place, order[2]] = 2000
    minutes = [
        way(counts_of(counts, error), airport_minutes(), **WHOLE).value[place]
        for error in (0, 60, 190)
    ]
    assert minutes[0] == pytest.approx(airport_minutes()[place, order[2]])
    assert all(np.diff(minutes) < -10)
    # Where too few were counted, the areas around decide.
    counts[place] /= 10
    model = huff(counts_of(counts, 60), airport_minutes()).way[place]
    assert way(counts_of(counts, 60), airport_minutes(), **WHOLE).value[place] == pytest.approx(
        model
    )


@pytest.mark.parametrize("error", first(1, [0.0, 12.0]))
def test_the_error_is_that_of_towns_that_differ_from_the_model_as_it_is_said_to(error):
    """The shares of each town are drawn around the model, as wide as `model_passengers` means."""
    rng = np.random.default_rng(7)
    worth = 10
    sampled = 0.3
    people = 1500
    misses = []
    for _ in range(40):
        shares = np.stack([rng.dirichlet(worth * row + 1e-9) for row in planted()])
        everybody = np.stack([rng.multinomial(people, row) for row in shares])
        noisy = rng.binomial(everybody, sampled) + error * rng.standard_normal(everybody.shape)
        found = way(
            counts_of(noisy, error), airport_minutes(), model_passengers=worth, sampled=sampled
        )
        true = (everybody * airport_minutes()).sum(axis=1) / people
        misses += list((found.value - true) / found.stderr)
    assert np.std(misses) == pytest.approx(1, abs=0.15)
    assert abs(np.mean(misses)) < 0.15


def test_a_mean_is_never_beyond_the_farthest_airport():
    rng = np.random.default_rng(2)
    counts = np.zeros((50, 4))
    noisy = counts + 60 + 20 * rng.standard_normal(counts.shape)
    found = way(counts_of(noisy, 20), airport_minutes(), **WHOLE).value
    assert (found >= airport_minutes().min(axis=1)).all() and (
        found <= airport_minutes().max(axis=1)
    ).all()
