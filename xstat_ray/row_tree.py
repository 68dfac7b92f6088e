"""The row tree, and the blinding that hides which cell is which.

The cells of the row domain are the leaves of a tree, one level per row dimension. Before rows leave the row party their
cell numbers go through a keyed automorphism: at every inner node the children are put into a secret order. Neighbours
stay neighbours, so sums up the tree remain sums of consecutive numbers; names are hidden, sizes are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import uniform_words
from xstat_ray.secrecy import Secret


@dataclass(frozen=True)
class RowTree:
    """A hierarchy over the cells, all leaves at the same depth."""

    parents: tuple[NDArray[np.int64], ...]
    """From the leaves up: parents[l][i] is the number, on level l+1, of the parent of node i of level l. The last
    array is all zeros: its parent is the root. Nodes of one parent are consecutive."""

    @classmethod
    def of_dimensions(cls, sizes: Sequence[int]) -> RowTree:
        """The tree of a product domain: one level per dimension, the last dimension at the leaves."""
        counts = np.cumprod(np.asarray(sizes, np.int64))
        return cls(tuple(np.arange(counts[i]) // sizes[i] for i in reversed(range(len(sizes)))))

    @property
    def cells(self) -> int:
        """Number of leaves."""
        return len(self.parents[0])


class Blinding(Secret):
    """The row party's secret relabelling of the cells of one release."""

    def __init__(self, tree: RowTree, secret: bytes) -> None:
        """Derive the order of the children of every node from `secret` (32 bytes, the row party's, per release)."""
        position = np.zeros(1, np.int64)
        for level in reversed(range(len(tree.parents))):
            parent = tree.parents[level]
            priority = uniform_words(secret, f"row tree level {level}", len(parent))
            order = np.lexsort((priority, position[parent]))
            position = np.empty(len(parent), np.int64)
            position[order] = np.arange(len(parent))
        self.forward = position.astype(np.uint32)
        """(cells,) blinded number of every cell."""

    @cached_property
    def inverse(self) -> NDArray[np.uint32]:
        """(cells,) the cell behind every blinded number."""
        inverse = np.empty_like(self.forward)
        inverse[self.forward] = np.arange(len(self.forward), dtype=np.uint32)
        return inverse
