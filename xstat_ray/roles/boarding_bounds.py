"""Contribution bounds of the column party: how many boardings of one person are kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.parties import ColumnTerms
from xstat_ray.model.study import Bounds
from xstat_ray.roles.bounds import keep_per_group


def bound_boardings(
    person: NDArray[np.integer],
    column: NDArray[np.integer],
    bounds: Bounds | ColumnTerms,
    priority: NDArray[np.uint64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Choose at most q boardings of a person in one column, and of these at most F of a person.

    Args:
        person: (N,) numbers.
        column: (N,) columns, the offsets of a window not told apart.
        bounds: has q and F.
        priority: (N,) independent uniform words.

    Returns:
        (N,) whether a boarding is within q, and (N,) whether it is within both bounds.
    """
    within = keep_per_group((person, column), bounds.per_column, priority)
    kept = within.copy()
    kept[within] = keep_per_group((person[within],), bounds.boardings, priority[within])
    return within, kept
