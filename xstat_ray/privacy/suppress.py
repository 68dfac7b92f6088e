"""Which estimates are not published: small ones, and those that a total would give away.

Both rules see estimates only, which are made of noisy values: there is no second look at exact
counts. The privacy of people rests on the noise; suppression keeps readers from taking noise for
small groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree


def suppress(
    tree: RowTree, estimates: Sequence[NDArray[np.int64]], reporting: Sequence[int], threshold: int
) -> dict[int, NDArray[np.bool_]]:
    """Decide for every node of the reporting levels.

    An estimate below `threshold` is suppressed. Where the total of an area is published and all of
    its parts but one are, the one that is missing would follow by subtraction: the smallest
    published part is suppressed with it. This is repeated from the top down, so that a part
    suppressed for this reason is itself treated as missing below.

    Args:
        tree: the hierarchy.
        estimates: (nodes, columns) of every level, children adding up to their parents.
        reporting: levels that are published, from the cells up.
        threshold: smallest estimate that is published.

    Returns:
        (nodes, columns) for each reporting level: True is not published.
    """
    hidden = {level: estimates[level] < threshold for level in reporting}
    for lower, upper in reversed(list(pairwise(reporting))):
        parent = tree.ancestors(lower, upper)
        first = np.flatnonzero(np.diff(parent, prepend=-1))
        missing = np.add.reduceat(hidden[lower], first, axis=0, dtype=np.int64)
        parts = np.diff(first, append=len(parent))[:, None]
        lone = (missing == 1) & (parts > 1) & ~hidden[upper]
        hidden[lower] |= (
            _smallest_published(estimates[lower], hidden[lower], first, parent) & lone[parent]
        )
    return hidden


def _smallest_published(
    values: NDArray[np.int64],
    hidden: NDArray[np.bool_],
    first: NDArray[np.intp],
    parent: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """True at one node for each (parent, column): the first of the smallest that are not hidden."""
    open_values = np.where(hidden, np.iinfo(np.int64).max, values)
    least = (open_values == np.minimum.reduceat(open_values, first, axis=0)[parent]) & ~hidden
    before = np.cumsum(least, axis=0)
    start = before[first] - least[first]
    chosen: NDArray[np.bool_] = least & (before - start[parent] == 1)
    return chosen
