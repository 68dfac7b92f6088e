"""Rows of the row party in the order in which they leave: shard by shard."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.tags import with_copy
from xstat_ray.model.shards import ShardGrid
from xstat_ray.roles.bounds import Located, places
from xstat_ray.roles.narrow_rows import Narrow, NarrowRows, widened


class RowsByShard(NamedTuple):
    """Rows, with blinded cells, in the order of their shards."""

    rows: NarrowRows
    starts: NDArray[np.int64]
    """Where the rows of each shard begin, and behind them the end of the last."""
    merged: int = 0
    """Rows of the table that were added to another of these."""

    @classmethod
    def of(cls, rows: Located, grid: ShardGrid, batches: range, merged: int = 0) -> RowsByShard:
        """Sort rows by shard.

        Args:
            rows: rows with blinded cells, all of them in these batches.
            grid: the cut into shards.
            batches: numbers of neighbouring batches; shards are counted from the first one's.
            merged: rows of the table that were added to another.
        """
        narrow = NarrowRows.of(rows)
        shards = len(grid.regions) * len(batches)
        if shards == 1:
            return cls(narrow, np.array([0, len(rows.cell)]), merged)
        number = grid.places_of(rows.cell, rows.period, batches)
        # numpy sorts numbers of 8 and of 16 bits by counting.
        order = np.argsort(number, kind="stable")
        starts = np.append(0, np.cumsum(np.bincount(number, minlength=shards)))
        return cls(narrow.take(order), starts, merged)

    def numbered(self, copies: int) -> RowsByShard:
        """Tell the rows of a person in a period apart, so that each gets a tag of its own.

        Args:
            copies: most rows of a person in a period; with one there is nothing to tell apart.
        """
        if copies == 1:
            return self
        rows = widened([self.rows])
        period = Narrow.of(with_copy(rows.period, places(rows)))
        return self._replace(rows=self.rows._replace(period=period))

    @property
    def number(self) -> int:
        """Number of rows."""
        return int(self.starts[-1])

    def shard(self, number: int) -> NarrowRows:
        """Return the rows of one shard, counted from the first; they are not copied."""
        return self.rows.take(slice(int(self.starts[number]), int(self.starts[number + 1])))
