"""The row party's table, which may be larger than memory: surveyed once, then read one batch of periods at a time.

Several environments of the row party divide the persons among them: each takes a range of the sorted ids. Where a file
is sorted by id, and partitioned by time, an environment reads its own part of it only, as the footers of Parquet files
tell beforehand what lies where. Other tables are read whole for every batch, which is correct and slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.bounds import Located
from xstat_ray.inputs import periods
from xstat_ray.inputs.domains import Encoder
from xstat_ray.inputs.ids import normalise
from xstat_ray.inputs.tables import Batch, Piece, open_table
from xstat_ray.roles.intake import IntakeCounts, check_usable, read_excluded
from xstat_ray.roles.roster import Roster, RosterBuilder
from xstat_ray.secrecy import Secret
from xstat_ray.study import Study


@dataclass(frozen=True)
class Share:
    """Which part of the persons an environment of a party takes."""

    number: int = 0
    of: int = 1

    def part(self, size: int) -> slice:
        """The places of a sorted list of `size` persons that belong to it."""
        return slice(size * self.number // self.of, size * (self.number + 1) // self.of)


WHOLE = Share()


class RowTable(Secret):
    """The rows of one environment's persons; `survey` comes first."""

    def __init__(self, study: Study, path: Path | str, exclude: Sequence[Path | str], share: Share) -> None:
        """Open the table and check its form.

        Raises:
            InputError: it cannot be used; names file, column and remedy.
        """
        side = study.row
        self._study, self._share = study, share
        self._table = open_table(
            path,
            id=side.id,
            times=[side.time] if side.time else [],
            numbers=[side.weight] if side.weight else [],
            values=[d.column for d in side.dimensions],
        )
        self._excluded = read_excluded(exclude, side.id, study)
        self._encoder = Encoder(side.dimensions)
        self._pieces = self._table.pieces()
        self._foreign: set[str] = set()
        """Files in which some id is not written in its normal form: their footers say nothing about the persons."""
        self._counts, self._of_period = IntakeCounts(), dict[range, IntakeCounts]()
        self.first_person = 0
        """Place of the first own person among the sorted ids of the whole table."""
        self.contents = b""
        """Hash of who is in the table how often."""

    @property
    def counts(self) -> IntakeCounts:
        """What became of the rows of the own persons, as far as they have been read."""
        counts = IntakeCounts(**self._counts.as_dict())
        for own in self._of_period.values():
            counts.outside_domain += own.outside_domain
            counts.over_bound += own.over_bound
            counts.kept += own.kept
        seen = counts.outside_domain + counts.over_bound + counts.kept
        counts.outside_span = counts.rows - counts.invalid_id - counts.excluded - seen
        return counts

    def survey(self) -> NDArray[np.bytes_]:
        """Read the ids of the whole table; returns the own persons' normalised ids, sorted.

        Raises:
            InputError: a value cannot be read, or nothing of the table is usable.
        """
        # Text has no types: all of it is read once, so that a bad value is found before anything is encrypted.
        typed = all(piece.group is not None for piece in self._pieces)
        columns = [self._study.row.id] if typed else list(self._table.roles)
        builder = RosterBuilder(self._excluded)
        for batch in self._table.read(self._pieces, columns):
            normal = self._normal(batch)
            if not normal.equals(batch.columns[self._study.row.id].dictionary):
                self._foreign.add(batch.file)
            builder.add(normal, batch.columns[self._study.row.id].indices)
        whole = builder.roster()
        part = self._share.part(len(whole.ids))
        self.contents = sha256(whole.ids.tobytes() + whole.rows.tobytes()).digest()
        self._roster, self.first_person = Roster(whole.ids[part], whole.rows[part]), part.start
        self._check_usable(builder.counts, whole)
        self._counts.rows, self._counts.persons = int(self._roster.rows.sum()), len(self._roster.ids)
        if self._share.number == 0:
            # Rows of nobody are told once.
            self._counts.invalid_id, self._counts.excluded = builder.counts.invalid_id, builder.counts.excluded
            self._counts.rows += builder.counts.invalid_id + builder.counts.excluded
        return self._roster.ids

    def rewind(self) -> None:
        """Forget which batches have been read, before they are cut in another way."""
        self._of_period.clear()

    def read(self, wanted: range) -> tuple[Located, NDArray[np.float64] | None]:
        """All usable rows of the own persons with a period in `wanted`, with their weights if the study has any."""
        side, counts = self._study.row, IntakeCounts()
        parts, weights = [NOTHING], [np.zeros(0)]
        for batch in self._table.read([p for p in self._pieces if self._holds(p, wanted)], self._table.roles):
            person = self._person(self._roster, batch)
            cell = self._encoder.encode(batch.columns)
            period, inside = self._periods(batch)
            own = (person >= 0) & inside & (wanted.start <= period) & (period < wanted.stop)
            keep = own & (cell >= 0)
            counts.outside_domain += int((own & (cell < 0)).sum())
            counts.kept += int(keep.sum())
            parts.append(Located(person[keep], period[keep], cell[keep]))
            if side.weight:
                weights.append(np.nan_to_num(batch.columns[side.weight].to_numpy(zero_copy_only=False))[keep])
        self._of_period[wanted] = counts
        return Located.join(parts), np.concatenate(weights) if side.weight else None

    def bounded(self, wanted: range, kept: int) -> None:
        """Record how many of the rows in `wanted` remained after the contribution bound."""
        counts = self._of_period[wanted]
        counts.over_bound, counts.kept = counts.kept - kept, kept

    def _person(self, roster: Roster, batch: Batch) -> NDArray[np.int32]:
        """(N,) number of every row's person in a roster, -1 for nobody."""
        codes = batch.columns[self._study.row.id].indices.fill_null(-1).to_numpy(zero_copy_only=False)
        number: NDArray[np.int32] = roster.find(self._normal(batch))[codes]
        return number

    def _normal(self, batch: Batch) -> pa.Array:
        """The normal forms of the batch's dictionary of ids; null where there is none."""
        return normalise(batch.columns[self._study.row.id].dictionary, self._study.id_form, self._study.id_region)

    def _periods(self, batch: Batch) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        if self._study.row.time is None:
            rows = len(batch.columns[self._study.row.id])
            return np.zeros(rows, np.uint32), np.ones(rows, bool)
        return periods.to_periods(batch.columns[self._study.row.time], self._study.period)

    def _holds(self, piece: Piece, wanted: range) -> bool:
        """Whether a piece can hold rows of the own persons in these periods."""
        side, bounds = self._study.row, {} if piece.group is None else piece.group.bounds
        if side.time is not None and side.time in bounds and self._study.period.grain != "none":
            covered = periods.cover(*bounds[side.time], self._study.period)
            if covered.stop <= wanted.start or wanted.stop <= covered.start:
                return False
        if side.id not in bounds or str(piece.file.path) in self._foreign:
            return True
        return self._roster.overlaps(*bounds[side.id])

    def _check_usable(self, counts: IntakeCounts, whole: Roster) -> None:
        """Look for one row inside the study; a table without any is refused before anything is encrypted."""
        for batch in self._table.read(self._pieces, self._table.roles) if len(whole.ids) else ():
            welcome = self._person(whole, batch) >= 0
            inside, placed = self._periods(batch)[1], self._encoder.encode(batch.columns) >= 0
            if (welcome & inside & placed).any():
                return
            counts.outside_span += int((welcome & ~inside).sum())
            counts.outside_domain += int((welcome & inside & ~placed).sum())
        check_usable(counts, self._table, self._study.row.id)


NOTHING = Located(np.zeros(0, np.int32), np.zeros(0, np.uint32), np.zeros(0, np.int32))
