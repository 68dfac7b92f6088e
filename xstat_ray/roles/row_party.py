"""The row party: supplies (id, period, cell), holds the blinding of the cells, un-blinds the result."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.bounds import Located, bound_rows, places
from xstat_ray.crypto.derive import keyed_words
from xstat_ray.crypto.tags import sort_order, with_copy
from xstat_ray.errors import ProtocolError
from xstat_ray.messages import Coefficients, Rows
from xstat_ray.privacy.design import Design
from xstat_ray.roles.dummies import RowDummies
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.party import Party
from xstat_ray.roles.row_table import NOTHING, WHOLE, RowTable, Share
from xstat_ray.row_tree import Blinding, tree_of
from xstat_ray.shards import Shard, ShardGrid
from xstat_ray.study import Study


class RowParty(Party):
    """Telecom: knows in which cell a person was in which period."""

    role, other, divided, padded = "row", "column", True, RowDummies

    def __init__(self, study: Study, table: Path | str, exclude: Sequence[Path | str] = ()) -> None:
        super().__init__(study, table, exclude)
        self._rows: RowTable | None = None
        self._share = WHOLE
        self._dummies: RowDummies | None = None
        self._grid: ShardGrid | None = None
        self._batch = -1
        self._located, self._starts = NOTHING, np.zeros(0, np.int64)

    def intake(self, share: Share = WHOLE) -> int:
        """Survey the table; returns the number of persons in this environment's share.

        Raises:
            InputError: the table cannot be read or contributes nothing.
        """
        self._share = share
        self._rows = RowTable(self._study, self._table, self._exclude, share)
        self._take_persons(self._rows.survey(), self._rows.first_person)
        return self.persons

    def replica_digest(self) -> str:
        """Keyed hash of who is in the table how often: reading the whole of it once more would take long."""
        return hmac.digest(self._seed, self._surveyed.contents, "sha256").hex()

    @property
    def counts(self) -> IntakeCounts:
        """What became of the rows of this environment's persons, in the batches that were emitted."""
        return self._surveyed.counts

    @property
    def _surveyed(self) -> RowTable:
        if self._rows is None:
            raise ProtocolError("the intake has not taken place")
        return self._rows

    def prepare(self, grid: ShardGrid, drawn: bytes | None = None) -> None:
        """Take the cut into shards, and what the first environment's `draw` gave, before the first `emit`."""
        numbers = self._numbers(grid, drawn)
        self._dummies = RowDummies(grid, *numbers) if numbers else None
        self._grid, self._batch = grid, -1
        self._surveyed.rewind()

    def emit(self, shard: Shard, *contributed: bytes) -> Rows:
        """The rows of one shard as (tag, blinded cell), sorted by tag. Pure: a repeat gives the same bytes.

        The rows of the shard's batch are read from the table when its first shard comes up, and kept until another
        batch does, so shards are best asked for in order.

        With padding one environment emits a whole shard: its own rows, those that every other environment has
        `contributed`, and the dummies. Without, each emits its own.

        Raises:
            InputError: a value of the table cannot be read.
            ProtocolError: with padding, another number of contributions than there are other environments.
        """
        channel, digest = self._channel(self.role), self._study.digest
        parts = [self._own(shard), *(Rows.decode(channel.open(s, _own_of(shard)), digest) for s in contributed)]
        tags, cells = [part.tags for part in parts], [part.cells for part in parts]
        if self._dummies is not None:
            if len(parts) != self._share.of:
                raise ProtocolError("a padded shard needs the rows of every environment of the row party")
            dummies = self._dummies.of_shard(self._agreed.tag_key, shard)
            tags, cells = [*tags, dummies[0]], [*cells, dummies[1]]
        tag, cell = np.concatenate(tags), np.concatenate(cells)
        order = sort_order(tag, cell)
        return Rows(shard=shard.number, tags=tag[order], cells=cell[order])

    def contribute(self, shard: Shard) -> bytes:
        """The rows of one shard that this environment has, sealed for the one that emits it."""
        return self._channel(self.role).seal(self._own(shard).encode(self._study.digest), _own_of(shard))

    def _own(self, shard: Shard) -> Rows:
        """This environment's rows of a shard, in no particular order."""
        if self._grid is None:
            raise ProtocolError("rows were asked for before the shards were prepared")
        if self._batch != shard.batch:
            self._load(self._grid, shard.batch)
        region = self._grid.regions.index(shard.region)
        own = self._located.take(slice(int(self._starts[region]), int(self._starts[region + 1])))
        return Rows(shard=shard.number, tags=self._tags(own.person, own.period), cells=own.cell.astype(np.uint32))

    def _load(self, grid: ShardGrid, batch: int) -> None:
        """Read a batch, bound every person's contribution, blind the cells, and put the rows in order of region."""
        self._batch, self._located = -1, NOTHING
        table, wanted = self._surveyed, grid.batches[batch]
        located, weight = table.read(wanted)
        located = bound_rows(located, weight, self._study.bounds.rows, partial(self._draw, table.first_person))
        table.bounded(wanted, len(located.cell))
        if self._dummies is not None and self._dummies.copies > 1:
            located = located._replace(period=with_copy(located.period, places(located)))
        located = located._replace(cell=self._blinding().forward[located.cell].astype(np.int32))
        region = grid.region_of(located.cell)
        if len(grid.regions) > 1:
            order = np.argsort(region, kind="stable")
            located, region = located.take(order), region[order]
        self._located, self._starts = located, np.searchsorted(region, np.arange(len(grid.regions) + 1))
        self._batch = batch

    def _draw(self, first: int, rows: Located, number: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Words that choose among the rows of a person, whichever environment the person is in."""
        person = rows.person.astype(np.int64) + first
        return keyed_words(self._seed, "bound of rows", person, rows.period, rows.cell, number)

    def unblind(self, sealed: Sequence[bytes]) -> Coefficients:
        """Put the key holder's noisy coefficients, which come in parts, back into declared order, level by level.

        Raises:
            ProtocolError: altered, of another study, of different releases, or not the whole table.
        """
        channel = self._channel(self.other)
        parts = [Coefficients.decode(channel.open(s, "coefficients"), self._study.digest) for s in sealed]
        parts.sort(key=lambda part: part.first)
        blinded = np.concatenate([part.values for part in parts])
        ends = np.cumsum([0] + [len(part.values) for part in parts])
        design = Design.of_study(self._study)
        complete = blinded.shape == (design.nodes, self._study.slots)
        if not complete or [part.first for part in parts] != ends[:-1].tolist() or len({p.release for p in parts}) > 1:
            raise ProtocolError("the coefficients are not the whole of one release's table")
        blinding, pairs = self._blinding(), zip(design.levels, design.sections, strict=True)
        levels = [blinding.restore(measured.level, blinded[own]) for measured, own in pairs]
        return Coefficients(release=parts[0].release, first=0, values=np.concatenate(levels))

    def tree_starts(self) -> list[NDArray[np.int64]]:
        """For every measured level above the cells, where its nodes begin on the measured level below, blinded."""
        measured, blinding = [m.level for m in Design.of_study(self._study).levels], self._blinding()
        return [blinding.starts(lower, upper) for lower, upper in pairwise(measured)]

    def _blinding(self) -> Blinding:
        return Blinding(tree_of(self._study.row.dimensions), self._seed)


def _own_of(shard: Shard) -> str:
    return f"rows of shard {shard.number}"
