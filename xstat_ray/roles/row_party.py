"""The row party: supplies (id, period, cell), holds the blinding of the cells, un-blinds the result."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.bounds import keep_per_group
from xstat_ray.crypto.derive import uniform_words
from xstat_ray.crypto.tags import sort_order
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs import domains, periods
from xstat_ray.inputs.tables import Batch, open_table
from xstat_ray.messages import Coefficients, Rows
from xstat_ray.privacy.design import Design
from xstat_ray.roles.intake import Extract, read_excluded, take
from xstat_ray.roles.party import Party
from xstat_ray.row_tree import Blinding, tree_of
from xstat_ray.shards import Shard, ShardGrid
from xstat_ray.study import Study


class RowParty(Party):
    """Telecom: knows in which cell a person was in which period."""

    role, other = "row", "column"

    def __init__(self, study: Study, table: Path | str, exclude: Sequence[Path | str] = ()) -> None:
        super().__init__(study, table, exclude)
        self._person = np.zeros(0, np.int32)
        self._period = np.zeros(0, np.uint32)
        self._cell = np.zeros(0, np.uint32)
        self._starts: NDArray[np.int64] | None = None

    def intake(self) -> int:
        """Read the table, bound every person's contribution, blind the cells; returns the number of persons.

        Raises:
            InputError: the table cannot be read or contributes nothing.
        """
        study, side = self._study, self._study.row
        table = open_table(
            self._table,
            id=side.id,
            times=[side.time] if side.time else [],
            numbers=[side.weight] if side.weight else [],
            values=[d.column for d in side.dimensions],
        )
        taken = take(study, table, side.id, read_excluded(self._exclude, side.id, study), self._extract)
        cell, period, *weight = taken.columns
        priority = uniform_words(self._seed, "bound of rows", len(cell))
        keep = keep_per_group((taken.person, period), study.bounds.rows, priority, *weight)
        self.counts = taken.counts
        self.counts.bound(keep)
        self._person = self._take_persons(taken.ids)[taken.person[keep]]
        self._period, self._cell = period[keep], self._blinding().forward[cell[keep]]
        return self.persons

    def _extract(self, batch: Batch) -> Extract:
        """Cell, period and, if there is one, weight of every row."""
        side = self._study.row
        cell = domains.encode(side.dimensions, batch.columns)
        period, inside = np.zeros(len(cell), np.uint32), np.ones(len(cell), bool)
        if side.time:
            period, inside = periods.to_periods(batch.columns[side.time], self._study.period)
        weight = [batch.columns[side.weight].to_numpy(zero_copy_only=False)] if side.weight else []
        return Extract(cell >= 0, inside, (cell, period, *weight))

    def prepare(self, grid: ShardGrid) -> None:
        """Put the rows into the order of the shards of `grid`, before the first `emit`."""
        shard = grid.shard_of(self._cell, self._period)
        order = np.argsort(shard, kind="stable")
        self._person, self._period, self._cell = self._person[order], self._period[order], self._cell[order]
        self._starts = np.searchsorted(shard[order], np.arange(len(grid.shards) + 1))

    def emit(self, shard: Shard) -> Rows:
        """The rows of one shard as (tag, blinded cell), sorted by tag. Pure: a repeat gives the same bytes."""
        if self._starts is None:
            raise ProtocolError("rows were asked for before the shards were prepared")
        own = slice(int(self._starts[shard.number]), int(self._starts[shard.number + 1]))
        tag = self._tags(self._person[own], self._period[own])
        order = sort_order(tag, self._cell[own])
        return Rows(shard=shard.number, tags=tag[order], cells=self._cell[own][order])

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
