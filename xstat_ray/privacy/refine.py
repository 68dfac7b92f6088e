"""From noisy counts to publishable ones: non-negative integers whose totals are kept.

Post-processing: it sees noisy counts only and costs no budget.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def refine(noisy: NDArray[np.int64]) -> NDArray[np.int64]:
    """Per column the non-negative integers nearest to the noisy counts that add up to the column's noisy total.

    Clipping at zero instead would add a bias to every sum that grows with the number of empty cells. A column whose
    noisy total is negative becomes all zeros.

    Args:
        noisy: (cells, slots) counts with noise.

    Returns:
        (cells, slots) integers, none negative.
    """
    totals = np.maximum(noisy.sum(axis=0), 0)
    return np.stack(
        [largest_remainder(project(noisy[:, j], total), int(total)) for j, total in enumerate(totals)], axis=1
    )


def project(values: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    """Euclidean projection of (N,) `values` onto the vectors that are non-negative and add up to `total` >= 0.

    The sort-based algorithm of Held, Wolfe and Crowder (1974), as given by Duchi et al. (ICML 2008, figure 1).
    """
    descending = np.sort(values.astype(float))[::-1]
    surplus = np.cumsum(descending) - total
    ranks = np.arange(1, len(values) + 1)
    support = np.flatnonzero(descending - surplus / ranks > 0)
    last = support[-1] if len(support) else 0
    projected: NDArray[np.float64] = np.maximum(values - surplus[last] / ranks[last], 0.0)
    return projected


def largest_remainder(shares: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Round (N,) non-negative `shares` that add up to `total` to integers that do, by largest remainder (Hamilton)."""
    whole = np.floor(shares).astype(np.int64)
    missing = total - int(whole.sum())
    if missing > 0:
        whole[np.argsort(whole - shares, kind="stable")[:missing]] += 1
    return whole
