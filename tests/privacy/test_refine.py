from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from tests.privacy.trees import ragged, sums
from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.least_squares import NoisyLevel, from_below, least_squares
from xstat_ray.privacy.refine import Firm, largest_remainder, project, refine


@st.composite
def measured_trees(draw):
    """A ragged tree and noise on sparse counts; some levels are not measured."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    tree = ragged(rng, draw(st.integers(1, 4)))
    truth = sums(tree, rng.poisson(rng.gamma(0.2, 20, (tree.cells, draw(st.integers(1, 20))))))
    spread = draw(st.integers(0, 50))
    levels = {0} | draw(st.sets(st.integers(0, len(tree.sizes) - 1)))
    return tree, {
        level: NoisyLevel(
            truth[level] + rng.integers(-spread, spread + 1, truth[level].shape),
            float(rng.uniform(0.5, 50)),
        )
        for level in levels
    }


@given(measured_trees())
def test_non_negative_integers_that_add_up_at_every_level_to_the_least_squares_total(case):
    tree, measured = case
    levels = refine(tree, measured)
    assert all(level.dtype == np.int64 and (level >= 0).all() for level in levels)
    assert all((a == b).all() for a, b in zip(levels, sums(tree, levels[0]), strict=True))
    assert (levels[-1] == np.maximum(np.rint(from_below(tree, measured)[-1].values), 0)).all()


@given(measured_trees())
def test_counts_that_need_no_mending_are_left_alone(case):
    tree, measured = case
    once = refine(tree, measured)
    again = refine(
        tree, {level: NoisyLevel(once[level], m.variance) for level, m in measured.items()}
    )
    assert all((a == b).all() for a, b in zip(once, again, strict=True))


@given(st.integers(0, 2**32))
def test_without_negative_values_it_is_least_squares_rounded(seed):
    rng = np.random.default_rng(seed)
    tree = ragged(rng, 2)
    truth = sums(tree, rng.integers(1000, 2000, (tree.cells, 2)))
    measured = {
        level: NoisyLevel(v + rng.integers(-20, 21, v.shape), 1.0 + level)
        for level, v in enumerate(truth)
    }
    for refined, exact in zip(refine(tree, measured), least_squares(tree, measured), strict=True):
        # Each level rounds by less than one and hands its parent's rounding on to the children.
        assert (abs(refined - exact.values) < len(tree.sizes)).all()


@pytest.mark.parametrize("seed", range(10))
def test_projection_is_the_nearest_point_in_the_weighted_norm(seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(-20, 30, (1, 6))
    variances = rng.uniform(1, 5, (1, 6))
    total = int(rng.integers(0, 60))
    best = minimize(
        lambda x: ((x - values[0]) ** 2 / variances[0]).sum(),
        np.full(6, total / 6),
        bounds=[(0, None)] * 6,
        constraints={"type": "eq", "fun": lambda x: x.sum() - total},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert best.success
    assert np.allclose(project(values, variances, np.array([total]))[0], best.x, atol=1e-3)


def test_the_flat_mechanism_projects_all_cells_onto_the_noisy_total():
    noisy = np.array([[-3, 5], [0, -9], [7, 1], [2, 1]])
    refined = refine(RowTree.of_dimensions([4]), {0: NoisyLevel(noisy, 2.0)})[0]
    assert refined.T.tolist() == [[0, 0, 6, 0], [0, 0, 0, 0]]


@given(measured_trees(), st.integers(0, 2**32))
def test_with_firm_values_they_add_up_as_well(case, seed):
    tree, measured = case
    rng = np.random.default_rng(seed)
    solved = least_squares(tree, measured)
    firm = {
        level: Firm(rng.random(solved[level].values.shape) < rng.random(), solved[level].values)
        for level in range(len(tree.sizes) - 1)
    }
    levels = refine(tree, measured, firm)
    assert all((level >= 0).all() for level in levels)
    assert all((a == b).all() for a, b in zip(levels, sums(tree, levels[0]), strict=True))
    assert (levels[-1] == refine(tree, measured)[-1]).all()


def test_firm_values_are_kept_and_the_others_share_what_is_left():
    values = np.array([[50.0], [9], [4], [-8]])
    measured = {0: NoisyLevel(values, 4.0), 1: NoisyLevel(np.array([[60.0]]), 1e-9)}
    chosen = np.array([[True], [False], [False], [False]])
    tree = RowTree.of_dimensions([4])
    assert refine(tree, measured)[0].ravel().tolist() == [49, 8, 3, 0]
    kept = refine(tree, measured, {0: Firm(chosen, values)})[0]
    assert kept.ravel().tolist() == [50, 8, 2, 0]
    # More is kept than there is: the firm ones alone become smaller.
    less = {0: measured[0], 1: NoisyLevel(np.array([[40.0]]), 1e-9)}
    assert refine(tree, less, {0: Firm(chosen, values)})[0].ravel().tolist() == [40, 0, 0, 0]
    # All are firm and do not add up.
    both = RowTree.of_dimensions([2])
    two = {0: NoisyLevel(values[:2], 4.0), 1: NoisyLevel(np.array([[63.0]]), 1e-9)}
    assert refine(both, two, {0: Firm(chosen[:2] | True, values[:2])})[0].ravel().tolist() == [
        52,
        11,
    ]


def test_projection_has_less_bias_in_sums_than_clipping():
    rng = np.random.default_rng(3)
    truth = np.zeros((1000, 1), np.int64)
    truth[:10] = 300
    noisy = truth + rng.integers(-20, 21, truth.shape)
    clipped = np.maximum(noisy, 0).sum() - truth.sum()
    kept = (
        refine(RowTree.of_dimensions([1000]), {0: NoisyLevel(noisy, 140.0)})[0].sum() - truth.sum()
    )
    assert abs(kept) < 2000 < clipped


@given(st.integers(0, 2**32), st.lists(st.integers(2, 6), min_size=1, max_size=3))
def test_parts_err_by_no_more_than_they_were_measured_to_and_their_area_errs(seed, sizes):
    rng = np.random.default_rng(seed)
    tree = RowTree.of_dimensions(sizes)
    truth = sums(tree, rng.poisson(rng.gamma(0.2, 20, (tree.cells, 3))))
    measured = {
        level: NoisyLevel(t + rng.integers(-9, 10, t.shape), 30.0) for level, t in enumerate(truth)
    }
    refined = refine(tree, measured)
    below = from_below(tree, measured)
    for level, first in enumerate(tree.first_children):
        siblings = tree.sizes[level] / tree.sizes[level + 1]
        length = [
            np.sqrt(np.add.reduceat((values - truth[level]) ** 2.0, first))
            for values in (refined[level], below[level].values)
        ]
        area = np.abs(refined[level + 1] - truth[level + 1])
        assert (length[0] <= length[1] + area + np.sqrt(siblings)).all()


def test_largest_remainder_rounds_the_largest_fractions_up():
    shares = np.array([[0.2, 1.7, 0.6, 0.5], [0.5, 0.5, 1.0, 0.0]])
    assert largest_remainder(shares, np.array([3, 2])).tolist() == [[0, 2, 1, 0], [1, 0, 1, 0]]


def test_rounding_errors_do_not_decide_which_of_equal_remainders_is_rounded_up():
    third = 1 / 3
    shares = np.array([[third, third + 1e-12, third + 2e-12], [1 - 1e-12, 1 + 1e-12, 1.0]])
    assert largest_remainder(shares, np.array([1, 3])).tolist() == [[1, 0, 0], [1, 1, 1]]
