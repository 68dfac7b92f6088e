"""The timetable of flights in summer, and in winter with the route that opens then."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.places import places, read_csv
from xstat_ray.hokkaido.world.streams import choose

WINTER = dt.date(2023, 10, 29).toordinal()
"""First day of the winter season."""
SAPPORO = ("CTS", "OKD")
DOTO = ("KUH", "MMB", "SHB")
EAST = (*DOTO, "OBO")
"""All airports of eastern Hokkaido."""
SEASONS = ("S23", "W23")


@dataclass(frozen=True)
class Timetable:
    """F flights on R routes."""

    number: NDArray[np.object_]
    route: NDArray[np.int64]
    """(F,) routes of the flights."""
    departure: NDArray[np.int64]
    """(F,) minutes from midnight."""
    arrival: NDArray[np.int64]
    seats: NDArray[np.float64]
    winter_only: NDArray[np.bool_]
    flies: NDArray[np.bool_]
    """(7, F) whether a flight flies, by weekday, Monday first."""
    origin: NDArray[np.int64]
    """(R,) airports of departure, by their places in `Places.airports`."""
    target: NDArray[np.int64]
    """(R,) airports of arrival."""
    studied: NDArray[np.bool_]
    """(R,) whether a route joins the Sapporo area and eastern Hokkaido."""
    back: NDArray[np.int64]
    """(R,) routes in the other direction."""

    def capacity(self) -> NDArray[np.float64]:
        """(2, R) seats a day in summer and winter."""
        rows = [
            np.bincount(self.route, self.seats * keep, len(self.origin))
            for keep in (~self.winter_only, True)
        ]
        return np.stack(rows)

    def flight(
        self, route: NDArray[np.int64], day: NDArray[np.int64], u: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Choose a flight of each route on each day, by seats.

        Args:
            route: (N,) routes.
            day: (N,) ordinals.
            u: (N,) uniform numbers in [0, 1).

        Returns:
            (N,) flights; -1 where none flies.
        """
        on_route = self.route == route[:, None]
        in_season = ~self.winter_only | (day >= WINTER)[:, None]
        # The first day of the calendar, ordinal 1, was a Monday.
        flies = on_route & in_season & self.flies[(day - 1) % 7]
        return choose(np.where(flies, self.seats, 0.0), u)


@cache
def timetable() -> Timetable:
    """Read the timetable, once in a process."""
    table = read_csv("timetable.csv")
    airports = places().airports
    legs = list(
        zip(
            table["departure_airport"].to_pylist(),
            table["arrival_airport"].to_pylist(),
            strict=True,
        )
    )
    routes = sorted(set(legs))
    first = table["first_day"].to_pylist()
    flies = [set(days or "1234567") for days in table["weekdays"].to_pylist()]
    return Timetable(
        number=np.array(table["flight"].to_pylist(), object),
        route=np.array([routes.index(leg) for leg in legs]),
        departure=_minutes(table["departure"].to_pylist()),
        arrival=_minutes(table["arrival"].to_pylist()),
        seats=table["seats"].to_numpy().astype(float),
        winter_only=np.array(
            [bool(day) and dt.date.fromisoformat(day).toordinal() == WINTER for day in first]
        ),
        flies=np.array([[str(day) in days for days in flies] for day in range(1, 8)]),
        origin=np.array([airports.index(a) for a, _ in routes]),
        target=np.array([airports.index(b) for _, b in routes]),
        studied=np.array(
            [(a in SAPPORO and b in DOTO) or (a in DOTO and b in SAPPORO) for a, b in routes]
        ),
        back=np.array([routes.index((b, a)) for a, b in routes]),
    )


def _minutes(times: list[str]) -> NDArray[np.int64]:
    return np.array([int(time[:2]) * 60 + int(time[3:]) for time in times])
