"""The values of measures as a party reads them: rounded, within their bounds, less their middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.measure import Measure

_MISSING = 1
_CLIPPED = 2


class CentredValues(NamedTuple):
    """The values of N rows."""

    values: NDArray[np.int64]
    """(N, measures) less the middle of the bounds; 0 where there is none."""
    became: NDArray[np.int8]
    """(N, measures) whether a value was missing (1), or was moved to a bound (2)."""

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> CentredValues:
        """Select rows."""
        return CentredValues(self.values[rows], self.became[rows])

    def words(self, measures: Sequence[Measure]) -> list[NDArray[np.int64]]:
        """Give the values of each measure as (N,) numbers from 0, below 2^32."""
        return [self.values[:, place] + measure.reach for place, measure in enumerate(measures)]

    def counts(self, measures: Sequence[Measure]) -> list[dict[str, str | int]]:
        """Count what became of the values of each measure, as JSON holds it."""
        missing, clipped = (np.sum(self.became == what, axis=0) for what in (_MISSING, _CLIPPED))
        return [
            {"name": measure.name, "missing": int(missing[i]), "clipped": int(clipped[i])}
            for i, measure in enumerate(measures)
        ]


def read_values(
    measures: Sequence[Measure], columns: Mapping[str, NDArray[np.float64]], rows: int
) -> CentredValues:
    """Read the values of a chunk.

    Values are rounded to whole numbers, halves to even ones, and then moved to the nearest bound
    where they are outside.

    Args:
        measures: what is read.
        columns: (rows,) numbers by column, NaN where there is none.
        rows: rows of the chunk.
    """
    values = np.zeros((rows, len(measures)), np.int64)
    became = np.zeros((rows, len(measures)), np.int8)
    for place, measure in enumerate(measures):
        read = np.rint(columns[measure.column])
        missing = np.isnan(read)
        clipped = np.clip(read, measure.low, measure.high)
        became[:, place] = np.where(missing, _MISSING, _CLIPPED * (clipped != read))
        values[:, place] = np.where(missing, measure.mid, clipped).astype(np.int64) - measure.mid
    return CentredValues(values, became)
