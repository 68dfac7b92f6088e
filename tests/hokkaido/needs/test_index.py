"""The index of need, its intervals, and its ranks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike

from xstat_ray.hokkaido.needs.access import Minutes, Travel
from xstat_ray.hokkaido.needs.index import Inputs, Sampling, assess, index, rank
from xstat_ray.hokkaido.needs.publication import NoisyCounts

TRAVEL = Travel(before_landing=100, tolerated=160)


def inputs(
    visitors: ArrayLike,
    stderr: float,
    flyers: float = 0.0,
    landing: float = 120.0,
    road: float = 300.0,
    minutes_error: float = 0.0,
) -> Inputs:
    """Make inputs that differ in visitors alone."""
    visitors = np.array(visitors, float)
    ones = np.ones(visitors.shape)
    return Inputs(
        NoisyCounts(visitors, ones * stderr**2),
        NoisyCounts(ones * flyers, ones * 0),
        Minutes(ones * landing, ones * minutes_error),
        Minutes(ones * road, ones * 0),
    )


@pytest.mark.parametrize(
    ("visitors", "flyers", "landing", "road", "need"),
    [
        (1000, 200, 120, 300, 800),  # 100 + 120 minutes by air: an hour too long.
        (1000, 200, 120, 190, 400),  # By road the journey is half an hour too long.
        (1000, 200, 60, 300, 0),  # The area is served well by air.
        (1000, 200, 120, 160, 0),  # The area is served well by road.
        (200, 300, 120, 300, 0),  # All visitors fly.
    ],
)
def test_the_formula(visitors, flyers, landing, road, need):
    assert index(*(np.array([float(x)]) for x in (visitors, flyers, landing, road)), TRAVEL) == [
        need
    ]


def test_exact_inputs_have_exact_ranks():
    needs = assess(inputs([10, 40, 30, 20], 0), TRAVEL, Sampling(draws=100, top=2))
    assert needs.need.tolist() == needs.low95.tolist() == needs.high95.tolist() == [10, 40, 30, 20]
    assert (
        needs.rank.tolist() == needs.rank_low.tolist() == needs.rank_high.tolist() == [4, 1, 2, 3]
    )
    assert needs.in_top.tolist() == [0, 1, 1, 0]


def test_intervals_grow_with_the_published_error_and_repeat_by_seed():
    sampling = Sampling(draws=2000)
    needs = assess(inputs([1000, 1010, 5000], 20), TRAVEL, sampling)
    assert needs.high95 - needs.low95 == pytest.approx(np.full(3, 2 * 1.96 * 20), rel=0.1)
    assert needs.rank_low.tolist() == [2, 2, 1] and needs.rank_high.tolist() == [3, 3, 1]
    np.testing.assert_equal(assess(inputs([1000, 1010, 5000], 20), TRAVEL, sampling), needs)


def test_the_interval_covers_the_truth_95_times_in_100():
    rng = np.random.default_rng(4)
    truth = 1000 * index(*np.array([[1.0], [0], [120], [300]]), TRAVEL)
    found = assess(inputs(1000 + 50 * rng.standard_normal(2000), 50), TRAVEL, Sampling(draws=1000))
    assert 0.93 < ((found.low95 <= truth) & (truth <= found.high95)).mean() < 0.97


def test_an_area_of_which_nothing_is_known_is_not_ranked():
    needs = assess(inputs([10, np.nan, 30], 1), TRAVEL, Sampling(draws=100))
    assert needs.rank.tolist() == [2, 0, 1]
    assert np.isnan(needs.need).tolist() == np.isnan(needs.in_top).tolist() == [False, True, False]


def test_ranks_of_equals_keep_their_order():
    assert rank(np.array([0.0, 2.0, 0.0, 2.0])).tolist() == [3, 1, 4, 2]
