"""Shards: how the join is cut into independent units of work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Shard:
    """One region (a range of blinded cells) x one batch (a range of periods)."""

    number: int
    region: range
    """Blinded cell numbers."""
    batch: int
    """Number of the batch of periods, which is also the number of the flags it is joined with."""


@dataclass(frozen=True)
class ShardGrid:
    """Regions x batches; every (cell, period) of the study lies in exactly one shard."""

    regions: tuple[range, ...]
    batches: tuple[range, ...]
    """Ranges of period numbers."""

    @classmethod
    def plan(
        cls, cells: int, periods: range, shards: int, day: int = 1, length: int | None = None
    ) -> ShardGrid:
        """Cut into about `shards` shards, time first: a batch of periods needs only its own flags.

        A batch is a number of whole days or a whole fraction of a day, from the first period on,
        since that is how tables are partitioned. The cut depends on public figures alone. At least
        `shards` shards result where the domain is large enough.

        Args:
            cells: cells that the aggregator sees.
            periods: the study's span.
            shards: units of join work to aim for.
            day: periods of a day.
            length: periods of a batch, where it is given.
        """
        most = max(1, len(periods) // shards)
        if length is None and shards == 1:
            length = len(periods)
        elif length is None:
            length = most // day * day or max(
                part for part in range(1, most + 1) if day % part == 0
            )
        batches = tuple(periods[start : start + length] for start in range(0, len(periods), length))
        regions = min(-(-shards // len(batches)), cells)
        return cls(_cut(range(cells), regions), batches)

    @property
    def cells(self) -> int:
        """Cells of all regions."""
        return self.regions[-1].stop

    @property
    def shards(self) -> tuple[Shard, ...]:
        """All shards, those of one batch together."""
        batches = range(len(self.batches))
        return tuple(shard for batch in batches for shard in self.of_batch(batch))

    def of_batch(self, batch: int) -> list[Shard]:
        """The shards of a batch."""
        first = batch * len(self.regions)
        regions = enumerate(self.regions)
        return [Shard(first + place, region, batch) for place, region in regions]

    def places_of(
        self, cells: NDArray[np.integer], periods: NDArray[np.uint32], batches: range
    ) -> NDArray[np.integer]:
        """(N,) numbers of the shards of these blinded cells and periods, in as few bits as will do.

        Args:
            cells: (N,) blinded cells.
            periods: (N,) periods, all in these batches.
            batches: numbers of neighbouring batches; shards are counted from the first one's.
        """
        regions = len(self.regions)
        shards = regions * len(batches)
        kind = np.uint8 if shards <= 1 << 8 else np.uint16 if shards <= 1 << 16 else np.int64
        lengths = [len(self.batches[batch]) for batch in batches]
        first = np.arange(0, shards, regions).astype(kind)
        of_period = np.repeat(first, lengths)
        number: NDArray[np.integer] = of_period[
            periods - np.uint32(self.batches[batches.start].start)
        ]
        if regions > 1:
            number += self._region.astype(kind)[cells]
        return number

    def batch_of(self, periods: NDArray[np.uint32]) -> NDArray[np.int64]:
        """(N,) batch number of these periods."""
        number: NDArray[np.int64] = self._batch[periods - np.uint32(self.batches[0].start)]
        return number

    @cached_property
    def _region(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.regions)), [len(region) for region in self.regions])

    @cached_property
    def _batch(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.batches)), [len(batch) for batch in self.batches])


def _cut(whole: range, parts: int) -> tuple[range, ...]:
    edges = [whole.start + len(whole) * i // parts for i in range(parts + 1)]
    return tuple(range(low, high) for low, high in pairwise(edges))
