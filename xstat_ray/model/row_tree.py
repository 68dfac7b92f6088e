"""The row tree: the cells of the row domain are its leaves.

Row dimensions stand under each other, each with its own hierarchy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.dimension import Dimension

EMPTY = -1
"""In place of a declared number: of a node that stands for nothing."""


@dataclass(frozen=True)
class RowTree:
    """A hierarchy over the cells, all leaves at the same depth.

    The tree puts the nodes of every level into an order in which those of one parent are
    consecutive.
    """

    parents: tuple[NDArray[np.int64], ...]
    """From the leaves up: `parents[l][i]` is the number, on level l+1, of the parent of node i of
    level l. The last array is all zeros: its parent is the root."""
    nodes: tuple[NDArray[np.int64], ...]
    """From the leaves up: `nodes[l][i]` is the declared number (of a cell, a municipality) of node
    i of level l, or `EMPTY`."""

    @classmethod
    def of_dimensions(cls, sizes: Sequence[int]) -> RowTree:
        """The tree of a product domain: one level per dimension, the last one at the leaves."""
        return cls.product([cls.of_groups(size, ()) for size in sizes])

    @classmethod
    def of_groups(cls, size: int, groups: Sequence[Sequence[int]]) -> RowTree:
        """The tree of one dimension.

        Args:
            size: number of labels.
            groups: from fine to coarse, the group that each node of the level below belongs to, in
                any order.
        """
        ancestors = [np.arange(size)]
        for group in groups:
            ancestors.append(np.asarray(group, np.int64)[ancestors[-1]])
        order = np.lexsort(ancestors)
        by_level = [level[order] for level in ancestors] + [np.zeros(size, np.int64)]
        firsts = [np.flatnonzero(np.diff(level, prepend=-1)) for level in by_level]
        numbers = [np.searchsorted(first, np.arange(size), side="right") - 1 for first in firsts]
        return cls(
            parents=tuple(numbers[level + 1][first] for level, first in enumerate(firsts[:-1])),
            nodes=tuple(level[first] for level, first in zip(by_level, firsts, strict=True)),
        )

    @classmethod
    def product(cls, trees: Sequence[RowTree]) -> RowTree:
        """The tree of several dimensions: a copy of each under every leaf of those before it."""
        whole = trees[0]
        for tree in trees[1:]:
            prefix = np.arange(whole.cells)[:, None]
            parents = [
                (prefix * above + parent).ravel()
                for parent, above in zip(tree.parents, tree.sizes[1:], strict=True)
            ]
            declared = whole.nodes[0][:, None]
            nodes = [
                (declared * size + below).ravel()
                for below, size in zip(tree.nodes[:-1], tree.sizes, strict=False)
            ]
            whole = cls((*parents, *whole.parents), (*nodes, *whole.nodes))
        return whole

    def only(self, levels: Sequence[int]) -> RowTree:
        """The tree of some levels alone: each under the next, the last under the root.

        Args:
            levels: ascending, from 0.
        """
        parents = [self.ancestors(lower, upper) for lower, upper in pairwise(levels)]
        top = np.zeros(self.sizes[levels[-1]], np.int64)
        nodes = [self.nodes[level] for level in levels]
        return RowTree((*parents, top), (*nodes, np.zeros(1, np.int64)))

    def filled(self) -> RowTree:
        """The tree with empty nodes, so that all nodes of a level have equally many children.

        These are as many as the one with the most has; an empty node's children are empty.
        """
        place = np.zeros(1, np.int64)
        size = 1
        parents: list[NDArray[np.int64]] = []
        nodes = [self.nodes[-1]]
        for level in reversed(range(len(self.parents))):
            parent = self.parents[level]
            children = self.most_children[level]
            rank = np.arange(len(parent)) - self.first_children[level][parent]
            place = place[parent] * children + rank
            parents.insert(0, np.repeat(np.arange(size), children))
            size *= children
            declared = np.full(size, EMPTY)
            declared[place] = self.nodes[level]
            nodes.insert(0, declared)
        return RowTree(tuple(parents), tuple(nodes))

    @cached_property
    def most_children(self) -> tuple[int, ...]:
        """From the leaves up: the most children, on level l, of a node of level l+1."""
        return tuple(int(np.bincount(parent).max()) for parent in self.parents)

    @property
    def filled_sizes(self) -> tuple[int, ...]:
        """Number of nodes of every level of `filled`, which may be too large to make."""
        sizes = [1]
        for children in reversed(self.most_children):
            sizes.insert(0, sizes[0] * children)
        return tuple(sizes)

    @property
    def cells(self) -> int:
        """Number of leaves."""
        return len(self.parents[0])

    def ancestors(self, lower: int, upper: int) -> NDArray[np.int64]:
        """(nodes of `lower`,) the node of level `upper` that each lies under."""
        ancestor = np.arange(self.sizes[lower])
        for parent in self.parents[lower:upper]:
            ancestor = parent[ancestor]
        return ancestor

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of nodes of every level, from the cells up to the root."""
        return (*(len(parent) for parent in self.parents), 1)

    @cached_property
    def first_children(self) -> tuple[NDArray[np.intp], ...]:
        """From the leaves up: where the children of a node begin.

        `first_children[l][i]` is the first node of level l under node i of level l+1.

        Raises:
            ValueError: a node without children, or children that are not in the order of their
                parents.
        """
        for parent, above in zip(self.parents, self.sizes[1:], strict=True):
            if (
                not np.array_equal(np.unique(parent), np.arange(above))
                or (np.diff(parent) < 0).any()
            ):
                raise ValueError("every node needs children, in the order of their parents")
        return tuple(np.flatnonzero(np.diff(parent, prepend=-1)) for parent in self.parents)


def tree_of(dimensions: Sequence[Dimension]) -> RowTree:
    """The row tree of a study: its row dimensions under each other, each with its hierarchy."""
    return RowTree.product(
        [RowTree.of_groups(d.size, [level.parents for level in d.hierarchy]) for d in dimensions]
    )


def level_names(dimensions: Sequence[Dimension]) -> tuple[str, ...]:
    """What the levels of that tree are called, from `cell` up to `total`.

    A level of a hierarchy has its own name. Above a whole dimension stand the cells of the
    dimensions before it, named after these.
    """
    names = ["cell"]
    for place in reversed(range(len(dimensions))):
        names += [level.name for level in dimensions[place].hierarchy]
        names.append(" x ".join(d.name for d in dimensions[:place]) or "total")
    return tuple(names)


def level_labels(dimensions: Sequence[Dimension], level: int) -> list[str]:
    """The label of every node of a level, in declared order."""
    for place in reversed(range(len(dimensions))):
        dimension = dimensions[place]
        chain = [dimension.labels, *(level.labels for level in dimension.hierarchy)]
        if level < len(chain):
            before = [d.labels for d in dimensions[:place]]
            return [" / ".join(labels) for labels in product(*before, chain[level])]
        level -= len(chain)
    return ["total"]
