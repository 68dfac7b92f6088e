from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from tests.synthetic import make_study
from xstat_ray.errors import PlanError
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Bounds, Privacy, View
from xstat_ray.privacy import padding as module
from xstat_ray.privacy.padding import DummyCount, Padding, least_shift, sum_bound, truncation_delta

DP = Privacy(noise="off", padding="dp")
SUMS = 500


def padded(view=None, **fields):
    return replace(make_study(), privacy=replace(DP, view=view or View()), **fields)


def unweighted(study):
    """Without weights a person may have any number of rows in a period."""
    return replace(study, row=replace(study.row, weight=None))


def grid(study, shards=6, length=18):
    return ShardGrid.plan(study.cells, study.period.span, shards, length=length)


def mass(kind):
    """Exact probabilities of 0 ... 2 * shift dummies."""
    weight = np.exp(-np.abs(np.arange(-kind.shift, kind.shift + 1)) / kind.scale)
    return weight / weight.sum()


def loss(kind, change, epsilon):
    """Exact delta at `epsilon` of counts that differ by `change`: the hockey-stick divergence."""
    ours = np.pad(mass(kind), (change, 0))
    other = np.pad(mass(kind), (0, change))
    return max(
        np.maximum(a - math.exp(epsilon) * b, 0).sum() for a, b in ((ours, other), (other, ours))
    )


kinds = st.builds(
    lambda l1, epsilon, exponent: DummyCount.of(l1, epsilon, Fraction(1, 10**exponent)),
    st.integers(1, 60),
    st.fractions(Fraction(1, 20), 5, max_denominator=100),
    st.integers(2, 12),
)


@given(kinds)
def test_a_count_is_private_and_no_smaller_shift_would_do(kind):
    epsilon = float(kind.epsilon) * (1 + 1e-9)
    delta = float(kind.delta)
    assert loss(kind, kind.l1, epsilon) <= delta * (1 + 1e-6)
    assert truncation_delta(kind.l1, kind.scale, kind.shift) <= delta
    if kind.shift > kind.l1:
        assert truncation_delta(kind.l1, kind.scale, kind.shift - 1) > delta * (1 - 1e-8)
    assert kind.scale == pytest.approx(kind.l1 / float(kind.epsilon), rel=1e-9)


@settings(max_examples=50)
@given(kinds, st.data())
def test_a_person_spread_over_many_counts_loses_no_more_than_in_one(kind, data):
    left = kind.l1
    changes = []
    while left:
        changes.append(data.draw(st.integers(1, left)))
        left -= changes[-1]
    # Ratios multiply and deltas add up, count by count.
    assert sum(change / kind.scale for change in changes) <= float(kind.epsilon) * (1 + 1e-9)
    deltas = [truncation_delta(change, kind.scale, kind.shift) for change in changes]
    assert sum(deltas) <= float(kind.delta) * (1 + 1e-9)
    for change, delta in zip(changes, deltas, strict=True):
        assert loss(kind, change, change / kind.scale * (1 + 1e-9)) <= delta * (1 + 1e-6) + 1e-15


def test_less_noise_or_less_shift_would_not_be_private():
    kind = DummyCount.of(24, Fraction(1), Fraction(1, 10**6))
    assert loss(replace(kind, scale=kind.scale / 2), 24, 1) > 100 * float(kind.delta)
    assert loss(replace(kind, shift=kind.shift * 3 // 4), 24, 1) > 10 * float(kind.delta)


def test_draws_have_the_declared_distribution():
    kind = DummyCount.of(3, Fraction(1), Fraction(1, 100))
    drawn = kind.draw(60_000)
    assert drawn.dtype == np.int64 and drawn.min() == 0 and drawn.max() == 2 * kind.shift
    expected = mass(kind) * len(drawn)
    found = np.bincount(drawn, minlength=len(expected))
    threshold = chi2.ppf(1 - 1e-6, len(expected) - 1)
    assert ((found - expected) ** 2 / expected).sum() < threshold
    wrong = mass(replace(kind, scale=kind.scale * 1.1)) * len(drawn)
    assert ((found - wrong) ** 2 / wrong).sum() > threshold


@pytest.mark.parametrize(
    ("cells", "scale", "beta"), [(1, 5.0, 0.01), (20, 30.0, 0.01), (179, 27.0, 0.001)]
)
def test_a_sum_stays_below_its_bound(cells, scale, beta):
    bound = sum_bound(cells, scale, beta)
    draws = module.draw_laplace(scale, SUMS * cells).reshape(-1, cells).sum(axis=1)
    assert (draws > bound).sum() <= SUMS * beta + 5 * math.sqrt(SUMS * beta)
    # And it is not far off: four times the standard deviations of a normal sum at this probability.
    assert bound < 4 * scale * math.sqrt(2 * cells) * math.sqrt(-2 * math.log(beta))


def test_the_kinds_add_up_to_what_is_declared():
    study = padded(
        View(Fraction(1, 3), Fraction(1, 10**7)),
        bounds=Bounds(rows=2, boardings=3, persons=50, per_column=2),
    )
    padding = Padding.of_study(study, grid(study))
    kinds = (padding.matched, padding.unmatched, padding.flags)
    assert sum(kind.epsilon for kind in kinds) == Fraction(1, 3)
    assert sum(kind.delta for kind in kinds) == Fraction(3, 4 * 10**7)
    assert [kind.l1 for kind in kinds] == [2 * 3 * 4, 2 * 36, 2 * 3 * 4] and padding.copies == 2
    assert padding.rows_added == 2 * 12 * (padding.matched.shift + padding.unmatched.shift)
    assert padding.flags_added == 2 * (padding.reserve + padding.flags.shift)


def test_a_window_longer_than_the_study_matches_no_more_than_its_periods():
    study = padded(bounds=Bounds(boardings=30, per_column=30))
    assert Padding.of_study(study, grid(study)).matched.l1 == 36


def test_matched_rows_fit_the_reserve_of_their_batch():
    study = padded()
    padding = Padding.of_study(study, grid(study))
    # A reserve that the mean does not fit half of the time.
    tight = replace(padding, reserve=padding.cells * padding.matched.shift)
    matched, unmatched = tight.draw_rows()
    assert matched.shape == unmatched.shape == (2, 12)
    assert (matched.sum(axis=1) <= tight.reserve).all()
    assert padding.draw_flags().shape == (1, 2)


def test_a_reserve_is_smaller_than_the_most_that_many_cells_can_draw():
    study = padded()
    area = replace(study.row.dimensions[1], labels=tuple(map(str, range(500))), members=((),) * 500)
    wide = replace(study, row=replace(study.row, dimensions=(area,)))
    padding = Padding.of_study(wide, grid(wide, 1, 36))
    assert 500 * padding.matched.shift < padding.reserve < 1.2 * 500 * padding.matched.shift


def test_off_means_none():
    study = make_study()
    assert study.privacy.padding == "off" and Padding.of_study(study, grid(study)) is None


@pytest.mark.parametrize(
    ("study", "key", "problem"),
    [
        (unweighted(padded(bounds=Bounds(rows=256))), "study.bounds.rows", "at most 255"),
        (padded(View(Fraction(1, 10**9))), "privacy.view", "which no run can carry"),
    ],
)
def test_what_cannot_be_met_is_refused(study, key, problem):
    with pytest.raises(PlanError, match=problem) as caught:
        Padding.of_study(study, grid(study))
    assert caught.value.key == key and caught.value.remedy


@given(st.integers(1, 1000), st.floats(0.01, 50), st.floats(1e-15, 0.5))
def test_the_least_shift_is_found(l1, epsilon, delta):
    scale = l1 / epsilon
    shift = least_shift(l1, scale, delta)
    assert shift >= l1 and truncation_delta(l1, scale, shift) <= delta
