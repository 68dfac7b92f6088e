"""Rows in as few bytes as will do, as all rows of a day may be in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.roles.bounds import Located
from xstat_ray.util.arrays import run_starts


class Narrow(NamedTuple):
    """N numbers, none negative, in as few bytes as the span between them takes."""

    least: int
    above: NDArray[np.unsignedinteger[Any]]
    """(N,) what each has more than the least."""

    @classmethod
    def of(cls, numbers: NDArray[np.integer[Any]]) -> Narrow:
        """Take (N,) numbers."""
        if not len(numbers):
            return cls(0, np.zeros(0, np.uint8))
        least = int(numbers.min())
        above = np.empty(len(numbers), np.min_scalar_type(int(numbers.max()) - least))
        # What is left fits, so no bit of it is cut off.
        np.subtract(numbers, numbers.dtype.type(least), out=above, casting="unsafe")
        return cls(least, above)

    def take(self, rows: NDArray[np.intp] | slice) -> Narrow:
        """Select some of the numbers."""
        return Narrow(self.least, self.above[rows])

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return self.above.nbytes

    def write(self, out: NDArray[Any]) -> None:
        """Write the (N,) numbers in the type of `out`, where they must fit."""
        np.add(self.above, out.dtype.type(self.least), out=out, casting="unsafe")


class Listed(NamedTuple):
    """N numbers, each as its place in a list, in as few bytes as the list is long."""

    distinct: NDArray[np.int32]
    place: NDArray[np.unsignedinteger[Any]]
    """(N,)"""

    @classmethod
    def of(cls, numbers: NDArray[np.int32]) -> Listed:
        """Take (N,) numbers; costs little where they ascend."""
        kind = np.min_scalar_type(len(numbers))
        if (numbers[1:] >= numbers[:-1]).all():
            starts = run_starts(numbers)
            distinct = numbers[starts]
            size = np.diff(starts, append=len(numbers))
            place = np.repeat(np.arange(len(starts), dtype=kind), size)
        else:
            distinct, place = np.unique(numbers, return_inverse=True)
        return cls(distinct, place.astype(np.min_scalar_type(len(distinct)), copy=False))

    def take(self, rows: NDArray[np.intp] | slice) -> Listed:
        """Select some of the numbers."""
        return Listed(self.distinct, self.place[rows])

    @property
    def nbytes(self) -> int:
        """Bytes that they take, with their list."""
        return self.place.nbytes + self.distinct.nbytes

    def write(self, out: NDArray[Any]) -> None:
        """Write the (N,) numbers in the type of the list."""
        # Any mode but "raise" lets take write straight into its output.
        np.take(self.distinct, self.place, out=out, mode="clip")


class NarrowRows(NamedTuple):
    """N rows in the clear: who was where, and when; see `Located`."""

    person: Narrow | Listed
    period: Narrow
    cell: Narrow

    @classmethod
    def of(cls, rows: Located) -> NarrowRows:
        """Take N rows; costs little where persons ascend."""
        narrow = Narrow.of(rows.person)
        listed = Listed.of(rows.person)
        person = listed if listed.nbytes < narrow.nbytes else narrow
        return cls(person, Narrow.of(rows.period), Narrow.of(rows.cell))

    def take(self, rows: NDArray[np.intp] | slice) -> NarrowRows:
        """Select rows; a slice of them is not copied."""
        return NarrowRows(self.person.take(rows), self.period.take(rows), self.cell.take(rows))

    @property
    def number(self) -> int:
        """Number of rows."""
        return len(self.cell.above)

    @property
    def nbytes(self) -> int:
        """Bytes that the rows take, with the list of persons where there is one."""
        return self.person.nbytes + self.period.nbytes + self.cell.nbytes

    def write(self, out: Located) -> None:
        """Write the rows to `out`, which has as many."""
        self.person.write(out.person)
        self.period.write(out.period)
        self.cell.write(out.cell)


def widened(parts: Sequence[NarrowRows]) -> Located:
    """Join the rows of the parts, in their order, as they were before."""
    size = sum(part.number for part in parts)
    person = np.empty(size, np.int32)
    joined = Located(person, np.empty(size, np.uint32), np.empty_like(person))
    end = 0
    for part in parts:
        start = end
        end += part.number
        part.write(joined.take(slice(start, end)))
    return joined
