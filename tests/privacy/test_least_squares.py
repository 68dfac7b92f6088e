from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.privacy.trees import from_parents, ragged, sums
from tests.sizes import every_other
from xstat_ray.privacy.least_squares import NoisyLevel, final_variances, least_squares
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.shares import level_scale, predicted_stderr


def dense(tree, measured):
    """Generalised least squares by the textbook: estimates and covariance, every node a row."""
    incidence = np.concatenate(sums(tree, np.eye(tree.cells)))
    depth = np.repeat(np.arange(len(tree.sizes)), tree.sizes)
    design = np.concatenate([incidence[depth == level] for level in measured])
    weight = np.concatenate(
        [np.full(tree.sizes[level], 1 / m.variance) for level, m in measured.items()]
    )
    values = np.concatenate([m.values for m in measured.values()])
    covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
    cells = covariance @ design.T @ (weight[:, None] * values)
    spread = np.einsum("ij,jk,ik->i", incidence, covariance, incidence)
    return [
        (incidence[depth == level] @ cells, spread[depth == level])
        for level in range(len(tree.sizes))
    ]


@pytest.mark.parametrize("seed", range(40))
def test_equals_dense_generalised_least_squares(seed):
    rng = np.random.default_rng(seed)
    tree = ragged(rng, depth=int(rng.integers(1, 5)))
    levels = [0, *(level for level in range(1, len(tree.sizes)) if rng.random() < 0.6)]
    measured = {
        level: NoisyLevel(
            rng.integers(-50, 500, (tree.sizes[level], 3)), float(rng.uniform(0.1, 100))
        )
        for level in levels
    }
    for ours, (values, variances) in zip(
        least_squares(tree, measured), dense(tree, measured), strict=True
    ):
        np.testing.assert_allclose(ours.values, values, rtol=1e-8, atol=1e-7)
        np.testing.assert_allclose(ours.variances, variances, rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_consistent_sums_are_kept_and_children_always_add_up(seed):
    rng = np.random.default_rng(seed)
    tree = ragged(rng, depth=3)
    truth = sums(tree, rng.integers(0, 1000, (tree.cells, 2)))
    exact = least_squares(
        tree, {level: NoisyLevel(v, 1.0 + level) for level, v in enumerate(truth)}
    )
    assert all(np.allclose(e.values, v) for e, v in zip(exact, truth, strict=True))
    noisy = least_squares(
        tree,
        {level: NoisyLevel(v + rng.integers(-9, 9, v.shape), 1.0) for level, v in enumerate(truth)},
    )
    for level, above in enumerate(sums(tree, noisy[0].values)):
        assert np.allclose(noisy[level].values, above)


def test_rejects_a_tree_whose_children_are_not_in_the_order_of_their_parents():
    for parent in ([1, 1, 0], [0, 1, 0], [0, 2, 2]):
        tree = from_parents(parent, [0] * (max(parent) + 1))
        with pytest.raises(ValueError, match="children"):
            final_variances(tree, {0: 1.0})


def agrees(predicted, observed):
    return abs(observed / predicted - 1) < 0.1


@pytest.mark.parametrize(
    "shares",
    every_other(2, [{0: "1"}, {0: "1/2", 1: "1/3", 2: "1/6"}, {0: "3/4", 2: "1/4"}]),
    ids=str,
)
@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_drawn_noise_has_the_predicted_standard_error_and_no_bias(noise, shares):
    """With 4,000 draws the spread at the root has a standard error of 1.8 % (Laplace.

    Less where levels have more
    nodes), so a correct prediction fails to agree within 10 % once in 10^7, and one that is 25 %
    off agrees as rarely."""
    draws = 4000
    tree = from_parents([0, 0, 0, 1, 2, 2], [0, 0, 0])
    mechanism = Mechanism(noise, 2, 4, Fraction(1), Fraction(0), 2.0)
    shares = {level: Fraction(share) for level, share in shares.items()}
    truth = sums(tree, np.array([[0], [5], [900], [3], [0], [70]]))
    measured = {}
    for level, share in shares.items():
        scaled = replace(mechanism, scale=level_scale(mechanism, share))
        noise_drawn = scaled.draw(tree.sizes[level] * draws).reshape(-1, draws)
        measured[level] = NoisyLevel(truth[level] + noise_drawn, scaled.stderr**2)
    for level, estimate in enumerate(least_squares(tree, measured)):
        error = estimate.values - truth[level]
        predicted = predicted_stderr(tree, mechanism, shares, level)
        observed = np.sqrt(np.mean(error**2))
        assert agrees(predicted, observed)
        assert not agrees(predicted * 1.25, observed) and not agrees(predicted / 1.25, observed)
        assert (abs(error.mean(axis=1)) < 6 * np.sqrt(estimate.variances / draws)).all()
