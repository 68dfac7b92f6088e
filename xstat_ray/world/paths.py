"""Where a traveller is at any minute: points on the way, between which one moves in a straight line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xstat_ray.geo import hokkaido, mesh
from xstat_ray.geo.roads import drive_minutes, road_km
from xstat_ray.world.days import DAY, ordinary_day
from xstat_ray.world.journeys import OUTINGS, Journeys
from xstat_ray.world.people import People
from xstat_ray.world.places import places
from xstat_ray.world.settings import World
from xstat_ray.world.timetable import timetable

_LEAVING = 15
"""Minutes from landing to the road."""
_OUTING = (10 * 60, 16 * 60)
"""Minutes of the day between which an outing lasts, the way there and back included."""


@dataclass(frozen=True)
class Paths:
    """J journeys from midnight before the day before them to midnight after the day after them, with K points each."""

    journeys: Journeys
    times: NDArray[np.int64]
    """(J, K) minutes, never falling; times of day are `times % DAY`, days `times // DAY`."""
    cells: NDArray[np.int32]
    """(J, K) 500 m cells."""
    flights: NDArray[np.int64]
    """(J, 2, 2) minutes of departure and arrival, there and back; empty intervals for journeys by road."""

    def at(self, row: NDArray[np.int64], minute: NDArray[np.int64]) -> NDArray[np.int32]:
        """(N,) 500 m cell of journeys at minutes; 0 while the phone is off, aboard.

        Args:
            row: (N,) journeys.
            minute: (N,) times within their path.
        """
        after = np.clip((self.times[row] <= minute[:, None]).sum(axis=1), 1, self.times.shape[1] - 1)
        (t0, t1), (c0, c1) = ((x[row, after - 1], x[row, after]) for x in (self.times, self.cells))
        share = np.clip((minute - t0) / np.maximum(t1 - t0, 1), 0, 1)
        cells = np.where(c0 == c1, c0, _between(c0, c1, share))
        aboard = (self.flights[row, :, 0] <= minute[:, None]) & (minute[:, None] < self.flights[row, :, 1])
        return np.where(aboard.any(axis=1), 0, cells).astype(np.int32)


def make_paths(world: World, people: People, journeys: Journeys) -> Paths:
    """Points of all journeys that are possible; who would have to hurry too much stays at home."""
    where, person = places(), journeys.person
    home, away, base = people.cell[person], people.away[person], journeys.base
    flights = _flight_times(journeys)
    gates = _gates(journeys)
    ways = [_airport_ways(people.home[person], journeys, leg) for leg in (0, 1)]
    road = np.where(journeys.by_air, 0, _road_minutes(home, base)).astype(np.int64)
    # The day of the journey's start and end, in minutes; there: home to base, back: base to home.
    starts, ends = journeys.start * DAY, journeys.end * DAY
    out = _leg(journeys, 0, starts, flights[:, 0], ways[0], road)
    back = _leg(journeys, 1, ends, flights[:, 1], ways[1], road)
    before = _ordinary(world, people, journeys, journeys.start - 1)
    after = _ordinary(world, people, journeys, journeys.end + 1)
    outings = [_outing(journeys, turn, out[-1]) for turn in range(OUTINGS)]
    no_airport = ~journeys.by_air
    there = [np.where(no_airport, home, gate) for gate in gates[0]]
    again = [np.where(no_airport, base, gate) for gate in gates[1]]
    times = [starts - DAY, *before, *out, *(t for o in outings for t in o), *back, *after, ends + 2 * DAY]
    cells = [home, home, away, away, home, home, there[0], there[0], there[1], there[1], base]
    for turn in range(OUTINGS):
        cells += [base, journeys.outing[:, turn], journeys.outing[:, turn], base]
    cells += [base, again[0], again[0], again[1], again[1], home, home, away, away, home, home]
    every = Paths(journeys, np.stack(times, axis=1), np.stack(cells, axis=1).astype(np.int32), flights)
    possible = (np.diff(every.times, axis=1) >= 0).all(axis=1)
    assert len(where.codes)
    return Paths(journeys.where(possible), every.times[possible], every.cells[possible], flights[possible])
