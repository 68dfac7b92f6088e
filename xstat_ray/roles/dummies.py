"""The dummies that each party sends among its rows or flags.

They make the aggregator's view differentially private. Their numbers are drawn once in a release.
Their tags follow from the tag key, so that both parties know those of the rows that meet a flag.
See docs/padding.md.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.tags import Dummy, dummy_tags
from xstat_ray.model.shards import Shard
from xstat_ray.privacy.padding import Padding
from xstat_ray.util.secrecy import Secret


class Dummies(Secret):
    """One party's dummies in one release."""

    def __init__(self, padding: Padding, drawn: NDArray[np.int64]) -> None:
        """Take the numbers that `draw` gave, in any shape."""
        self._padding = padding
        self._drawn = drawn

    @staticmethod
    @abstractmethod
    def draw(padding: Padding) -> NDArray[np.int64]:
        """Draw fresh numbers of dummies for the whole release."""

    @property
    def copies(self) -> int:
        """R: the number of tags that a person has in a period."""
        return self._padding.copies


class RowDummies(Dummies):
    """The row party's dummies, by blinded cell."""

    @staticmethod
    def draw(padding: Padding) -> NDArray[np.int64]:
        """Draw (2, batches, cells) numbers: rows that meet a flag, and rows that meet none."""
        return np.stack(padding.draw_rows())

    def number(self, shard: Shard) -> int:
        """Count a shard's dummies."""
        return int(self._of_batch(shard.batch)[:, shard.region.start : shard.region.stop].sum())

    def of_shard(self, key: bytes, shard: Shard) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        """Return a shard's dummies: (N, 16) tags under the tag key, and (N,) blinded cells."""
        drawn = self._of_batch(shard.batch)
        region = np.arange(shard.region.start, shard.region.stop, dtype=np.uint32)
        tags = []
        cells = []
        for kind, numbers in zip((Dummy.MATCHED, Dummy.ROW), drawn, strict=True):
            ends = np.concatenate([[0], np.cumsum(numbers)])
            places = range(int(ends[shard.region.start]), int(ends[shard.region.stop]))
            tags.append(dummy_tags(key, kind, shard.batch, places))
            cells.append(np.repeat(region, numbers[shard.region.start : shard.region.stop]))
        return np.concatenate(tags), np.concatenate(cells)

    def _of_batch(self, batch: int) -> NDArray[np.int64]:
        """(2, cells) numbers of a batch."""
        return self._drawn.reshape(2, self._padding.batches, self._padding.cells)[:, batch]


class FlagDummies(Dummies):
    """The column party's dummies, all of which encrypt zero."""

    @staticmethod
    def draw(padding: Padding) -> NDArray[np.int64]:
        """Draw (batches,) numbers of flags that no row meets.

        The number of flags that rows meet is fixed.
        """
        return padding.draw_flags()

    def number(self) -> NDArray[np.int64]:
        """(batches,) numbers of dummy flags."""
        return self._drawn + self._padding.reserve

    def of_batch(self, key: bytes, batch: int) -> NDArray[np.uint8]:
        """Return a batch's dummies: (N, 16) tags under the tag key."""
        numbers = {Dummy.MATCHED: self._padding.reserve, Dummy.FLAG: int(self._drawn[batch])}
        return np.concatenate(
            [dummy_tags(key, kind, batch, range(number)) for kind, number in numbers.items()]
        )
