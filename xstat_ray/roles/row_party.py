"""The row party: supplies (id, period, cell), holds the blinding of the cells, un-blinds the result."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import keyed_words
from xstat_ray.crypto.tags import in_order, sort_order, with_copy
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Coefficients, Rows
from xstat_ray.model.row_tree import tree_of
from xstat_ray.model.shards import Shard, ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design
from xstat_ray.roles.blinding import Blinding
from xstat_ray.roles.bounds import (
    DisjointCheck,
    Located,
    NotDisjointError,
    Part,
    bound_rows,
    in_several_parts,
    places,
)
from xstat_ray.roles.dummies import RowDummies
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.party import Party
from xstat_ray.roles.row_table import NOTHING, WHOLE, RowTable, Share
from xstat_ray.util.memory import return_freed
from xstat_ray.util.threads import each_in_threads


class _Cut(NamedTuple):
    """Rows in order of their shards."""

    rows: Located
    starts: NDArray[np.int64]
    """Where each shard of a window begins, and the end of the last."""

    @classmethod
    def of(cls, rows: Located, grid: ShardGrid, window: range) -> _Cut:
        """Sort rows by shard, counted from the first of the window."""
        regions = len(grid.regions)
        number = grid.shard_of(rows.cell.astype(np.uint32), rows.period) - window.start * regions
        shards = regions * len(window)
        # numpy sorts numbers of 16 bits by counting.
        order = np.argsort(number.astype(np.uint16) if shards <= 1 << 16 else number, kind="stable")
        return cls(rows.take(order), np.searchsorted(number[order], np.arange(shards + 1)))

    def numbered(self, copies: int) -> _Cut:
        """With several rows of a person in a period told apart, so that each gets a tag of its own."""
        if copies == 1:
            return self
        return self._replace(
            rows=self.rows._replace(period=with_copy(self.rows.period, places(self.rows)))
        )

    def shard(self, number: int) -> Located:
        """The rows of one shard."""
        return self.rows.take(slice(int(self.starts[number]), int(self.starts[number + 1])))


class RowParty(Party):
    """Telecom: knows in which cell a person was in which period."""

    role = "row"
    other = "column"
    divided = True
    padded = RowDummies

    def __init__(
        self, study: Study, source: Source | Path | str, *, seed: bytes | None = None
    ) -> None:
        super().__init__(study, source, seed=seed)
        self._rows: RowTable | None = None
        self._share = WHOLE
        self._dummies: RowDummies | None = None
        self._grid: ShardGrid | None = None
        self._window = range(0)
        self._held = list[_Cut]()

    def intake(self, share: Share = WHOLE) -> int:
        """Survey the table; returns the number of persons in this environment's share.

        Raises:
            InputError: the table cannot be read or contributes nothing.
        """
        self._share = share
        self._rows = RowTable(self._study, self._source, share)
        self._set_aside = self._rows.set_aside
        self._exchange.take(self._rows.survey(), self._seed, self._rows.first_person)
        return self.persons

    def is_sorted(self) -> bool:
        """Whether every file of the table is sorted by id."""
        return not self._surveyed.unsorted

    def _table_facts(self) -> dict[str, Any]:
        return {"unsorted": self._surveyed.unsorted}

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

    def prepare(self, grid: ShardGrid, drawn: bytes | None = None) -> list[bool]:
        """Take the cut into shards, and what the first environment's `draw_dummies` gave, before the first `emit`.

        Returns:
            For every batch whether it can hold rows.
        """
        numbers = self._dummies_drawn(grid, drawn)
        self._dummies = RowDummies(*numbers) if numbers else None
        self._grid = grid
        self._window = range(0)
        self._surveyed.rewind()
        return [self._surveyed.has_rows(batch) for batch in grid.batches]

    def emit(self, shard: Shard, *contributed: bytes) -> Rows:
        """The rows of one shard as (tag, blinded cell), sorted by tag.

        Pure: a repeat gives the same bytes.

        The rows of all batches that lie in the same pieces of the table are read when the first of
        their shards comes up, and kept until another batch does, so shards are best asked for in
        order.

        With padding one environment emits a whole shard: its own rows, those that every other
        environment has `contributed`, and the dummies. Without, each emits its own.

        Raises:
            InputError: a value of the table cannot be read.
            ProtocolError: with padding, another number of contributions than there are other
                environments.
        """
        channel = self._channel(self.role)
        digest = self._study.digest
        parts = [
            self._own(shard),
            *(Rows.decode(channel.open(s, _own_of(shard)), digest) for s in contributed),
        ]
        tags = [part.tags for part in parts]
        cells = [part.cells for part in parts]
        if self._dummies is not None:
            if len(parts) != self._share.of:
                raise ProtocolError(
                    "a padded shard needs the rows of every environment of the row party"
                )
            dummies = self._dummies.of_shard(self._agreed.tag_key, shard)
            tags = [*tags, dummies[0]]
            cells = [*cells, dummies[1]]
        tag = np.concatenate(tags)
        cell = np.concatenate(cells)
        order = sort_order(tag, cell)
        return Rows(shard=shard.number, tags=in_order(tag, order), cells=cell[order])

    def contribute(self, shard: Shard) -> bytes:
        """The rows of one shard that this environment has, sealed for the one that emits it."""
        return self._channel(self.role).seal(
            self._own(shard).encode(self._study.digest), _own_of(shard)
        )

    def _own(self, shard: Shard) -> Rows:
        """This environment's rows of a shard, in no particular order."""
        if self._grid is None:
            raise ProtocolError("rows were asked for before the shards were prepared")
        if shard.batch not in self._window:
            self._load(self._grid, shard.batch)
        number = shard.number - self._window.start * len(self._grid.regions)
        own = Located.join([NOTHING, *(cut.shard(number) for cut in self._held)])
        return Rows(
            shard=shard.number,
            tags=self._tags(own.person, own.period),
            cells=own.cell.astype(np.uint32),
        )

    def _load(self, grid: ShardGrid, batch: int) -> None:
        """Read the window of a batch, bound every person's contribution, blind the cells, and cut it into shards."""
        self._window = range(0)
        self._held = []
        return_freed()
        table = self._surveyed
        window = self._surveyed.window(grid.batches, batch)
        wanted = range(grid.batches[window.start].start, grid.batches[window.stop - 1].stop)
        cut = self._cutter(table, grid, window)
        held = None if table.unsorted else self._piece_by_piece(table, wanted, cut)
        self._held = self._all_together(table, wanted, cut) if held is None else held
        return_freed()
        table.bounded(wanted, sum(len(own.rows.cell) for own in self._held))
        self._window = window

    def _piece_by_piece(
        self, table: RowTable, wanted: range, cut: Callable[[Part], _Cut]
    ) -> list[_Cut] | None:
        """Bound every piece as soon as it is read, so that no more than what is kept stays in memory.

        Of a sorted file only the first and the last person of a piece can have rows in the next;
        they are bounded at the end. Returns None where anybody else is in two pieces, as soon as
        that is seen.
        """
        disjoint = DisjointCheck(self.persons)

        def use(part: Part) -> tuple[_Cut, Part]:
            first, inner, last = part.edges()
            disjoint.add(inner)
            return cut(inner), Part.join([first, last])

        try:
            done = table.read(wanted, use)
            edges = Part.join([Part(NOTHING, None), *(edge for _, edge in done)]).in_order()
            disjoint.add(edges)
        except NotDisjointError:
            return None
        return [*(own for own, _ in done), cut(edges)]

    def _all_together(
        self, table: RowTable, wanted: range, cut: Callable[[Part], _Cut]
    ) -> list[_Cut]:
        """Whoever has rows in several pieces is bounded over all of them, the others piece by piece."""
        parts = table.read(wanted, lambda part: part)
        shared = in_several_parts(parts, self.persons)
        if shared.any():
            together = Part.join([part.take(shared[part.rows.person]) for part in parts])
            parts = [*(part.take(~shared[part.rows.person]) for part in parts), together]

        def cut_and_drop(number: int) -> _Cut:
            part = parts[number]
            parts[number] = Part(NOTHING, None)
            return cut(part)

        return each_in_threads(cut_and_drop, range(len(parts)))

    def _cutter(self, table: RowTable, grid: ShardGrid, window: range) -> Callable[[Part], _Cut]:
        """What bounds every person's contribution to a part, blinds the cells, and cuts the rows into shards."""
        limit = self._study.bounds.rows
        forward = self._blinding().forward
        draw = partial(self._draw, table.first_person)

        def cut(part: Part) -> _Cut:
            located = bound_rows(part, limit, draw)
            own = _Cut.of(
                located._replace(cell=forward[located.cell].astype(np.int32)), grid, window
            )
            return own if self._dummies is None else own.numbered(self._dummies.copies)

        return cut

    def _draw(self, first: int, rows: Located, number: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Words that choose among the rows of a person, whichever environment the person is in."""
        person = rows.person.astype(np.int64) + first
        return keyed_words(self._seed, "bound of rows", person, rows.period, rows.cell, number)

    def unblind(self, sealed: Sequence[bytes]) -> Coefficients:
        """Put the key holder's noisy coefficients, which come in parts, back into declared order, level by level.

        Raises:
            ProtocolError: altered, of another study, of different releases, or not the whole table.
        """
        return self.put_in_order([self.open_coefficients(one) for one in sealed])

    def open_coefficients(self, sealed: bytes) -> Coefficients:
        """A part of the key holder's noisy coefficients.

        Raises:
            ProtocolError: altered, or of another study.
        """
        return Coefficients.decode(
            self._channel(self.other).open(sealed, "coefficients"), self._study.digest
        )

    def put_in_order(self, parts: Sequence[Coefficients]) -> Coefficients:
        """All parts together in declared order, level by level.

        Raises:
            ProtocolError: of different releases, or not the whole table.
        """
        parts = sorted(parts, key=lambda part: part.first)
        blinded = np.concatenate([part.values for part in parts])
        ends = np.cumsum([0] + [len(part.values) for part in parts])
        design = Design.of_study(self._study)
        complete = blinded.shape == (design.nodes, self._study.slots)
        if (
            not complete
            or [part.first for part in parts] != ends[:-1].tolist()
            or len({p.release for p in parts}) > 1
        ):
            raise ProtocolError("the coefficients are not the whole of one release's table")
        blinding = self._blinding()
        pairs = zip(design.levels, design.sections, strict=True)
        levels = [blinding.restore(measured.level, blinded[own]) for measured, own in pairs]
        return Coefficients(release=parts[0].release, first=0, values=np.concatenate(levels))

    def tree_starts(self) -> list[NDArray[np.int64]]:
        """For every measured level above the cells, where its nodes begin on the measured level below, blinded."""
        measured = [m.level for m in Design.of_study(self._study).levels]
        blinding = self._blinding()
        return [blinding.starts(lower, upper) for lower, upper in pairwise(measured)]

    def _blinding(self) -> Blinding:
        return Blinding(tree_of(self._study.row.dimensions), self._seed)


def _own_of(shard: Shard) -> str:
    return f"rows of shard {shard.number}"
