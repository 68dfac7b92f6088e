"""The dummies that each party sends among its rows or flags.

They make the aggregator's view differentially private. Their numbers are drawn once in a release.
Their tags follow from the tag keys, so that both ends of a link know those of the rows that meet a
flag. See docs/padding.md.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

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

    def copies(self, row_party: int = 0) -> int:
        """R: the number of tags that a person has in a period on the links of a row party.

        Args:
            row_party: place of the row party in the study.
        """
        return self._padding.rows[row_party]


class RowDummies(Dummies):
    """The row party's dummies, by blinded cell.

    With each column party it has a tag key, and a row has a tag under each. Where a row meets flags
    of some column parties, it has tags of no flag for the others.
    """

    @staticmethod
    def draw(padding: Padding) -> NDArray[np.int64]:
        """Draw (kinds, batches, cells) numbers; `Padding.meets` tells what a kind meets."""
        return padding.draw_rows()

    def number(self, shard: Shard) -> int:
        """Count a shard's dummies."""
        return int(self._of_batch(shard.batch)[:, shard.region.start : shard.region.stop].sum())

    def of_shard(
        self, keys: Sequence[bytes], shard: Shard
    ) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint32]]:
        """Return a shard's dummies.

        Args:
            keys: the tag key of every column party, in the order of the study.
            shard: the shard.

        Returns:
            For each of the keys (N, 16) tags, and (N,) blinded cells.
        """
        drawn = self._of_batch(shard.batch)
        inside = slice(shard.region.start, shard.region.stop)
        region = np.arange(shard.region.start, shard.region.stop, dtype=np.uint32)
        cells = [np.repeat(region, numbers[inside]) for numbers in drawn]
        meets = self._padding.meets.T
        tags = [
            self._tags(key, shard, drawn, meets_party)
            for key, meets_party in zip(keys, meets, strict=True)
        ]
        return tags, np.concatenate(cells)

    def _tags(
        self, key: bytes, shard: Shard, drawn: NDArray[np.int64], meets: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """Make the (N, 16) tags of a shard's dummies for one column party, kind by kind.

        Those that meet its flags are numbered through all kinds and cells of the batch, and so are
        those that do not.

        Args:
            key: the tag key that both have.
            shard: the shard.
            drawn: (kinds, cells) numbers of the batch.
            meets: (kinds,) whether they meet flags of the party.
        """
        used = {Dummy.MATCHED: 0, Dummy.ROW: 0}
        tags = []
        for numbers, met in zip(drawn, meets.tolist(), strict=True):
            kind = Dummy.MATCHED if met else Dummy.ROW
            ends = used[kind] + np.concatenate([[0], np.cumsum(numbers)])
            places = range(int(ends[shard.region.start]), int(ends[shard.region.stop]))
            tags.append(dummy_tags(key, kind, shard.batch, places))
            used[kind] = int(ends[-1])
        return np.concatenate(tags)

    def _of_batch(self, batch: int) -> NDArray[np.int64]:
        """(kinds, cells) numbers of a batch."""
        return self._drawn.reshape(-1, self._padding.batches, self._padding.cells)[:, batch]


class FlagDummies(Dummies):
    """A column party's dummies for each row party, all of which encrypt zero."""

    @staticmethod
    def draw(padding: Padding) -> NDArray[np.int64]:
        """Draw (row parties, batches) numbers of flags that no row meets.

        The number of flags that rows meet is fixed.
        """
        return padding.draw_flags()

    def number(self, row_party: int = 0) -> NDArray[np.int64]:
        """(batches,) numbers of dummy flags for a row party, by its place in the study."""
        return self._of(row_party) + self._padding.reserve

    def of_batch(self, key: bytes, batch: int, row_party: int = 0) -> NDArray[np.uint8]:
        """Return a batch's dummies for a row party: (N, 16) tags.

        Args:
            key: the tag key that both have.
            batch: number of the batch.
            row_party: place of the row party in the study.
        """
        unmet = int(self._of(row_party)[batch])
        numbers = {Dummy.MATCHED: self._padding.reserve, Dummy.FLAG: unmet}
        return np.concatenate(
            [dummy_tags(key, kind, batch, range(number)) for kind, number in numbers.items()]
        )

    def _of(self, row_party: int) -> NDArray[np.int64]:
        """(batches,) numbers of flags for a row party that are not met."""
        of_row: NDArray[np.int64] = self._drawn.reshape(-1, self._padding.batches)[row_party]
        return of_row
