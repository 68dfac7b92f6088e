"""The blinding of the row tree: a secret order of the children of every node.

Before rows leave the row party, their cells are renumbered by this order. It hides the names of
nodes but not how many children they have: that is hidden by empty nodes, where the study has
padding. Nodes of one measured area stay neighbours, so that sums up the tree remain sums of
consecutive numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import uniform_words
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.row_tree import EMPTY, RowTree
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design
from xstat_ray.util.secrecy import Secret


class Blinding(Secret):
    """The row party's secret numbering of the cells of one release."""

    def __init__(self, tree: RowTree, secret: bytes) -> None:
        """Derive the order of the children of every node.

        Args:
            tree: what is shown of the row tree; its leaves are the cells.
            secret: 32 bytes that the row party alone knows, fresh for every release.
        """
        self._tree = tree
        positions = [np.zeros(1, np.int64)]
        for level in reversed(range(len(tree.parents))):
            parent = tree.parents[level]
            priority = uniform_words(secret, f"row tree level {level}", len(parent))
            order = np.lexsort((priority, positions[0][parent]))
            position = np.empty(len(parent), np.int64)
            position[order] = np.arange(len(parent))
            positions.insert(0, position)
        self._positions = positions

    @cached_property
    def forward(self) -> NDArray[np.uint32]:
        """(declared cells,) blinded numbers of the cells."""
        declared = self._tree.nodes[0]
        there = declared != EMPTY
        forward = np.empty(np.count_nonzero(there), np.uint32)
        forward[declared[there]] = self._positions[0][there]
        return forward

    def restore(self, level: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put the (nodes, ...) values of a level into declared order, without the empty nodes."""
        declared = self._tree.nodes[level]
        there = declared != EMPTY
        restored = np.empty((np.count_nonzero(there), *values.shape[1:]), values.dtype)
        restored[declared[there]] = values[self._positions[level][there]]
        return restored

    def starts(self, lower: int, upper: int) -> NDArray[np.int64]:
        """Tell where the descendants of each node begin on a lower level.

        This is all that the aggregator is told of the tree: sizes without names. Where the tree is
        filled it is told nothing, since its sizes follow from the plan.

        Args:
            lower: the level of the descendants.
            upper: the level of the nodes.

        Returns:
            (nodes of `upper`,) numbers on level `lower`, both in blinded order.
        """
        ancestor = self._tree.ancestors(lower, upper)
        counts = np.bincount(self._positions[upper][ancestor], minlength=self._tree.sizes[upper])
        starts: NDArray[np.int64] = np.cumsum(counts) - counts
        return starts


def in_declared_order(
    study: Study, blinding: Blinding, parts: Sequence[Coefficients]
) -> Coefficients:
    """Join the parts of one release's table, in declared order, level by level.

    What is decrypted of empty nodes is noise on zero, and is left out.

    Args:
        study: tells the measured levels and the columns.
        blinding: the order in which the table was laid out.
        parts: of one release, in any order.

    Raises:
        ProtocolError: the parts are of different releases, or not the whole table.
    """
    parts = sorted(parts, key=lambda part: part.first)
    blinded = np.concatenate([part.values for part in parts])
    ends = np.cumsum([0] + [len(part.values) for part in parts])
    design = Design.of_study(study)
    if (
        blinded.shape != (design.shown, study.width)
        or [part.first for part in parts] != ends[:-1].tolist()
        or len({part.release for part in parts}) > 1
    ):
        raise ProtocolError("the coefficients are not the whole of one release's table")
    levels = [
        blinding.restore(level, blinded[section])
        for level, section in enumerate(design.shown_sections)
    ]
    return Coefficients(release=parts[0].release, first=0, values=np.concatenate(levels))
