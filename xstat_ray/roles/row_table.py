"""The row party's table, which may be larger than memory.

It is surveyed once, by one environment of the party or by several, and then read for some periods
at a time. Where a file is partitioned by time, only the part is read that is needed, as the footers
of Parquet files tell beforehand what lies where. Other tables are read whole each time, which is
correct and slower.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.domains import Encoder
from xstat_ray.inputs.ids import normalise
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.table_order import Ascent
from xstat_ray.inputs.tables import Chunk, Piece
from xstat_ray.inputs.text_index import TextIndex
from xstat_ray.model import periods
from xstat_ray.model.memory_need import most_rows
from xstat_ray.model.study import Study
from xstat_ray.roles.bounds import Located, Part
from xstat_ray.roles.dropped_forms import DroppedForms
from xstat_ray.roles.intake import IntakeCounts, check_usable, read_excluded
from xstat_ray.roles.person_index import IdCounts, PersonIndexBuilder
from xstat_ray.roles.row_shape import MemoryRoom, RowShape, cover
from xstat_ray.roles.row_source import open_row_table
from xstat_ray.roles.survey import Survey, stretches
from xstat_ray.util.memory import memory_bytes
from xstat_ray.util.nulls import filled
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.threads import each_in_threads

T = TypeVar("T")
_PIECES = 64
"""Pieces whose persons are counted before the counts are merged."""
_FIRST_ROWS = 1 << 16
"""Rows that are read at a time until one is usable."""


class Reading(NamedTuple, Generic[T]):
    """What came of reading the rows of some periods."""

    results: list[T]
    """One result for each piece of the table, in the order of the pieces."""
    outside_domain: int
    """Rows of persons of the table with a value outside the domains."""
    dropped: DroppedForms
    """Forms of those values."""
    usable: int
    """Rows that were handed out."""


class RowTable(Secret):
    """The rows of a table; `survey` comes first."""

    def __init__(self, study: Study, source: Source, digests: ReadDigests) -> None:
        """Open the table and check its form.

        Args:
            study: what is counted; tells which columns are read.
            source: the table and the lists of people to leave out.
            digests: compare what is read with what was read before.

        Raises:
            InputError: the table cannot be used or has changed; names file, column and remedy.
        """
        side = study.row
        self._study = study
        self._digests = digests
        self._table = open_row_table(study, source, digests.of("table"))
        self.set_aside = self._table.set_aside
        excluded = read_excluded(source, side.id, study, "row", digests)
        self._excluded = excluded.ids
        self.lists = excluded.lists
        self._encoder = Encoder(side.dimensions)
        self._pieces = self._table.pieces()
        covers = [cover(study, piece) for piece in self._pieces]
        self._covers = covers
        self._most_rows = most_rows(memory_bytes())
        self._first = np.array([c.start for c in covers])
        self._end = np.array([c.stop for c in covers])
        self._ascent = Ascent(self._table, side.id)
        self.unsorted: list[str] = []
        """Names of the files that are not sorted by id, which take longer to `read`; known after
        the survey."""
        self.counts = IntakeCounts()
        """Rows and persons, as far as the survey tells."""
        self.dropped = DroppedForms(self._encoder.columns)
        """Forms of the ids without a normal form."""
        self.ids = np.zeros(0, "S1")
        """(P,) normalised ids of the persons, sorted; known after the survey."""
        self._index = TextIndex(self.ids)

    def check_room(self, room: MemoryRoom) -> None:
        """Refuse a table whose batches do not fit into memory, before anything is encrypted.

        Raises:
            PlanError: they do not; tells no figure of the table, as others may see the message.
        """
        self._most_rows = most_rows(room.memory or memory_bytes())
        RowShape.of(self._table, self._pieces, self._covers).check_room(room)

    def survey(self, number: int = 0, environments: int = 1) -> Survey:
        """Read the ids of the table, or of one stretch of it; each row group is in one stretch.

        Args:
            number: number of the stretch.
            environments: number of stretches, all with about as many rows.

        Raises:
            InputError: a value cannot be read.
        """
        earlier = self._digests.export()
        opened = self._digests.digest()
        stretch = stretches(self._pieces, environments)[number]
        builder = PersonIndexBuilder(self._excluded)
        for tallies in self._tallies(self._pieces[stretch.start : stretch.stop]):
            for tally in tallies:
                builder.add(tally)
        persons = builder.person_index()
        out_of_order = self._ascent.unsorted()
        if stretch.stop < len(self._pieces) and self._overlap(stretch.stop):
            out_of_order.add(self._pieces[stretch.stop].file.shown)
        files = enumerate(self._table.files)
        return Survey(
            pieces=stretch,
            ids=persons.ids,
            rows=builder.counts.rows,
            invalid_id=builder.counts.invalid_id,
            excluded=builder.counts.excluded,
            forms=tuple(builder.dropped.counted()),
            unsorted=frozenset(place for place, file in files if file.shown in out_of_order),
            opened=opened,
            read=self._digests.export_since(earlier),
        )

    def take(self, survey: Survey) -> None:
        """Take a survey of the whole table; what is read from here on must fit it.

        Raises:
            InputError: it does not fit what was read here.
            ProtocolError: it is not of the whole table.
        """
        if survey.pieces != range(len(self._pieces)):
            raise ProtocolError("a survey of the whole table was expected")
        self._digests.expect(survey.read, stamps=False)
        self.ids = survey.ids
        self._index = TextIndex(survey.ids)
        self.unsorted = [self._table.files[place].name for place in sorted(survey.unsorted)]
        self.dropped.ids.count(survey.forms)
        self.counts.rows = survey.rows
        self.counts.invalid_id = survey.invalid_id
        self.counts.excluded = survey.excluded
        self.counts.persons = len(survey.ids)

    def _overlap(self, number: int) -> bool:
        """Tell whether a piece has smaller ids than the one before, in the same file.

        Going by the footers; where they do not tell, it has not.
        """
        before = self._pieces[number - 1]
        piece = self._pieces[number]
        if before.file is not piece.file or before.group is None or piece.group is None:
            return False
        id = self._study.row.id
        if id not in before.group.bounds or id not in piece.group.bounds:
            return False
        return bool(before.group.bounds[id][1] > piece.group.bounds[id][0])

    def _tallies(self, pieces: Sequence[Piece]) -> Iterable[Iterable[IdCounts]]:
        """Count the persons in pieces of the table, by several threads."""
        if any(piece.group is None for piece in self._pieces):
            # Text has no types: all of it is read once, so that a bad value is found before
            # anything is encrypted.
            return (self._tally(pieces, self._table.uses),)
        ids = [self._study.row.id]
        runs = [pieces[i : i + _PIECES] for i in range(0, len(pieces), _PIECES)]
        return (
            tally
            for run in runs
            for tally in each_in_threads(lambda piece: list(self._tally([piece], ids)), run)
        )

    def _tally(self, pieces: Sequence[Piece], columns: Collection[str]) -> Iterator[IdCounts]:
        for chunk in self._table.read(pieces, columns):
            ids = chunk.columns[self._study.row.id]
            normal = self._normal(ids.dictionary)
            self._ascent.add(chunk)
            yield IdCounts.of(normal, ids)

    def read_together(self, batches: Sequence[range], batch: int, emitted: range) -> range:
        """Tell which batches are best read with this one: its neighbours in the same pieces.

        Where these pieces have so many rows that they fill the memory, the batch is read alone.

        Args:
            batches: the periods of every batch.
            batch: number of the batch that is wanted.
            emitted: numbers of the batches that this environment emits.

        Returns:
            Numbers of batches, this one among them.
        """
        pieces = self._needed(batches[batch])
        first = batch
        last = batch + 1
        most = self._most_rows
        if sum(piece.group.rows if piece.group else most for piece in pieces) < most:
            while first > emitted.start and self._needed(batches[first - 1]) == pieces:
                first -= 1
            while last < emitted.stop and self._needed(batches[last]) == pieces:
                last += 1
        return range(first, last)

    def has_rows(self, wanted: range) -> bool:
        """Tell whether rows in these periods are possible, going by the footers of the files."""
        return len(self._needed(wanted)) > 0

    def _needed(self, wanted: range) -> list[Piece]:
        """Return the pieces that can hold rows in these periods."""
        return self._chosen(self._able(wanted))

    def _able(self, wanted: range) -> NDArray[np.bool_]:
        able: NDArray[np.bool_] = (self._first < wanted.stop) & (self._end > wanted.start)
        return able

    def _chosen(self, pieces: NDArray[np.bool_]) -> list[Piece]:
        return [self._pieces[number] for number in np.flatnonzero(pieces).tolist()]

    def read(self, wanted: range, use: Callable[[Part], T]) -> Reading[T]:
        """Read all usable rows with a period in `wanted`.

        Args:
            wanted: range of period numbers.
            use: called for every piece, in several threads, with rows in the order of the file.

        Raises:
            InputError: a value cannot be read, or the table has changed since the survey.
        """
        dropped = DroppedForms(self._encoder.columns)

        def work(piece: Piece) -> tuple[T, int, int]:
            part, outside = self._read(piece, wanted, dropped)
            return use(part), outside, len(part.rows.cell)

        done = each_in_threads(work, self._needed(wanted))
        return Reading(
            results=[result for result, _, _ in done],
            outside_domain=sum(outside for _, outside, _ in done),
            dropped=dropped,
            usable=sum(usable for _, _, usable in done),
        )

    def _read(self, piece: Piece, wanted: range, dropped: DroppedForms) -> tuple[Part, int]:
        """Read the usable rows of a piece, in the order of the file.

        Args:
            piece: the piece.
            wanted: range of period numbers.
            dropped: takes the forms of values outside the domains.

        Returns:
            The rows, and how many more have a value outside the domains.
        """
        side = self._study.row
        outside = 0
        parts = list[Part]()
        for chunk in self._table.read([piece], self._table.uses):
            person = self._person(chunk)
            cell = self._encoder.encode_chunk(chunk)
            period, keep = self._periods(chunk)
            keep = keep & (person >= 0)
            # Numbers without a sign: those before the first become large ones.
            keep &= period - np.uint32(wanted.start) < np.uint32(len(wanted))
            placed = cell >= 0
            lost = keep & ~placed
            if lost.any():
                outside += int(lost.sum())
                dropped.add_values(self._encoder.outside(chunk.columns, lost))
                keep &= placed
            rows = np.flatnonzero(keep)
            weight = None
            if side.weight:
                weights = chunk.columns[side.weight].to_numpy(zero_copy_only=False)
                weight = np.nan_to_num(weights[rows], copy=False)
            parts.append(Part(Located(person, period, cell).take(rows), weight))
        if len(parts) == 1:
            return parts[0], outside
        return Part.join([Part(NOTHING, np.zeros(0) if side.weight else None), *parts]), outside

    def _person(self, chunk: Chunk) -> NDArray[np.int32]:
        """(N,) numbers of the rows' persons, -1 for nobody."""
        ids = chunk.columns[self._study.row.id]
        codes = filled(ids.indices, -1).to_numpy(zero_copy_only=False)
        number: NDArray[np.int32] = self._numbers(ids.dictionary)[codes]
        return number

    def _numbers(self, ids: pa.Array) -> NDArray[np.int32]:
        """(N + 1,) numbers of the persons of N ids, -1 for nobody and at the end."""
        number = self._index.places_as_written(ids)
        rest = np.flatnonzero(number[:-1] < 0)
        if len(rest):
            number[rest] = self._index.places(self._normal(ids.take(pa.array(rest))))[:-1]
        return number

    def _normal(self, ids: pa.Array) -> pa.Array:
        """(N,) normal forms; null where there is none."""
        return normalise(ids, self._study.id_form, self._study.id_region)

    def _periods(self, chunk: Chunk) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        if self._study.row.time is None:
            rows = len(chunk.columns[self._study.row.id])
            return np.zeros(rows, np.uint32), np.ones(rows, bool)
        return periods.to_periods(chunk.columns[self._study.row.time], self._study.period)

    def _first_chunks(self) -> Iterator[Chunk]:
        """Read the table, unless it has nobody: first the pieces that can have rows in the span."""
        able = self._able(self._study.period.span)
        for chosen in (able, ~able) if len(self.ids) else ():
            pieces = self._chosen(chosen)
            yield from self._table.read(pieces, self._table.uses, _FIRST_ROWS)

    def check_usable(self) -> None:
        """Refuse a table without a row inside the study, before anything is encrypted.

        Raises:
            InputError: nothing of the table is usable.
        """
        counts = IntakeCounts(rows=self.counts.rows, invalid_id=self.counts.invalid_id)
        for chunk in self._first_chunks():
            welcome = self._person(chunk) >= 0
            inside = self._periods(chunk)[1]
            placed = self._encoder.encode_chunk(chunk) >= 0
            if (welcome & inside & placed).any():
                return
            counts.outside_span += int((welcome & ~inside).sum())
            counts.outside_domain += int((welcome & inside & ~placed).sum())
        check_usable(counts, self._table, self._study.row.id)


NOTHING = Located(np.zeros(0, np.int32), np.zeros(0, np.uint32), np.zeros(0, np.int32))
