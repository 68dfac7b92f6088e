"""From noisy sums on a row tree to counts: non-negative integers that add up at every level.

Post-processing: it sees noisy values only and costs no budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.least_squares import Estimate, NoisyLevel, from_below

_SLICE = 16
"""Columns refined at once: bounds the memory beside input and output to some 20 float64 tables of
this width."""
_FIRM = 1e-6
"""Part of its variance with which a firm value counts, so that the others give way."""


class Firm(NamedTuple):
    """Nodes of a level whose values stand out of their noise: arrays of (nodes, columns)."""

    chosen: NDArray[np.bool_]
    values: NDArray[np.float64]
    """Their unbiased values; those of nodes that are not chosen are not used."""


def refine(
    tree: RowTree,
    measured: Mapping[int, NoisyLevel],
    firm: Mapping[int, Firm] | None = None,
) -> tuple[NDArray[np.int64], ...]:
    """Estimate every node from what is below it by least squares, then project from the root down.

    The children of a node become the nearest integers that are non-negative and add up to it. So a
    total is never changed by mending what it is made of: clipping at zero instead would add a bias
    that grows with the number of empty cells. Under a node of zero everything is zero, and a column
    whose total is estimated below zero is all zeros.

    Args:
        tree: the hierarchy; level 0 are the cells. The flat mechanism measures level 0 only. Levels
            that were not measured still help on sparse tables: areas that are empty as a whole are
            seen to be.
        measured: the noisy sums, by level; level 0 is always there.
        firm: by level, nodes that keep their values; none by default.

    Returns:
        (nodes, columns) in the order of the tree for each level, from the cells up; children add up
        to their parent.
    """
    columns = measured[0].values.shape[1]
    levels = tuple(np.empty((size, columns), np.int64) for size in tree.sizes)
    for start in range(0, columns, _SLICE):
        some = slice(start, start + _SLICE)
        narrow = {level: NoisyLevel(m.values[:, some], m.variance) for level, m in measured.items()}
        *below, root = from_below(tree, narrow)
        totals: NDArray[np.int64] = np.maximum(np.rint(root.values), 0).astype(np.int64)
        levels[-1][:, some] = totals
        for level, estimate in reversed(list(enumerate(below))):
            first = tree.first_children[level]
            totals = levels[level][:, some] = _divide(
                totals, first, *_settled(estimate, (firm or {}).get(level), some)
            )
    return levels


def _settled(
    estimate: Estimate, firm: Firm | None, some: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(nodes, columns) values and variances, those of firm nodes next to certain."""
    variances = np.broadcast_to(estimate.variances[:, None], estimate.values.shape)
    if firm is None:
        return estimate.values, variances
    chosen = firm.chosen[:, some]
    values = np.where(chosen, firm.values[:, some], estimate.values)
    return values, np.where(chosen, _FIRM * variances, variances)


def _divide(
    totals: NDArray[np.int64],
    first: NDArray[np.intp],
    values: NDArray[np.float64],
    variances: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Divide (parents, columns) `totals` among the children.

    Parents with equally many children are done together.
    """
    divided = np.zeros(values.shape, np.int64)
    counts = np.diff(first, append=len(values))
    for count in np.unique(counts):
        parent, column = np.nonzero((totals > 0) & (counts == count)[:, None])
        child = first[parent, None] + np.arange(count)
        total = totals[parent, column]
        at = child, column[:, None]
        shares = project(values[at], variances[at], total)
        divided[at] = largest_remainder(shares, total)
    return divided


def project(
    values: NDArray[np.float64], variances: NDArray[np.float64], totals: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The non-negative points that add up to `totals` nearest to `values`, weighted by 1/variance.

    They are max(value - variance * theta, 0); theta is found by sorting value / variance: Held,
    Wolfe and Crowder (1974), as given by Duchi et al. (ICML 2008, figure 1), here with weights.

    Args:
        values: (problems, N).
        variances: (problems, N), more than zero.
        totals: (problems,), at least zero.
    """
    order = np.argsort(-values / variances, axis=1)
    value, variance = (np.take_along_axis(a, order, 1) for a in (values, variances))
    theta = (np.cumsum(value, 1) - totals[:, None]) / np.cumsum(variance, 1)
    kept = np.maximum((value > variance * theta).sum(1, keepdims=True), 1)
    return np.maximum(values - variances * np.take_along_axis(theta, kept - 1, 1), 0.0)


def largest_remainder(shares: NDArray[np.float64], totals: NDArray[np.int64]) -> NDArray[np.int64]:
    """Round non-negative (problems, N) `shares` to integers that add up to (problems,) `totals`.

    Hamilton's method; of remainders that are equal to six decimals the first is rounded up.
    """
    whole = np.floor(shares).astype(np.int64)
    missing = totals - whole.sum(1)
    order = np.argsort(np.round(whole - shares, 6), axis=1, kind="stable")
    extra = np.empty_like(whole)
    np.put_along_axis(
        extra, order, (np.arange(shares.shape[1]) < missing[:, None]).astype(np.int64), 1
    )
    return whole + extra
