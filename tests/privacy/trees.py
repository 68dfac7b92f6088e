"""Trees for tests, and plain sums over them."""

from __future__ import annotations

import numpy as np

from xstat_ray.model.row_tree import RowTree


def ragged(rng: np.random.Generator, depth: int, most: int = 4) -> RowTree:
    """A tree of `depth` levels below the root; every node has between one and `most` children."""
    parents = []
    nodes = 1
    for _ in range(depth):
        parent = np.repeat(np.arange(nodes), rng.integers(1, most + 1, nodes))
        parents.append(parent)
        nodes = len(parent)
    return from_parents(*reversed(parents))


def from_parents(*parents: np.ndarray | list[int]) -> RowTree:
    """The tree with these parents, from the leaves up; its order is the declared one."""
    arrays = tuple(np.asarray(parent, np.int64) for parent in parents)
    return RowTree(arrays, (*(np.arange(len(parent)) for parent in arrays), np.zeros(1, np.int64)))


def sums(tree: RowTree, cells: np.ndarray) -> list[np.ndarray]:
    """The values of every level, by plain addition."""
    levels = [cells]
    for parent, size in zip(tree.parents, tree.sizes[1:], strict=True):
        above = np.zeros((size, *cells.shape[1:]), cells.dtype)
        np.add.at(above, parent, levels[-1])
        levels.append(above)
    return levels
