"""Divides rows among groups of persons, where anybody may have rows in any part of a table.

Every part is divided once, in the order of its rows; what belongs to a group then lies together in
each. A group has so few rows that they stay in the processor's cache while they are sorted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.roles.bounds import Part
from xstat_ray.util.threads import each_in_threads, thread_count

T = TypeVar("T")
_GROUP_ROWS = 1 << 18
"""Rows of a group, about."""
_MOST_GROUPS = 1 << 8
"""Groups whose numbers have 8 bits, by which numpy sorts in one pass."""
_BUNCH_ROWS = 1 << 19
"""Rows that are divided together, at least: what a group has of fewer would be slivers."""


class Divided(NamedTuple):
    """Rows in the order of their groups, and within a group as they came."""

    part: Part
    starts: NDArray[np.int64]
    """Where the rows of each group begin, and behind them the end of the last."""

    @classmethod
    def of(cls, part: Part, size: int, groups: int) -> Divided:
        """Divide rows among groups, at most 256, of `size` persons with consecutive numbers."""
        if groups == 1:
            return cls(part, np.array([0, len(part.rows.person)]))
        number = (part.rows.person // np.int32(size)).astype(np.uint8)
        starts = np.append(0, np.cumsum(np.bincount(number, minlength=groups)))
        return cls(part.take(np.argsort(number, kind="stable")), starts)

    def group(self, number: int) -> Part:
        """Return the rows of a group; they are not copied."""
        return self.part.take(slice(int(self.starts[number]), int(self.starts[number + 1])))


def each_group(work: Callable[[Part], T], parts: list[Part], persons: int) -> list[T]:
    """Work on the rows of some persons at a time, in several threads.

    Args:
        work: called for every group with all rows of its persons, in the order of the parts; with
            none where nobody of the group has any.
        parts: rows of numbered persons, one part at least. The list is emptied, so that they are
            freed meanwhile.
        persons: number of persons.

    Returns:
        What `work` returned, in the order of the persons.
    """
    rows = sum(len(part.rows.person) for part in parts)
    groups = min(_MOST_GROUPS, max(thread_count(), -(-rows // _GROUP_ROWS)))
    size = max(1, -(-persons // groups))

    def divide(bunch: list[Part]) -> Divided:
        whole = bunch[0] if len(bunch) == 1 else Part.join(bunch)
        bunch.clear()
        return Divided.of(whole, size, groups)

    divided = each_in_threads(divide, _bunches(parts))
    return each_in_threads(
        lambda number: work(Part.join([of_bunch.group(number) for of_bunch in divided])),
        range(groups),
    )


def _bunches(parts: list[Part]) -> list[list[Part]]:
    """Empty a list of parts into bunches of neighbours with enough rows."""
    bunches: list[list[Part]] = [[]]
    rows = 0
    for part in parts:
        if rows >= _BUNCH_ROWS:
            bunches.append([])
            rows = 0
        bunches[-1].append(part)
        rows += len(part.rows.person)
    parts.clear()
    return bunches
