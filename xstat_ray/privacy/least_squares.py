"""Weighted least squares on a row tree whose levels were measured with independent noise.

The best linear unbiased estimate, by one pass up and one pass down the tree: Hay, Rastogi, Miklau
and Suciu, "Boosting the accuracy of differentially private histograms through consistency" (VLDB
2010), section 4, generalised to levels of unequal variance, levels that were not measured, and
ragged trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree


class NoisyLevel(NamedTuple):
    """The noisy sums of one level."""

    values: NDArray[np.int64] | NDArray[np.float64]
    """(nodes, columns), the nodes in the order of the tree."""
    variance: float
    """Variance of one value's noise, in squared units (> 0)."""


class Estimate(NamedTuple):
    """What is known about one level."""

    values: NDArray[np.float64]
    """(nodes, columns)."""
    variances: NDArray[np.float64]
    """(nodes,), equal in all columns."""


def least_squares(tree: RowTree, measured: Mapping[int, NoisyLevel]) -> list[Estimate]:
    """The best linear unbiased estimate of every node, and its exact variance.

    Args:
        tree: the hierarchy; level 0 are the cells, level len(tree.parents) is the root.
        measured: by level; level 0 is always there.

    Returns:
        One estimate for each level, from the cells up; children add up to their parent.
    """
    up = from_below(tree, measured)
    values = [up[-1].values]
    for level in reversed(range(len(tree.parents))):
        parent = tree.parents[level]
        first = tree.first_children[level]
        below = up[level]
        missing = values[-1] - np.add.reduceat(below.values, first)
        share = below.variances / np.add.reduceat(below.variances, first)[parent]
        values.append(below.values + share[:, None] * missing[parent])
    variances = final_variances(tree, {level: m.variance for level, m in measured.items()})
    return [Estimate(*pair) for pair in zip(reversed(values), variances, strict=True)]


def from_below(tree: RowTree, measured: Mapping[int, NoisyLevel]) -> list[Estimate]:
    """The up pass: every node estimated from what was measured at it and below it.

    The node's own noisy value and the sum of its children's estimates are independent, and are
    weighted by the inverse of their variances.

    Args and return value: as of `least_squares`, but children do not add up yet.
    """
    variances = _variances_from_below(tree, {level: m.variance for level, m in measured.items()})
    values: list[NDArray[np.float64]] = [measured[0].values.astype(float)]
    for level, first in enumerate(tree.first_children, start=1):
        combined = np.add.reduceat(values[-1], first)
        if level in measured:
            weight = variances[level] / measured[level].variance
            combined += weight[:, None] * (measured[level].values - combined)
        values.append(combined)
    return [Estimate(*pair) for pair in zip(values, variances, strict=True)]


def final_variances(tree: RowTree, measured: Mapping[int, float]) -> list[NDArray[np.float64]]:
    """Exact variance of the least-squares estimate of every node; needs no data.

    With z, V of the up pass, s and S their sums over siblings, k = V/S and p the parent, x = (z -
    k*s) + k*x_p. Cov(z - k*s, s) = V - k*S = 0, and x_p depends on these children through s alone,
    so the two terms are uncorrelated: Var x = (V - V^2/S) + (V/S)^2 Var x_p.

    Args:
        tree: the hierarchy.
        measured: the variance of the noise, by measured level.

    Returns:
        (nodes,) variances for each level, from the cells up.
    """
    up = _variances_from_below(tree, measured)
    final = [up[-1]]
    for level in reversed(range(len(tree.parents))):
        parent = tree.parents[level]
        below = up[level]
        share = below / np.add.reduceat(below, tree.first_children[level])[parent]
        final.append(below * (1 - share) + share**2 * final[-1][parent])
    return final[::-1]


def _variances_from_below(
    tree: RowTree, measured: Mapping[int, float]
) -> list[NDArray[np.float64]]:
    variances = [np.full(tree.cells, float(measured[0]))]
    for level, first in enumerate(tree.first_children, start=1):
        combined = np.add.reduceat(variances[-1], first)
        if level in measured:
            combined = 1 / (1 / combined + 1 / measured[level])
        variances.append(combined)
    return variances
