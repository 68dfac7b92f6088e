"""Which further estimates are withheld, so that none of the withheld follows by subtraction.

The rule sees estimates only, which are made of noisy values: there is no second look at exact
counts. The privacy of people rests on the noise; withholding keeps readers from taking noise for
small groups.

Published figures are linked by one equation for each area: it is the sum of its parts. A withheld
figure is an unknown of the equation of its parts and of the equation of the area that it belongs
to. So equations and unknowns form a forest, and unknowns follow from the published figures exactly
if some equation has a single unknown: that one is found, and then perhaps others. Where no equation
has a single unknown, every unknown lies on a path between two that are part of one equation only,
and along such a path values can be moved without changing anything that is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree


def suppress(
    tree: RowTree,
    estimates: Mapping[int, NDArray[np.int64]],
    hidden: Mapping[int, NDArray[np.bool_]],
) -> dict[int, NDArray[np.bool_]]:
    """Withhold more, until no area and its parts have exactly one withheld figure among them.

    The one that tells least is withheld with it: the smallest published part. If that is the only
    other part, it is nearly all there is of the area and says where besides: then the figure of the
    area is withheld, and the part stays, unless figures beside and above the area would have to go
    with it.

    Args:
        tree: the hierarchy.
        estimates: by reporting level, (nodes, columns), parts adding up to their areas.
        hidden: by reporting level, (nodes, columns) what is withheld for other reasons.

    Returns:
        By reporting level, (nodes, columns): True is not published.
    """
    hidden = {level: part.copy() for level, part in hidden.items()}
    levels = sorted(hidden)
    parents = {lower: tree.ancestors(lower, upper) for lower, upper in pairwise(levels)}
    before = -1
    while before != (count := sum(int(part.sum()) for part in hidden.values())):
        before = count
        # The figure of a coarsest area is part of no other, and can go alone.
        alone = np.ones_like(hidden[levels[-1]])
        for lower, upper in reversed(list(pairwise(levels))):
            parent = parents[lower]
            _complete(estimates[lower], hidden[lower], hidden[upper], alone, parent)
            alone = (_missing(hidden[lower], parent) + hidden[upper] > 0)[parent]
    return hidden


def _complete(
    estimates: NDArray[np.int64],
    lower: NDArray[np.bool_],
    upper: NDArray[np.bool_],
    alone: NDArray[np.bool_],
    parent: NDArray[np.int64],
) -> None:
    """Withhold one more figure of each area that has a single one, in place.

    Args:
        estimates: (parts, columns).
        lower: (parts, columns) which of them are withheld.
        upper: (areas, columns) which sums of them are withheld.
        alone: (areas, columns) whether a sum can be withheld and nothing beside or above it.
        parent: (parts,) the area of each.
    """
    missing = _missing(lower, parent)
    first = _first(parent)
    parts = np.diff(first, append=len(parent))[:, None]
    single = missing + upper == 1
    left = parts - missing
    of_area = single & ~upper & ((left == 0) | (left == 1) & alone)
    of_part = single & ~of_area
    lower |= _smallest_published(estimates, lower, first, parent) & of_part[parent]
    upper |= of_area


def _first(parent: NDArray[np.int64]) -> NDArray[np.intp]:
    """Find where the parts of each area begin."""
    return np.flatnonzero(np.diff(parent, prepend=-1))


def _missing(hidden: NDArray[np.bool_], parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the withheld parts of each area: (areas, columns)."""
    counts: NDArray[np.int64] = np.add.reduceat(hidden, _first(parent), axis=0, dtype=np.int64)
    return counts


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
