"""Paths of travellers: points on the way, between which people move in a straight line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xstat_ray.geo import mesh
from xstat_ray.geo.roads import drive_minutes, road_km
from xstat_ray.hokkaido.world.days import DAY, ordinary_day
from xstat_ray.hokkaido.world.journeys import OUTINGS, Journeys
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.timetable import timetable

LEAVING = 15
"""Minutes from landing to the road."""
_OUTING = (10 * 60, 16 * 60)
"""Minutes of the day between which an outing lasts, the ways included."""

Point = tuple[NDArray[np.int64], NDArray[np.int32]]
"""(J,) minutes and (J,) cells."""


@dataclass(frozen=True)
class Paths:
    """Paths of J journeys with K points, from midnight before the day before to two days later.

    A path covers the day before its journey, and ends at midnight after the day after it.
    """

    journeys: Journeys
    times: NDArray[np.int64]
    """(J, K) minutes, never falling; times of day are `times % DAY`, days `times // DAY`."""
    cells: NDArray[np.int32]
    """(J, K) 500 m cells."""
    flights: NDArray[np.int64]
    """(J, 2, 2) minutes of departure and arrival, there and back; by road, of leaving and
    arriving."""

    def __len__(self) -> int:
        return len(self.journeys)

    def at(self, row: NDArray[np.int64], minute: NDArray[np.int64]) -> NDArray[np.int32]:
        """Find where travellers are.

        Args:
            row: (N,) journeys.
            minute: (N,) times within their paths.

        Returns:
            (N,) 500 m cells; 0 aboard, while the phone is off.
        """
        after = np.clip(
            (self.times[row] <= minute[:, None]).sum(axis=1), 1, self.times.shape[1] - 1
        )
        earlier = self.times[row, after - 1]
        later = self.times[row, after]
        left = self.cells[row, after - 1]
        reached = self.cells[row, after]
        cells: NDArray[np.int32] = left.copy()
        moving = np.flatnonzero(left != reached)
        share = (minute - earlier)[moving] / np.maximum(later - earlier, 1)[moving]
        cells[moving] = between(left[moving], reached[moving], np.clip(share, 0, 1))
        aboard = (self.flights[row, :, 0] <= minute[:, None]) & (
            minute[:, None] < self.flights[row, :, 1]
        )
        cells[aboard.any(axis=1) & self.journeys.by_air[row]] = 0
        return cells

    def on(self, day: int) -> NDArray[np.int64]:
        """Find the journeys whose path covers a day (an ordinal): at most one of each person."""
        covers = (self.journeys.start - 1 <= day) & (day <= self.journeys.end + 1)
        return np.flatnonzero(covers)


def make_paths(world: World, people: People, journeys: Journeys) -> Paths:
    """Make the paths of journeys; those in which travellers would have to hurry are left out."""
    home = people.cell[journeys.person]
    away = people.away[journeys.person]
    base = journeys.base
    live = people.home[journeys.person]
    flights = _flight_times(journeys, home)
    points: list[Point] = [((journeys.start - 1) * DAY, home)]
    points += _ordinary(world, people, journeys, journeys.start - 1, (home, away))
    points += _way(journeys, 0, flights[:, 0], (home, base), (live, journeys.aim))
    for turn in range(OUTINGS):
        points += _outing(journeys, turn, points[-1][0])
    points += _way(journeys, 1, flights[:, 1], (base, home), (journeys.aim, live))
    points += _ordinary(world, people, journeys, journeys.end + 1, (home, away))
    points += [((journeys.end + 2) * DAY, home)]
    times, cells = (np.stack(part, axis=1) for part in zip(*points, strict=True))
    possible: NDArray[np.bool_] = np.all(np.diff(times, axis=1) >= 0, axis=1)
    return Paths(
        journeys.where(possible),
        times[possible],
        cells[possible].astype(np.int32),
        flights[possible],
    )


def _flight_times(journeys: Journeys, home: NDArray[np.int32]) -> NDArray[np.int64]:
    """(J, 2, 2) departure and arrival; by road people leave when they please."""
    table = timetable()
    days = np.stack([journeys.start, journeys.end], axis=1) * DAY
    flown = np.stack([table.departure[journeys.flight], table.arrival[journeys.flight]], axis=2)
    road = np.stack(
        [journeys.leave, journeys.leave + _road_minutes(home, journeys.base)[:, None]], axis=2
    )
    times: NDArray[np.int64] = days[:, :, None] + np.where(
        journeys.by_air[:, None, None], flown, road
    )
    return times


def _way(
    journeys: Journeys,
    leg: int,
    times: NDArray[np.int64],
    cells: tuple[NDArray[np.int32], NDArray[np.int32]],
    ends: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> list[Point]:
    """Make the points of a way: people leave, are at an airport, depart, arrive, and go on.

    By road nobody is at an airport: points at airports are at the ends of the way instead.

    Args:
        journeys: the journeys of a block.
        leg: 0 there, 1 back.
        times: (J, 2) departure and arrival.
        cells: cells from where people leave, and where they go.
        ends: places of these cells.
    """
    where = places()
    table = timetable()
    air = journeys.by_air
    route = table.route[journeys.flight[:, leg]]
    airports = (table.origin[route], table.target[route])
    gates = [
        np.where(air, _gates()[airport], cell)
        for airport, cell in zip(airports, cells, strict=True)
    ]
    ways = [
        np.where(air, where.access[end, airport], 0)
        for airport, end in zip(airports, ends, strict=True)
    ]
    lead = np.where(air, journeys.lead[:, leg], 0)
    leaving = np.where(air, LEAVING, 0)
    departure, arrival = times.T
    to, away = (way.astype(np.int64) for way in ways)
    return [
        (departure - lead - to, cells[0]),
        (departure - lead, gates[0]),
        (departure, gates[0]),
        (arrival, gates[1]),
        (arrival + leaving, gates[1]),
        (arrival + leaving + away, cells[1]),
    ]


def _ordinary(
    world: World,
    people: People,
    journeys: Journeys,
    days: NDArray[np.int64],
    cells: tuple[NDArray[np.int32], NDArray[np.int32]],
) -> list[Point]:
    """Make the points of an ordinary day at home for each journey."""
    times = np.empty((len(days), 4), np.int64)
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        times[rows] = day * DAY + ordinary_day(world, people, int(day))[journeys.person[rows]]
    home, away = cells
    return list(zip(times.T, (home, away, away, home), strict=True))


def _outing(journeys: Journeys, turn: int, earliest: NDArray[np.int64]) -> list[Point]:
    """Make the points of an outing on a full day of the stay.

    It takes no time if there is no such day, or if its aim is too far.
    """
    base = journeys.base
    aim = journeys.outing[:, turn]
    way = _road_minutes(base, aim)
    day = journeys.start + 1 + turn
    out, back = (day * DAY + minute for minute in _OUTING)
    goes = (day < journeys.end) & (out >= earliest) & (2 * way < _OUTING[1] - _OUTING[0])
    times = (np.where(goes, time, earliest) for time in (out, out + way, back - way, back))
    return list(zip(times, (base, aim, aim, base), strict=True))


def _road_minutes(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.int64]:
    """(N,) minutes by car between cells."""
    return drive_minutes(road_km(*mesh.centre(a, "500m"), *mesh.centre(b, "500m"))).astype(np.int64)


def between(
    a: NDArray[np.int32], b: NDArray[np.int32], share: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Find cells on straight lines.

    Args:
        a: (N,) cells where the lines begin.
        b: (N,) cells where they end.
        share: (N,) part of the line that is behind, from 0 to 1.

    Returns:
        (N,) cells; where a line is off the land, its nearer end.
    """
    (lat0, lon0), (lat1, lon1) = (mesh.centre(cells, "500m") for cells in (a, b))
    cells = mesh.encode(lat0 + share * (lat1 - lat0), lon0 + share * (lon1 - lon0), "500m").astype(
        np.int32
    )
    return np.where(places().municipality(cells) >= 0, cells, np.where(share < 0.5, a, b))


@cache
def _gates() -> NDArray[np.int32]:
    """(A,) cells of the airports."""
    where = places()
    return np.asarray(mesh.encode(where.airport_lat, where.airport_lon, "500m"), np.int32)
