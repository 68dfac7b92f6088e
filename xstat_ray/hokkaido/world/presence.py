"""The operator's presence table of a day: in which 500 m cell a phone was, when, for how long."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.days import DAY, ordinary_day
from xstat_ray.hokkaido.world.labels import LABEL, labelled
from xstat_ray.hokkaido.world.paths import Paths, between
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.streams import stream

SCHEMA = pa.schema([
    ("subscriber", pa.string()),
    ("time", pa.timestamp("s")),
    ("mesh", pa.int32()),
    ("zone", LABEL),
    ("dwell", pa.int32()),
])  # fmt: skip
"""Times are local, Asia/Tokyo; a row never crosses an hour. Sorted by subscriber and time."""

QUARTER = 15
_HOURS = 60 * np.arange(24)
_OFF_HOURS = 3
_OFF_CHANCE = 0.5


class DayStays(NamedTuple):
    """N stays of a day, in any order; none crosses an hour."""

    person: NDArray[np.int64]
    minute: NDArray[np.int64]
    minutes: NDArray[np.int64]
    cell: NDArray[np.int32]

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> DayStays:
        """Select some of the stays."""
        return DayStays(self.person[rows], self.minute[rows], self.minutes[rows], self.cell[rows])

    def and_also(self, other: DayStays) -> DayStays:
        """Join these stays and others."""
        return DayStays(
            np.append(self.person, other.person),
            np.append(self.minute, other.minute),
            np.append(self.minutes, other.minutes),
            np.append(self.cell, other.cell),
        )


def presence(world: World, people: People, paths: Paths, day: int) -> pa.Table:
    """Make the rows of all subscribers on a day, with `SCHEMA`.

    Travellers have rows of a quarter of an hour on days with a flight and the days beside them;
    everybody else has a row for each hour, or several where they moved. Phones are off aboard, and
    some phones are off for some hours.

    Args:
        world: the settings.
        people: the block.
        paths: the paths of its people.
        day: an ordinal.
    """
    travelling = paths.on(day)
    away = np.zeros(len(people), bool)
    away[paths.journeys.person[travelling]] = True
    home = np.flatnonzero(people.subscriber & ~away)
    travelling = travelling[people.subscriber[paths.journeys.person[travelling]]]
    ordinary = ordinary_stays(people, home, ordinary_day(world, people, day)[home])
    stays = ordinary.and_also(travel_stays(paths, travelling, day))
    stays = stays.where(_on(world, people, stays, day))
    stays = stays.where(np.argsort(stays.person * DAY + stays.minute, kind="stable"))
    where = places()
    zone = where.zones(stays.cell, people.cell[stays.person])
    midnight = np.datetime64("0001-01-01T00:00:00", "s") + np.timedelta64(day - 1, "D")
    columns = [
        people.phones().take(pa.array(stays.person)),
        pa.array(midnight + (60 * stays.minute).astype("timedelta64[s]")),
        pa.array(stays.cell),
        labelled(zone, where.zone_names),
        pa.array((60 * stays.minutes).astype(np.int32)),
    ]
    return pa.table(columns, schema=SCHEMA)


def ordinary_stays(people: People, who: NDArray[np.int64], times: NDArray[np.int64]) -> DayStays:
    """Make the stays of people on a day without a journey.

    They are at home, on the way, where they go, on the way, and at home.

    Args:
        people: the block.
        who: (N,) rows of the block.
        times: (N, 4) minutes at which they leave, arrive, leave again and are back.
    """
    cuts = np.sort(np.concatenate([np.broadcast_to(_HOURS, (len(who), 24)), times], axis=1), axis=1)
    minutes = np.diff(cuts, axis=1, append=DAY)
    row, column = np.nonzero(minutes)
    minute = cuts[row, column]
    minutes = minutes[row, column]
    step = (times[row] <= minute[:, None]).sum(axis=1)
    home = people.cell[who]
    away = people.away[who]
    middle = between(home, away, np.full(len(who), 0.5))
    cells = np.stack([home, middle, away, middle, home], axis=1)
    return DayStays(who[row], minute, minutes, cells[row, step])


def travel_stays(paths: Paths, rows: NDArray[np.int64], day: int) -> DayStays:
    """Make the stays of travellers, from where they are in the middle of each quarter of an hour.

    Unless there is a flight on the day, or on a day beside it, quarters of an hour in one cell
    become one stay.

    Args:
        paths: the paths of the block.
        rows: (N,) paths that cover the day.
        day: an ordinal.
    """
    quarters = np.arange(0, DAY, QUARTER)
    row = np.repeat(rows, len(quarters))
    minute = np.tile(quarters, len(rows))
    cell = paths.at(row, day * DAY + minute + QUARTER // 2)
    trips = paths.journeys
    near = (abs(trips.start - day) <= 1) | (abs(trips.end - day) <= 1)
    exact = (near & trips.by_air)[row]
    first = exact | (minute % 60 == 0) | (cell != np.roll(cell, 1))
    starts = np.flatnonzero(first)
    stays = DayStays(trips.person[row], minute, minute, cell).where(starts)
    stays = stays._replace(minutes=QUARTER * np.diff(starts, append=len(first)))
    return stays.where(stays.cell > 0)


def _on(world: World, people: People, stays: DayStays, day: int) -> NDArray[np.bool_]:
    """Tell during which stays the phone is on."""
    draw = stream(world.seed, "off", people.block, day)
    off = people.unsteady & (draw.random(len(people)) < _OFF_CHANCE)
    hour = draw.integers(0, 24 - _OFF_HOURS + 1, len(people))[stays.person]
    now = stays.minute // 60
    return ~(off[stays.person] & (hour <= now) & (now < hour + _OFF_HOURS))
