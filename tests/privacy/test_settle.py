"""What stands out of its noise keeps its unbiased value; all else is refined around it."""

from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.evidence import Rule
from xstat_ray.privacy.least_squares import NoisyLevel
from xstat_ray.privacy.refine import refine
from xstat_ray.privacy.settle import Settled, settle

TREE = RowTree.of_dimensions([10, 20])
SIGMA = 20.0


def noisy(seed: int) -> tuple[np.ndarray, dict[int, NoisyLevel]]:
    """Make noisy counts of ten areas of 20 cells, by 30 columns; a quarter are large, the rest empty."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((10, 20, 30), np.int64)
    counts[:, :5] = 300
    counts = counts.reshape(200, 30)
    sums = [counts, np.add.reduceat(counts, TREE.first_children[0]), counts.sum(0)[None]]
    return counts, {
        level: NoisyLevel(sums[level] + np.rint(rng.normal(0, SIGMA, sums[level].shape)), SIGMA**2)
        for level in range(3)
    }


def settled(
    measured: dict[int, NoisyLevel], noise: str = "gaussian", distinct: bool = True
) -> Settled:
    return settle(TREE, measured, Rule(noise, distinct, 10), (0, 1, 2))


def test_published_values_are_hardly_too_low():
    """Refined alone they are, by half a standard error: they pay for the noise of empty cells."""
    counts, measured = noisy(1)
    found = settled(measured)
    shown = ~found.figures[0].hidden
    assert shown[counts > 0].mean() > 0.99
    error, planted = ((of[0] - counts)[shown] for of in (found.refined, refine(TREE, measured)))
    assert planted.mean() < -0.45 * SIGMA < 2 * error.mean()
    assert np.square(error).mean() < np.square(planted).mean()


def test_they_are_the_unbiased_values_unless_their_area_has_less():
    _, measured = noisy(2)
    found = settled(measured)
    shown = ~found.figures[0].hidden
    apart = np.where(shown, abs(found.refined[0] - found.unbiased[0]), 0)
    first = TREE.first_children[0]
    more = np.add.reduceat(np.where(shown, found.unbiased[0], 0), first) > found.refined[1]
    assert 0.2 < more.mean() < 0.8
    assert np.maximum.reduceat(apart, first)[~more].max() < 1
    for level, starts in enumerate(TREE.first_children):
        assert (np.add.reduceat(found.refined[level], starts) == found.refined[level + 1]).all()


@pytest.mark.parametrize(("noise", "distinct"), [("gaussian", False), ("off", True)])
def test_without_the_rule_and_without_noise_all_are_refined_alike(noise, distinct):
    counts, measured = noisy(3)
    found = settled(measured, noise, distinct)
    plain = refine(TREE, measured)
    assert all((a == b).all() for a, b in zip(found.refined, plain, strict=True))
    if noise == "off":
        exact = {0: NoisyLevel(counts, 1.0)}
        assert (settled(exact, noise).refined[0] == counts).all()
        assert not settled(exact, noise).stderrs[0].any()
