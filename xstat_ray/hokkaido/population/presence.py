"""The presence table, file by file: its rows become stays in areas, bounded by the hour.

In a file the rows of a subscriber on a day lie together, as in a table sorted by subscriber and
time; and all rows of a subscriber on a day lie in one file. Both are checked, because the bound on
a person rests on them: a subscriber counts for at most one hour in every hour.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.population.areas import Areas
from xstat_ray.hokkaido.population.declaration import HOURS, Declaration
from xstat_ray.hokkaido.population.expansion import SECONDS
from xstat_ray.hokkaido.population.subscribers import Pseudonyms, Subscribers
from xstat_ray.inputs.table_options import NOTHING_SET, TableOptions
from xstat_ray.inputs.tables import Chunk, Piece, Table, open_table
from xstat_ray.util.arrays import run_starts
from xstat_ray.util.location import LocationLike
from xstat_ray.util.secrecy import Secret

_DAY = HOURS * SECONDS
_EPOCH = dt.date(1970, 1, 1).toordinal()
REMEDY = (
    "Sort the presence table by subscriber and time, "
    "and keep the rows of a subscriber's day in one file"
)


@dataclass(frozen=True, repr=False)
class HourStays(Secret):
    """N stays of subscribers on days of the release; none crosses an hour."""

    subscriber: NDArray[np.int64]
    day: NDArray[np.int64]
    hour: NDArray[np.int64]
    seconds: NDArray[np.int64]
    place: NDArray[np.int64]
    """Number of the 500 m cell among `Areas.land`, -1 elsewhere."""

    def take(self, rows: NDArray[np.bool_] | slice) -> HourStays:
        """Select some of the stays."""
        return HourStays(*(getattr(self, column.name)[rows] for column in fields(self)))

    def followed_by(self, other: HourStays) -> HourStays:
        """Concatenate these stays and others."""
        names = [column.name for column in fields(self)]
        return HourStays(*(np.append(getattr(self, n), getattr(other, n)) for n in names))

    @property
    def run(self) -> NDArray[np.int64]:
        """(N,) numbers that are equal for stays of one subscriber on one day."""
        return self.subscriber << 16 | self.day


@dataclass
class RowCounts:
    """Counts of rows by what became of them; each counts once, for the first reason.

    Only the operator's private file holds these counts.
    """

    rows: int = 0
    not_used: int = 0
    """Rows of subscribers that are not used."""
    outside_days: int = 0
    outside_areas: int = 0
    kept: int = 0

    def as_dict(self) -> dict[str, int]:
        """Counts by the name of their field."""
        return asdict(self)


@dataclass(repr=False)
class SubscriberDays(Secret):
    """Which subscribers had rows on which days."""

    subscribers: int
    days: dict[int, NDArray[np.bool_]] = field(default_factory=dict)

    def add(self, subscriber: NDArray[np.int64], day: NDArray[np.int64]) -> bool:
        """Mark distinct pairs of subscriber and day.

        Returns:
            Whether all of them are new.
        """
        fresh = True
        for number in np.unique(day).tolist():
            on_day = subscriber[day == number]
            marks = self.days.setdefault(number, np.zeros(self.subscribers, bool))
            fresh &= not marks[on_day].any()
            marks[on_day] = True
        return fresh


def open_presence(path: LocationLike, options: TableOptions = NOTHING_SET) -> Table:
    """Open the presence table and check its form.

    Args:
        path: where it lies.
        options: how its files are read.

    Raises:
        InputError: a reason that `open_table` names.
    """
    return open_table(
        path,
        id="subscriber",
        times=("time",),
        numbers=("dwell",),
        values=("mesh",),
        options=options,
    )


def check_usable(counts: RowCounts, table: Table) -> None:
    """Refuse a table that contributes nothing, unless that is because nobody in it is used.

    Raises:
        InputError: every row of a subscriber that is used lies outside the days or the areas.
    """
    used = counts.rows - counts.not_used
    if used and not counts.kept:
        raise InputError(
            f"none of the {used} rows of used subscribers lies inside the release "
            f"({counts.outside_days} outside the days, {counts.outside_areas} outside the areas)",
            file=table.path,
            remedy="Compare first_day, days, timezone and within with the table",
        )


class PresenceReader(Secret):
    """Reads the presence table for one release; holds who is used."""

    def __init__(
        self,
        declaration: Declaration,
        areas: Areas,
        subscribers: Subscribers,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._declaration = declaration
        self._areas = areas
        self._subscribers = subscribers
        self._pseudonyms = pseudonyms
        self.counts = RowCounts()
        self.seen = SubscriberDays(len(subscribers.codes))

    def stays(self, table: Table, number: int, chunk_rows: int = 1 << 20) -> Iterator[HourStays]:
        """Stream the stays of one file, in whole days of subscribers, shares of an hour bounded.

        Args:
            table: what `open_presence` returned.
            number: place of the file in `table.files`.
            chunk_rows: rows that are read at once.

        Raises:
            InputError: the file is damaged, or the rows of a subscriber's day are not together.
        """
        file = table.files[number]
        held = None
        for chunk in table.read([Piece(file, None, 1)], table.uses, chunk_rows):
            stays = self._located(chunk)
            stays = stays if held is None else held.followed_by(stays)
            # The last subscriber's day may go on in the next chunk.
            starts = run_starts(stays.run)
            last = int(starts[-1]) if len(starts) else 0
            held = stays.take(slice(last, None))
            yield self._whole_days(stays.take(slice(0, last)), file.shown)
        if held is not None:
            yield self._whole_days(held, file.shown)

    def _whole_days(self, stays: HourStays, file: str) -> HourStays:
        """Bound whole days of stays, and keep those in areas of the release."""
        run = stays.run
        first = run_starts(run)
        if len(np.unique(run[first])) < len(first) or not self.seen.add(
            stays.subscriber[first], stays.day[first]
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

    def _located(self, chunk: Chunk) -> HourStays:
        ids = chunk.columns["subscriber"]
        mesh = chunk.columns["mesh"]
        codes, valid = self._pseudonyms.codes(ids.dictionary)
        subscriber = _of_dictionary(ids, np.where(valid, self._subscribers.find(codes), -1))
        at, known = _clock(chunk.columns["time"], self._declaration.timezone)
        day = at // _DAY - (self._declaration.first_day.toordinal() - _EPOCH)
        second = at % _DAY
        used = subscriber >= 0
        inside = known & (day >= 0) & (day < self._declaration.days)
        self.counts.rows += len(subscriber)
        self.counts.not_used += int((~used).sum())
        self.counts.outside_days += int((used & ~inside).sum())
        dwell = chunk.columns["dwell"].to_numpy(zero_copy_only=False)
        whole = np.clip(np.rint(np.nan_to_num(dwell, nan=0.0)), 0, SECONDS).astype(np.int64)
        # A stay is counted in the hour in which it begins, and ends with that hour.
        seconds = np.minimum(whole, SECONDS - second % SECONDS)
        place = _of_dictionary(mesh, self._areas.find(mesh.dictionary))
        return HourStays(subscriber, day, second // SECONDS, seconds, place).take(used & inside)


def bound_hours(stays: HourStays, group: NDArray[np.int64]) -> HourStays:
    """Shorten stays in proportion, so that a subscriber's seconds in an hour are 3,600 at most.

    Args:
        stays: N stays.
        group: (N,) number, from 0 and rising, of the subscriber and day of each.
    """
    hour = group * HOURS + stays.hour
    total = np.zeros(HOURS * (len(group) and int(group[-1]) + 1), np.int64)
    np.add.at(total, hour, stays.seconds)
    over = total[hour]
    seconds = np.where(
        over > SECONDS, stays.seconds * SECONDS // np.maximum(over, 1), stays.seconds
    )
    return HourStays(stays.subscriber, stays.day, stays.hour, seconds, stays.place)


def _of_dictionary(values: pa.DictionaryArray, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) number that each value of a dictionary stands for; -1 for null."""
    codes = values.indices.fill_null(len(numbers)).to_numpy(zero_copy_only=False)
    number_of_row: NDArray[np.int64] = np.append(numbers, -1)[codes]
    return number_of_row


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
