"""The row party: supplies (id, period, cell) and un-blinds the result.

It alone knows the blinding of the cells. It has a link with each column party; table, bounds and
blinding exist once, and a row has a tag for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import halves, keyed_text_words, keyed_words
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.tags import in_order, sort_order
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Coefficients, Rows
from xstat_ray.model.shards import Shard, ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design, shown_tree
from xstat_ray.roles.blinding import Blinding, in_declared_order
from xstat_ray.roles.bounds import (
    Located,
    Part,
    bound_rows,
)
from xstat_ray.roles.disjoint import DisjointCheck, NotDisjointError
from xstat_ray.roles.dummies import RowDummies
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.narrow_rows import widened
from xstat_ray.roles.person_groups import each_group
from xstat_ray.roles.row_intake import RowIntake
from xstat_ray.roles.row_table import NOTHING, Reading, RowTable
from xstat_ray.roles.rows_by_shard import RowsByShard
from xstat_ray.roles.seat import Seat
from xstat_ray.util.arrays import gathered
from xstat_ray.util.memory import return_freed

Sort = Callable[[Part], RowsByShard]
"""Bounds the rows of some persons, blinds their cells, and sorts them by shard."""


class RowParty(RowIntake):
    """Knows in which cell a person was in which period: a mobile operator, say."""

    padded = RowDummies

    def __init__(
        self,
        study: Study,
        source: Source | Path | str,
        *,
        seed: bytes | None = None,
        name: str | None = None,
    ) -> None:
        """Take the study and remember where the table lies; nothing is read yet.

        Args:
            study: what all parties have agreed to count.
            source: this party's table, its lists of people to leave out, and its ledger.
            seed: 32 secret bytes from which the party derives what it draws at random; fresh ones
                if none are given.
            name: name of this party; needed where the study names several row parties.

        Raises:
            ProtocolError: the study names no such party, or several and none is given.
        """
        if name is None and study.row.parties:
            raise ProtocolError("the study names several row parties: say which one")
        super().__init__(Seat.of(study, source, seed, row=name))
        self._dummies: RowDummies | None = None
        self._grid: ShardGrid | None = None
        self._emitted = range(0)
        """Numbers of the batches that this environment emits."""
        self._batches = range(0)
        """Numbers of the batches whose rows are in memory."""
        self._held = list[RowsByShard]()

    def prepare(
        self, grid: ShardGrid, drawn: bytes | None = None, emitted: range | None = None
    ) -> list[bool]:
        """Take the cut into shards, before the first `emit`.

        Args:
            grid: the cut into shards.
            drawn: what `draw_dummies` of the party's first environment gave.
            emitted: numbers of the batches that this environment emits; by default all.

        Returns:
            For every batch whether it can hold rows; with padding always that it can, as the driver
            must not learn it.
        """
        numbers = self._dummies_drawn(grid, drawn)
        self._dummies = RowDummies(*numbers) if numbers else None
        self._grid = grid
        self._emitted = range(len(grid.batches)) if emitted is None else emitted
        self._batches = range(0)
        self._record.emitted = {}
        self._record.emitted_dropped = {}
        if self._dummies is not None:
            return [True] * len(grid.batches)
        return [self._surveyed.has_rows(batch) for batch in grid.batches]

    def emit(self, shard: Shard) -> Rows:
        """Return the rows of one shard as (tag, blinded cell), sorted by tag.

        Where there are several column parties a row has a tag for each of them, one behind the
        other, and the rows are sorted by the first.

        A repeat gives the same bytes. Shards are best asked for in order: the rows of all batches
        that lie in the same pieces of the table are read when the first of their shards comes up,
        and dropped when another batch does.

        Raises:
            InputError: a value of the table cannot be read, or the table has changed.
            ProtocolError: the shard is of a batch that another environment emits.
        """
        located = self._located(shard)
        tags = [link.tags(located.person, located.period) for link in self.links]
        cell = located.cell.astype(np.uint32)
        if self._dummies is not None:
            keys = [link._agreed.tag_key for link in self.links]
            dummies, cells = self._dummies.of_shard(keys, shard)
            tags = [np.concatenate(of_party) for of_party in zip(tags, dummies, strict=True)]
            cell = np.concatenate([cell, cells])
        order = sort_order(tags[0], cell)
        in_turn = [in_order(of_party, order) for of_party in tags]
        return Rows(
            view="".join(link.view() for link in self.links),
            shard=shard.number,
            tags=in_turn[0] if len(in_turn) == 1 else np.concatenate(in_turn, axis=1),
            cells=gathered(cell, order),
        )

    def account_for(self, batch: int) -> None:
        """Read a batch whose rows left in an earlier step, for the party's record of its rows.

        Raises:
            InputError: a value of the table cannot be read, or the table has changed.
            ProtocolError: the batch is one that another environment emits.
        """
        first = 0 if self._grid is None else self._grid.batches[batch].start
        if not any(first in periods for periods in self._record.emitted):
            self._loaded(batch)

    def _located(self, shard: Shard) -> Located:
        """Return the rows of a shard, in no particular order."""
        grid = self._loaded(shard.batch)
        number = shard.number - self._batches.start * len(grid.regions)
        return widened([held.shard(number) for held in self._held])

    def _loaded(self, batch: int) -> ShardGrid:
        """Have the rows of a batch in memory; returns the cut into shards."""
        if self._grid is None:
            raise ProtocolError("rows were asked for before the shards were prepared")
        if batch not in self._emitted:
            raise ProtocolError("another environment of the row party emits these rows")
        if batch not in self._batches:
            self._load(self._grid, batch)
        return self._grid

    def _load(self, grid: ShardGrid, batch: int) -> None:
        """Read a batch, and with it those that lie in the same pieces of the table."""
        self._batches = range(0)
        self._held = []
        return_freed()
        table = self._surveyed
        batches = table.read_together(grid.batches, batch, self._emitted)
        wanted = range(grid.batches[batches.start].start, grid.batches[batches.stop - 1].stop)
        sort = self._sort(table, grid, batches)
        reading = None if table.unsorted else self._piece_by_piece(table, wanted, sort)
        if reading is None:
            reading = self._all_together(table, wanted, sort)
        return_freed()
        kept = sum(held.number for held in reading.results)
        merged = sum(held.merged for held in reading.results)
        self._record.emitted[wanted] = IntakeCounts(
            outside_domain=reading.outside_domain,
            merged=merged,
            over_bound=reading.usable - merged - kept,
            kept=kept,
        )
        self._record.emitted_dropped[wanted] = reading.dropped
        self._held = reading.results
        self._batches = batches

    def _piece_by_piece(
        self, table: RowTable, wanted: range, sort: Sort
    ) -> Reading[RowsByShard] | None:
        """Bound each piece as soon as it is read; nothing but what is kept stays in memory.

        In a sorted file only the first and the last person of a piece can have rows in another
        piece; these are bounded at the end.

        Returns:
            The rows; None as soon as anybody else is seen in two pieces.
        """
        disjoint = DisjointCheck(self._exchange.persons)

        def use(part: Part) -> tuple[RowsByShard, Part]:
            first, inner, last = part.by_person().edges()
            disjoint.add(inner)
            return sort(inner), Part.join([first, last])

        try:
            reading = table.read(wanted, use)
            edges = [edge for _, edge in reading.results]
            joined = Part.join([Part(NOTHING, None), *edges]).in_order()
            disjoint.add(joined)
        except NotDisjointError:
            return None
        inner = [rows for rows, _ in reading.results]
        results = [*inner, sort(joined)]
        return Reading(results, reading.outside_domain, reading.dropped, reading.usable)

    def _all_together(self, table: RowTable, wanted: range, sort: Sort) -> Reading[RowsByShard]:
        """Read all pieces, then bound over all of them, some persons at a time."""
        reading = table.read(wanted, lambda part: part)
        parts = reading.results or [Part(NOTHING, None)]
        held = each_group(sort, parts, self._exchange.persons)
        return Reading(held, reading.outside_domain, reading.dropped, reading.usable)

    def _sort(self, table: RowTable, grid: ShardGrid, batches: range) -> Sort:
        """Make what bounds the rows of these batches, blinds their cells, and sorts them."""
        limit = self._row_terms.rows
        forward = self._blinding().forward
        draw = partial(self._draw, table.ids)

        def sort(part: Part) -> RowsByShard:
            bounded = bound_rows(part, limit, draw)
            located = bounded.rows
            blinded = located._replace(cell=forward[located.cell].astype(np.int32))
            rows = RowsByShard.of(blinded, grid, batches, bounded.merged)
            if self._dummies is None:
                return rows
            return rows.numbered(self._dummies.copies(self._row_place))

        return sort

    def _draw(
        self, ids: NDArray[np.bytes_], rows: Located, number: NDArray[np.int64]
    ) -> NDArray[np.uint64]:
        """Draw the words that choose among a person's rows, wherever these stand in the table."""
        persons, place = np.unique(rows.person, return_inverse=True)
        who = keyed_text_words(self._seed, "persons", ids[persons])[place]
        return keyed_words(
            self._seed, "bound of rows", *halves(who), rows.period, rows.cell, number
        )

    def unblind(self, sealed: Sequence[bytes], packing: Packing) -> Coefficients:
        """Take the masks off the opened table, and put it into declared order, level by level.

        Args:
            sealed: the parts of one release's table, in any order.
            packing: how slots are packed into ciphertexts.

        Raises:
            BudgetError, InputError: the ledger is not the one that was debited before.
            ProtocolError: altered, of another study, of different releases, not the whole table, or
                numbers that cannot have come of this party's masks.
        """
        return self.put_in_order([self.unmask(part, packing) for part in sealed])

    def put_in_order(self, parts: Sequence[Coefficients]) -> Coefficients:
        """Join the parts of one release's table, in declared order, level by level.

        What is decrypted of empty nodes is noise on zero, and is left out. The ledger may be
        another copy than the one that was debited before the approval, so the debit is made again;
        where it is there, this changes nothing.

        Raises:
            BudgetError: the ledger has no budget for the release.
            ProtocolError: the parts are of different releases, or not the whole table.
        """
        ordered = in_declared_order(self._study, self._blinding(), parts)
        self._pay(ordered.release)
        return ordered

    def tree_starts(self) -> list[NDArray[np.int64]]:
        """Tell where the nodes of each measured level begin on the measured level below.

        Where the study has padding nobody needs to be told: `Design.starts` has them.

        Returns:
            For every measured level above the cells (nodes,) first descendants, all in blinded
            order.
        """
        blinding = self._blinding()
        levels = range(len(Design.of_study(self._study).levels))
        return [blinding.starts(lower, upper) for lower, upper in pairwise(levels)]

    def _blinding(self) -> Blinding:
        return Blinding(shown_tree(self._study), self._blinding_secret)
