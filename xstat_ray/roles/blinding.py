"""The blinding of the row tree: a secret order of the children of every node, which hides names but not sizes.

Before rows leave the row party their cell numbers go through this keyed relabelling. Neighbours stay
neighbours, so that sums up the tree remain sums of consecutive numbers.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import uniform_words
from xstat_ray.model.row_tree import RowTree
from xstat_ray.util.secrecy import Secret


class Blinding(Secret):
    """The row party's secret relabelling of the cells of one release."""

    def __init__(self, tree: RowTree, secret: bytes) -> None:
        """Derive the order of the children of every node from `secret` (32 bytes, the row party's, per release)."""
        self._tree = tree
        positions = [np.zeros(1, np.int64)]
        for level in reversed(range(len(tree.parents))):
            parent = tree.parents[level]
            priority = uniform_words(secret, f"row tree level {level}", len(parent))
            order = np.lexsort((priority, positions[0][parent]))
            own = np.empty(len(parent), np.int64)
            own[order] = np.arange(len(parent))
            positions.insert(0, own)
        self._positions = positions

    @cached_property
    def forward(self) -> NDArray[np.uint32]:
        """(cells,) blinded number of every cell."""
        forward = np.empty(self._tree.cells, np.uint32)
        forward[self._tree.nodes[0]] = self._positions[0]
        return forward

    def restore(self, level: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put (nodes, ...) values of a level from blinded into declared order."""
        restored = np.empty_like(values)
        restored[self._tree.nodes[level]] = values[self._positions[level]]
        return restored

    def starts(self, lower: int, upper: int) -> NDArray[np.int64]:
        """(nodes of `upper`,) where the descendants of each node begin on level `lower`, both in blinded order.

        This is all that the aggregator is told of the tree: sizes without names.
        """
        ancestor = self._tree.ancestors(lower, upper)
        counts = np.bincount(self._positions[upper][ancestor], minlength=self._tree.sizes[upper])
        starts: NDArray[np.int64] = np.cumsum(counts) - counts
        return starts
