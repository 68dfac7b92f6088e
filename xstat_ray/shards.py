"""Shards: how the join is cut into independent units of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    def plan(cls, cells: int, periods: range, shards: int, batches: int | None = None) -> ShardGrid:
        """Cut into about `shards` shards, time first: a batch of periods needs only its own flags.

        The cut depends on public figures alone. At least `shards` shards result where the domain is large enough.
        `batches` fixes the number of batches.
        """
        batches = min(batches or shards, len(periods))
        regions = min(-(-shards // batches), cells)
        return cls(_cut(range(cells), regions), _cut(periods, batches))

    @property
    def shards(self) -> tuple[Shard, ...]:
        """All shards, those of one batch together."""
        grid = [(region, batch) for batch in range(len(self.batches)) for region in self.regions]
        return tuple(Shard(number, region, batch) for number, (region, batch) in enumerate(grid))

    def shard_of(self, cells: NDArray[np.uint32], periods: NDArray[np.uint32]) -> NDArray[np.int64]:
        """(N,) shard number of rows with these blinded cells and periods."""
        return self.batch_of(periods) * len(self.regions) + self.region_of(cells)

    def region_of(self, cells: NDArray[np.integer]) -> NDArray[np.uint16]:
        """(N,) number of the region of these blinded cells."""
        return _which(self.regions, cells).astype(np.uint16)

    def own(self, batch: int) -> tuple[Shard, ...]:
        """The shards of one batch, by region."""
        return self.shards[batch * len(self.regions) : (batch + 1) * len(self.regions)]

    def batch_of(self, periods: NDArray[np.uint32]) -> NDArray[np.int64]:
        """(N,) batch number of these periods."""
        return _which(self.batches, periods)


def _cut(whole: range, parts: int) -> tuple[range, ...]:
    edges = [whole.start + len(whole) * i // parts for i in range(parts + 1)]
    return tuple(range(low, high) for low, high in pairwise(edges))


def _which(ranges: Sequence[range], values: NDArray[np.integer]) -> NDArray[np.int64]:
    starts = np.array([r.start for r in ranges], np.int64)
    return np.searchsorted(starts, values.astype(np.int64), side="right") - 1
