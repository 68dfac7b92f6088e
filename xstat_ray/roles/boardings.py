"""What the column party has of its table: boardings within their bounds, and flags to encrypt."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.roles.centred_values import CentredValues


class Boardings(NamedTuple):
    """N boardings within their bounds."""

    person: NDArray[np.int32]
    """(N,) numbers."""
    who: NDArray[np.uint64]
    """(N,) words that stand for the persons."""
    base: NDArray[np.int32]
    """(N,) slots without the offset."""
    period: NDArray[np.uint32]
    """(N, W) periods in which each boarding counts."""
    inside: NDArray[np.bool_]
    """(N, W) whether they lie in the study."""
    values: CentredValues

    def take(self, rows: NDArray[np.bool_]) -> Boardings:
        """Select rows."""
        return Boardings(
            self.person[rows],
            self.who[rows],
            self.base[rows],
            self.period[rows],
            self.inside[rows],
            self.values.take(rows),
        )


class PlainFlags(NamedTuple):
    """M flags before they are encrypted."""

    tag: NDArray[np.uint8]
    slot: NDArray[np.int64]
    values: NDArray[np.int64]
    """(M, measures) less the middle of their bounds."""

    def take(self, rows: slice) -> PlainFlags:
        """Select rows."""
        return PlainFlags(self.tag[rows], self.slot[rows], self.values[rows])
