"""The presence table, file by file: rows of lines become stays in areas, at most one hour of each line in an hour.

In a file the rows of one line on one day lie together, as they do where it is sorted by subscriber
and time; a line's rows of one day lie in one file. Both are checked, because the bound on a person
rests on them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.population.areas import Areas
from xstat_ray.hokkaido.population.declaration import HOURS, Declaration
from xstat_ray.hokkaido.population.expansion import SECONDS
from xstat_ray.hokkaido.population.subscribers import Lines, Pseudonyms
from xstat_ray.inputs.tables import Chunk, Piece, Table, open_table
from xstat_ray.util.arrays import run_starts
from xstat_ray.util.secrecy import Secret

_DAY = HOURS * SECONDS
_EPOCH = dt.date(1970, 1, 1).toordinal()
REMEDY = "Sort the presence table by subscriber and time, and keep the rows of a subscriber's day in one file"


@dataclass(frozen=True, repr=False)
class Stays(Secret):
    """N stays of lines on days of the release; none crosses an hour."""

    line: NDArray[np.int64]
    day: NDArray[np.int64]
    hour: NDArray[np.int64]
    seconds: NDArray[np.int64]
    place: NDArray[np.int64]
    """Number of the 500 m cell among `Areas.land`, -1 elsewhere."""

    def take(self, rows: NDArray[np.bool_] | slice) -> Stays:
        """Some of them."""
        return Stays(*(getattr(self, one.name)[rows] for one in fields(self)))

    def followed_by(self, other: Stays) -> Stays:
        """These, then others."""
        return Stays(
            *(np.append(getattr(self, one.name), getattr(other, one.name)) for one in fields(self))
        )

    @property
    def run(self) -> NDArray[np.int64]:
        """(N,) equal for stays of one line on one day."""
        return self.line << 16 | self.day


@dataclass
class RowCounts:
    """What became of the rows; stays in the operator's own file.

    Each is counted once, for the first reason.
    """

    rows: int = 0
    not_used: int = 0
    """Of lines that are not used."""
    outside_days: int = 0
    outside_areas: int = 0
    kept: int = 0

    def as_dict(self) -> dict[str, int]:
        """Field names and values."""
        return asdict(self)


@dataclass(repr=False)
class Seen(Secret):
    """Which lines had rows on which days."""

    lines: int
    days: dict[int, NDArray[np.bool_]] = field(default_factory=dict)

    def add(self, line: NDArray[np.int64], day: NDArray[np.int64]) -> bool:
        """Take distinct (line, day) pairs; whether all of them are new."""
        fresh = True
        for number in np.unique(day).tolist():
            own = line[day == number]
            marks = self.days.setdefault(number, np.zeros(self.lines, bool))
            fresh &= not marks[own].any()
            marks[own] = True
        return fresh


def open_presence(path: Path | str) -> Table:
    """Open the presence table and check its form.

    Raises:
        InputError: as `open_table`.
    """
    return open_table(path, id="subscriber", times=("time",), numbers=("dwell",), values=("mesh",))


def check_usable(counts: RowCounts, table: Table) -> None:
    """Refuse a table that contributes nothing, unless that is because nobody in it is used.

    Raises:
        InputError: every row of a line that is used lies outside the days or the areas.
    """
    used = counts.rows - counts.not_used
    if used and not counts.kept:
        raise InputError(
            f"none of the {used} rows of used lines lies inside the release ({counts.outside_days} outside the days, "
            f"{counts.outside_areas} outside the areas)",
            file=str(table.path),
            remedy="Compare first_day, days, timezone and within with the table",
        )


class PresenceReader(Secret):
    """Reads presence for one release; holds who is used."""

    def __init__(
        self, declaration: Declaration, areas: Areas, lines: Lines, pseudonyms: Pseudonyms
    ) -> None:
        self._declaration = declaration
        self._areas = areas
        self._lines = lines
        self._pseudonyms = pseudonyms
        self.counts = RowCounts()
        self.seen = Seen(len(lines.codes))

    def stays(self, table: Table, number: int, chunk_rows: int = 1 << 20) -> Iterator[Stays]:
        """Stream the stays of one file, days of lines whole, shares of an hour bounded.

        Args:
            table: from `open_presence`.
            number: which of its files.
            chunk_rows: rows that are read at once.

        Raises:
            InputError: the file is damaged, or the rows of a line's day are not together.
        """
        file = table.files[number]
        held = None
        for chunk in table.read([Piece(file, None, 1)], table.uses, chunk_rows):
            stays = self._located(chunk)
            stays = stays if held is None else held.followed_by(stays)
            # The last line's day may go on in the next chunk.
            run = stays.run
            last = (
                len(run) - int(np.argmax(run[::-1] != run[-1]))
                if len(run) and (run != run[-1]).any()
                else 0
            )
            held = stays.take(slice(last, None))
            yield self._whole_days(stays.take(slice(0, last)), str(file.path))
        if held is not None:
            yield self._whole_days(held, str(file.path))

    def _whole_days(self, stays: Stays, file: str) -> Stays:
        """The stays in areas of the release, bounded."""
        run = stays.run
        first = run_starts(run)
        if len(np.unique(run[first])) < len(first) or not self.seen.add(
            stays.line[first], stays.day[first]
        ):
            raise InputError(
                "the rows of a subscriber's day are not together", file=file, remedy=REMEDY
            )
        bounded = bound_hours(
            stays, np.repeat(np.arange(len(first)), np.diff(first, append=len(run)))
        )
        inside = (bounded.place >= 0) & (self._areas.land_leaf[np.maximum(bounded.place, 0)] >= 0)
        self.counts.outside_areas += int((~inside).sum())
        self.counts.kept += int(inside.sum())
        return bounded.take(inside)

    def _located(self, chunk: Chunk) -> Stays:
        ids = chunk.columns["subscriber"]
        mesh = chunk.columns["mesh"]
        codes, valid = self._pseudonyms.codes(ids.dictionary)
        line = _of_dictionary(ids, np.where(valid, self._lines.find(codes), -1))
        at, known = _clock(chunk.columns["time"], self._declaration.timezone)
        day = at // _DAY - (self._declaration.first_day.toordinal() - _EPOCH)
        second = at % _DAY
        used = line >= 0
        inside = known & (day >= 0) & (day < self._declaration.days)
        self.counts.rows += len(line)
        self.counts.not_used += int((~used).sum())
        self.counts.outside_days += int((used & ~inside).sum())
        dwell = chunk.columns["dwell"].to_numpy(zero_copy_only=False)
        whole = np.clip(np.rint(np.nan_to_num(dwell, nan=0.0)), 0, SECONDS).astype(np.int64)
        # A stay is counted in the hour in which it begins, and ends with that hour.
        seconds = np.minimum(whole, SECONDS - second % SECONDS)
        place = _of_dictionary(mesh, self._areas.find(mesh.dictionary))
        return Stays(line, day, second // SECONDS, seconds, place).take(used & inside)


def bound_hours(stays: Stays, group: NDArray[np.int64]) -> Stays:
    """Let the seconds of each line in each hour add up to one hour at most, each stay shortened in proportion.

    Args:
        stays: N stays.
        group: (N,) number, from 0 and rising, of the line and day of each.
    """
    hour = group * HOURS + stays.hour
    total = np.zeros(HOURS * (len(group) and int(group[-1]) + 1), np.int64)
    np.add.at(total, hour, stays.seconds)
    over = total[hour]
    seconds = np.where(
        over > SECONDS, stays.seconds * SECONDS // np.maximum(over, 1), stays.seconds
    )
    return Stays(stays.line, stays.day, stays.hour, seconds, stays.place)


def _of_dictionary(values: pa.DictionaryArray, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) what each value of a dictionary stands for; -1 for null."""
    codes = values.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
    own: NDArray[np.int64] = np.append(numbers, -1)[codes]
    return own


def _clock(times: pa.Array, timezone: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) seconds of the wall clock since 1970-01-01, and whether each is known.

    A time without a zone is local.
    """
    if times.type.tz is not None:
        times = pc.local_timestamp(times.cast(pa.timestamp("us", timezone)))
    known: NDArray[np.bool_] = times.is_valid().to_numpy(zero_copy_only=False)
    at: NDArray[np.int64] = (
        times.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) // 1_000_000
    )
    return at, known
