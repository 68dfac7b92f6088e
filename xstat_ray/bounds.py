"""Contribution bounds: how much of one person is kept, decided inside the party before anything leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def keep_per_group(
    groups: Sequence[NDArray[np.integer]],
    limit: int,
    priority: NDArray[np.uint64],
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.bool_]:
    """Choose at most `limit` rows of every group.

    Args:
        groups: arrays of shape (N,) that together name the group of a row, such as person and period.
        limit: rows kept of a group, at least 1.
        priority: (N,) independent uniform words; without weights a uniformly random `limit` rows are kept.
        weight: (N,) where given, rows with larger weight are kept first, equal weights in random order. NaN is
            smaller than everything.

    Returns:
        (N,) True for the rows that are kept.
    """
    size = len(priority)
    keep = np.zeros(size, bool)
    if size == 0:
        return keep
    keys: list[NDArray[np.generic]] = [priority]
    if weight is not None:
        keys.append(-np.nan_to_num(weight, nan=-np.inf))
    keys.extend(groups)
    order = np.lexsort(keys)
    starts = np.zeros(size, bool)
    starts[0] = True
    for group in groups:
        ordered = group[order]
        starts[1:] |= ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(starts, np.arange(size), 0))
    keep[order] = np.arange(size) - first < limit
    return keep
