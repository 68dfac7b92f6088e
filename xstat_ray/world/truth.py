"""What people really did, worked out from their plans, not from the tables: facts for statistics to find again."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.world.boardings import HALFDAYS, booked, halfday
from xstat_ray.world.days import DAY
from xstat_ray.world.paths import Paths
from xstat_ray.world.people import People
from xstat_ray.world.places import places
from xstat_ray.world.settings import World
from xstat_ray.world.timetable import SEASONS, WINTER, timetable

WATERSHED = ("airport", "season", "municipality", "all", "counted")
"""Visitor-days: passengers by the municipality in which they spent most of the day they landed, or of the next."""
STATES = ("airport", "halfday", "before", "state", "all", "counted")
"""Passengers by where they were a day, 60, 40 and 20 minutes before departure."""
BEFORE = (DAY, 60, 40, 20)
STATE_NAMES = ("near home", "near airport", "elsewhere")
_STEP = 5
"""Minutes between the moments at which one looks where somebody is."""


@dataclass(frozen=True)
class Truth:
    """Counts of a block, or of all; `[..., 0]` of everybody, `[..., 1]` of those who can be counted."""

    watershed: NDArray[np.int64]
    """(airports, seasons, municipalities, 2)"""
    states: NDArray[np.int64]
    """(airports, halves of the day, times before departure, states, 2)"""

    def __add__(self, other: Truth) -> Truth:
        return Truth(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


def truth(world: World, people: People, paths: Paths) -> Truth:
    """What passengers of the airline did on the days of the tables.

    Counted can be who is a subscriber whose data may be used, and did not refuse as a member.
    """
    row, leg = booked(world, paths)
    who = paths.journeys.person[row]
    countable = (people.usable & ~people.refuses)[who]
    return Truth(_watershed(world, paths, row, leg, countable), _states(people, paths, row, leg, countable))


def _watershed(
    world: World, paths: Paths, row: NDArray[np.int64], leg: NDArray[np.int64], countable: NDArray[np.bool_]
) -> NDArray[np.int64]:
    where, table = places(), timetable()
    count = np.zeros((len(where.airports), len(SEASONS), where.local, 2), np.int64)
    arrival = paths.flights[row, leg, 1]
    airport = table.target[table.route[paths.journeys.flight[row, leg]]]
    season = (arrival // DAY >= WINTER).astype(np.int64)
    for after in (0, 1):
        day = arrival // DAY + after
        moments = day[:, None] * DAY + np.arange(_STEP // 2, DAY, _STEP)
        cells = paths.at(np.repeat(row, moments.shape[1]), moments.ravel()).reshape(moments.shape)
        place = _longest(where.municipality(cells), where.local)
        seen = (place >= 0) & (day <= world.last_day.toordinal())
        for kind, rows in enumerate((seen, seen & countable)):
            np.add.at(count, (airport[rows], season[rows], place[rows], kind), 1)
    return count


def _states(
    people: People, paths: Paths, row: NDArray[np.int64], leg: NDArray[np.int64], countable: NDArray[np.bool_]
) -> NDArray[np.int64]:
    where, table = places(), timetable()
    count = np.zeros((len(where.airports), len(HALFDAYS), len(BEFORE), len(STATE_NAMES), 2), np.int64)
    departure = paths.flights[row, leg, 0]
    airport = table.origin[table.route[paths.journeys.flight[row, leg]]]
    homes = people.cell[paths.journeys.person[row]]
    for number, before in enumerate(BEFORE):
        zone = where.zones(paths.at(row, departure - before), homes)
        state = np.select([zone == len(where.airports), zone == airport], [0, 1], 2)
        for kind, rows in enumerate((np.ones(len(row), bool), countable)):
            np.add.at(count, (airport[rows], halfday(departure[rows]), number, state[rows], kind), 1)
    return count


def watershed_table(total: Truth) -> pa.Table:
    """Rows with the columns `WATERSHED`; only those that somebody visited."""
    where = places()
    names = [where.airports, SEASONS, where.codes[: where.local]]
    return _table(total.watershed, WATERSHED, names)


def states_table(total: Truth) -> pa.Table:
    """Rows with the columns `STATES`; only of airports with passengers."""
    before = [f"{minutes} min" for minutes in BEFORE]
    return _table(total.states, STATES, [places().airports, HALFDAYS, before, STATE_NAMES])


def _table(count: NDArray[np.int64], columns: tuple[str, ...], names: list[object]) -> pa.Table:
    *at, both = [*np.nonzero(count[..., 0]), count[count[..., 0] > 0]]
    labels = [np.array(list(of), object)[rows] for of, rows in zip(names, at, strict=True)]
    return pa.table(dict(zip(columns, [*map(pa.array, labels), *both.T], strict=True)))


def _longest(place: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """(N,) the place that occurs most often in every row, the first of several; -1, which is no place, is left out."""
    count = np.zeros((len(place), size), np.int16)
    row, column = np.nonzero(place >= 0)
    np.add.at(count, (row, place[row, column]), 1)
    return np.where(count.any(axis=1), count.argmax(axis=1), -1)
