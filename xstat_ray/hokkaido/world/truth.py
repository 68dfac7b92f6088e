"""True facts for statistics to find: the deeds of people, from their plans and not the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.boardings import HALFDAYS, booked, halfday
from xstat_ray.hokkaido.world.days import DAY
from xstat_ray.hokkaido.world.paths import LEAVING, Paths
from xstat_ray.hokkaido.world.people import USED_AGES, People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.presence import QUARTER
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.timetable import EAST, SEASONS, WINTER, timetable

WATERSHED = ("airport", "season", "municipality", "all", "counted")
"""Columns of visitor-days: passengers by the municipality in which they spent most of the day of
landing, or of the next."""
STATES = ("airport", "halfday", "before", "state", "all", "counted")
"""Columns of passengers by where they were for most of the quarter of an hour that holds the moment
a day, 60, 40 or 20 minutes before departure."""
BEFORE = (DAY, 60, 40, 20)
STATE_NAMES = ("near home", "near airport", "elsewhere")
AREAS = ("municipality", "visitor_minutes", "passengers", "landing_minutes")
"""Columns by municipality: minutes that people of the ages used spent there on journeys, if they
live elsewhere; passengers who landed in eastern Hokkaido on their way to it; and the sum of their
minutes from landing."""
_STEP = 5
"""Minutes between the moments at which the places of people are looked up."""


@dataclass(frozen=True)
class Truth:
    """Counts of a block, or of all blocks.

    `[..., 0]` counts everybody, `[..., 1]` those who can be counted.
    """

    watershed: NDArray[np.int64]
    """(airports, seasons, municipalities, 2) visitor-days."""
    states: NDArray[np.int64]
    """(airports, halves of the day, times before departure, states, 2) passengers."""
    areas: NDArray[np.int64]
    """(municipalities, 3) the numbers of `AREAS`, over everybody."""

    def __add__(self, other: Truth) -> Truth:
        return Truth(
            **{
                field.name: getattr(self, field.name) + getattr(other, field.name)
                for field in fields(self)
            }
        )


class Trips(NamedTuple):
    """N flights of passengers of the airline."""

    row: NDArray[np.int64]
    """(N,) journeys."""
    leg: NDArray[np.int64]
    """(N,) 0 there, 1 back."""
    countable: NDArray[np.bool_]
    """(N,) whether the data of the passenger may be used by operator and airline."""


def truth(world: World, people: People, paths: Paths) -> Truth:
    """Count what passengers of the airline did on the days of the tables, and where visitors were.

    Args:
        world: the settings.
        people: the block.
        paths: the paths of its people.
    """
    row, leg = booked(world, paths)
    trips = Trips(row, leg, (people.usable & ~people.refuses)[paths.journeys.person[row]])
    return Truth(
        watershed=_watershed(world, paths, trips),
        states=_states(people, paths, trips),
        areas=np.column_stack(
            [_visitor_minutes(world, people, paths), _landings(people, paths, trips)]
        ),
    )


def _watershed(world: World, paths: Paths, trips: Trips) -> NDArray[np.int64]:
    where = places()
    table = timetable()
    count = np.zeros((len(where.airports), len(SEASONS), where.local, 2), np.int64)
    arrival = paths.flights[trips.row, trips.leg, 1]
    airport = table.target[table.route[paths.journeys.flight[trips.row, trips.leg]]]
    season = (arrival // DAY >= WINTER).astype(np.int64)
    for after in (0, 1):
        day = arrival // DAY + after
        place = most_of_day(paths, trips.row, day)
        seen = (place >= 0) & (day <= world.last_day.toordinal())
        for kind, rows in enumerate((seen, seen & trips.countable)):
            np.add.at(count[..., kind], (airport[rows], season[rows], place[rows]), 1)
    return count


def most_of_day(paths: Paths, row: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find the municipalities in which travellers spend most of a day.

    Args:
        paths: the paths of a block.
        row: (N,) journeys.
        day: (N,) days (ordinals) that their paths cover.

    Returns:
        (N,) places; -1 for days spent outside Hokkaido.
    """
    where = places()
    moments = day[:, None] * DAY + np.arange(_STEP // 2, DAY, _STEP)
    cells = paths.at(np.repeat(row, moments.shape[1]), moments.ravel()).reshape(moments.shape)
    return _longest(where.municipality(cells), where.local)


def _states(people: People, paths: Paths, trips: Trips) -> NDArray[np.int64]:
    where = places()
    table = timetable()
    count = np.zeros(
        (len(BEFORE), len(where.airports), len(HALFDAYS), len(STATE_NAMES), 2), np.int64
    )
    departure = paths.flights[trips.row, trips.leg, 0]
    airport = table.origin[table.route[paths.journeys.flight[trips.row, trips.leg]]]
    homes = people.cell[paths.journeys.person[trips.row]]
    half = halfday(departure)
    for moment, before in zip(count, BEFORE, strict=True):
        quarter = (departure - before) // QUARTER * QUARTER
        looks = quarter[:, None] + np.arange(_STEP // 2, QUARTER, _STEP)
        cells = paths.at(np.repeat(trips.row, looks.shape[1]), looks.ravel())
        zone = where.zones(cells, np.repeat(homes, looks.shape[1])).reshape(looks.shape)
        states = np.select([zone == len(where.airports), zone == airport[:, None]], [0, 1], 2)
        state = _most(states)
        np.add.at(moment[..., 0], (airport, half, state), 1)
        np.add.at(moment[..., 1], (airport, half, state), trips.countable)
    return np.moveaxis(count, 0, 2)


def _visitor_minutes(world: World, people: People, paths: Paths) -> NDArray[np.int64]:
    """(municipalities,) minutes of travellers in municipalities where they do not live."""
    where = places()
    person = paths.journeys.person
    used = (people.age >= USED_AGES[0]) & (people.age <= USED_AGES[1])
    count = np.zeros(where.local, np.int64)
    moments = np.arange(QUARTER // 2, DAY, QUARTER)
    for date in world.dates:
        travelling = paths.on(date.toordinal())
        travelling = travelling[used[person[travelling]]]
        minutes = date.toordinal() * DAY + np.tile(moments, len(travelling))
        row = np.repeat(travelling, len(moments))
        place = where.municipality(paths.at(row, minutes))
        visiting = (place >= 0) & (place != people.home[person[row]])
        count += QUARTER * np.bincount(place[visiting], minlength=where.local)
    return count


def _landings(people: People, paths: Paths, trips: Trips) -> NDArray[np.int64]:
    """(municipalities, 2) passengers who land in the east on their way there, and their minutes."""
    where = places()
    table = timetable()
    target = table.target[table.route[paths.journeys.flight[trips.row, trips.leg]]]
    end = np.where(
        trips.leg == 0, paths.journeys.aim[trips.row], people.home[paths.journeys.person[trips.row]]
    )
    rows = np.isin(target, [where.airports.index(name) for name in EAST]) & (end < where.local)
    minutes = LEAVING + where.access[end[rows], target[rows]].astype(np.int64)
    count = np.zeros((where.local, 2), np.int64)
    np.add.at(count, end[rows], np.column_stack([np.ones_like(minutes), minutes]))
    return count


def watershed_table(total: Truth) -> pa.Table:
    """Make a table with the columns `WATERSHED`; municipalities without visitors have no row."""
    where = places()
    return table_of(
        total.watershed, WATERSHED, [where.airports, SEASONS, list(where.codes[: where.local])]
    )


def states_table(total: Truth) -> pa.Table:
    """Make a table with the columns `STATES`; airports without passengers have no row."""
    before = [f"{minutes} min" for minutes in BEFORE]
    return table_of(total.states, STATES, [places().airports, HALFDAYS, before, STATE_NAMES])


def areas_table(total: Truth) -> pa.Table:
    """Make a table with a row for each municipality, with the columns `AREAS`."""
    where = places()
    codes = pa.array(list(where.codes[: where.local]), pa.string())
    return pa.table([codes, *map(pa.array, total.areas.T)], names=list(AREAS))


def table_of(
    count: NDArray[np.int64], columns: tuple[str, ...], names: list[Sequence[str]]
) -> pa.Table:
    """Make a table of counts that are not zero.

    Args:
        count: (..., 2) counts of everybody and of those who can be counted.
        columns: names of the columns, the two counts last.
        names: labels of all axes but the last.
    """
    at = np.nonzero(count[..., 0])
    both = count[count[..., 0] > 0]
    labels = [
        pa.array([*of], pa.string()).take(pa.array(rows))
        for of, rows in zip(names, at, strict=True)
    ]
    return pa.table([*labels, *map(pa.array, both.T)], names=list(columns))


def _most(states: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) states seen most often in each row; where all differ, that of the middle moment."""
    count = (states[:, :, None] == np.arange(len(STATE_NAMES))).sum(axis=1)
    middle = states[:, states.shape[1] // 2]
    return np.where(count.max(axis=1) > 1, count.argmax(axis=1), middle)


def _longest(place: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """(N,) places that occur most often in each row, the first of several; -1 if none occurs."""
    count = np.zeros((len(place), size), np.int16)
    row, column = np.nonzero(place >= 0)
    np.add.at(count, (row, place[row, column]), 1)
    return np.where(count.any(axis=1), count.argmax(axis=1), -1)
