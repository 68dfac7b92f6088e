"""Journeys: who goes where, when, by which flights, and with how much time at the airport."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.days import DAY
from xstat_ray.hokkaido.world.demand import (
    air_weights,
    airport_weights,
    outing_weights,
    road_weights,
)
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.streams import choose, stream
from xstat_ray.hokkaido.world.timetable import WINTER, timetable

SLOT_DAYS = 14
"""Days in which a person makes at most one journey; people differ in when these days begin."""
OUTINGS = 2
"""Most outings of a stay, on its first full days."""
_EPOCH = dt.date(2023, 1, 2).toordinal()
_FIRST_START = 1
_STARTS = 8
_MOST_NIGHTS = 4
YOUNGEST = 10
_LEADS = {"CTS": 85, "OKD": 55, "KUH": 60, "MMB": 60, "SHB": 50}
_LEAD = 75
_LEAD_SPREAD = 0.3
_MORNING_HASTE = 0.85
"""Factor of the time at the airport before morning flights, for which people have less to spare."""


@dataclass(frozen=True)
class Journeys:
    """J journeys; times are minutes, counted from midnight before ordinal day 0."""

    person: NDArray[np.int64]
    """(J,) rows of `People`."""
    aim: NDArray[np.int64]
    """(J,) places that the journeys lead to."""
    base: NDArray[np.int32]
    """(J,) 500 m cells in which people stay overnight."""
    start: NDArray[np.int64]
    """(J,) days (ordinals) of the way there."""
    end: NDArray[np.int64]
    """(J,) days (ordinals) of the way back."""
    flight: NDArray[np.int64]
    """(J, 2) flights there and back; -1 for journeys by road."""
    lead: NDArray[np.int64]
    """(J, 2) minutes at the airport before departure."""
    leave: NDArray[np.int64]
    """(J, 2) minutes of the day at which people leave, there and back; for journeys by road."""
    outing: NDArray[np.int32]
    """(J, OUTINGS) 500 m cells."""
    with_airline: NDArray[np.bool_]
    """(J,) whether the flights are booked with the airline."""

    def __len__(self) -> int:
        return len(self.person)

    @property
    def by_air(self) -> NDArray[np.bool_]:
        """(J,) whether a journey is by air, and not by road."""
        return self.flight[:, 0] >= 0

    def where(self, rows: NDArray[np.bool_]) -> Journeys:
        """Select some of the journeys."""
        return Journeys(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def journeys(world: World, people: People, first: int, last: int) -> Journeys:
    """Make all journeys of a block that touch some days, with the day before and the day after.

    Args:
        world: the settings.
        people: the block.
        first: first day (an ordinal).
        last: last day (an ordinal).
    """
    slots = range((first - 1 - _EPOCH) // SLOT_DAYS - 1, (last + 1 - _EPOCH) // SLOT_DAYS + 1)
    parts = [_of_slot(world, people, slot) for slot in slots]
    made = Journeys(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Journeys)}
    )
    return made.where((made.start - 1 <= last) & (made.end + 1 >= first))


def _of_slot(world: World, people: People, slot: int) -> Journeys:
    draw = stream(world.seed, "journeys", people.block, slot % (1 << 16))
    size = len(people)
    where = places()
    phase = stream(world.seed, "phase", people.block).integers(0, SLOT_DAYS, size)
    kind, u_aim, u_route, u_out, u_back, u_base, u_airline, start_u, nights_u = draw.random(
        (9, size)
    )
    lead = draw.standard_normal((size, 2))
    leave = draw.random((size, 2))
    outing = draw.random((size, 2 * OUTINGS))
    start = _EPOCH + slot * SLOT_DAYS + phase + _FIRST_START + (start_u * _STARTS).astype(np.int64)
    nights = 1 + (nights_u * _MOST_NIGHTS).astype(np.int64)
    air = (kind < world.air) & (people.age >= YOUNGEST)
    road = ~air & (kind < world.air + (1 - world.air) * world.ground) & (people.home < where.local)
    aim = _aims(world, people.home, start, air, u_aim)
    route = np.full(size, -1)
    for winter in (0, 1):
        rows = np.flatnonzero(air & (aim >= 0) & ((start >= WINTER) == winter))
        route[rows] = choose(
            airport_weights(people.home[rows], aim[rows], winter, world.studied), u_route[rows]
        )
    flight = _flights(route, start, nights, u_out, u_back)
    keep = (aim >= 0) & ((air & (flight >= 0).all(axis=1)) | road)
    aim = np.where(aim >= 0, aim, people.home)
    return Journeys(
        person=np.arange(size),
        aim=aim,
        base=where.cell(aim, u_base, spread=0.3),
        start=start,
        end=start + nights,
        flight=flight,
        lead=_leads(flight, lead),
        leave=(8 * 60 + leave * 6 * 60).astype(np.int64),
        outing=_outings(aim, start, outing),
        with_airline=air & (u_airline < world.own),
    ).where(keep)


def _aims(
    world: World,
    home: NDArray[np.int64],
    start: NDArray[np.int64],
    air: NDArray[np.bool_],
    u: NDArray[np.float64],
) -> NDArray[np.int64]:
    """(N,) places that journeys by air and by road lead to; -1 where there is none."""
    aim = np.full(len(home), -1)
    months = _months(start)
    winter = start >= WINTER
    for month in np.unique(months):
        rows = np.flatnonzero(~air & (months == month))
        aim[rows] = choose(road_weights(int(month))[home[rows]], u[rows])
        for season in (0, 1):
            rows = np.flatnonzero(air & (months == month) & (winter == season))
            aim[rows] = choose(air_weights(int(month), season, world.studied)[home[rows]], u[rows])
    return aim


def _flights(
    route: NDArray[np.int64],
    start: NDArray[np.int64],
    nights: NDArray[np.int64],
    u_out: NDArray[np.float64],
    u_back: NDArray[np.float64],
) -> NDArray[np.int64]:
    """(N, 2) flights there and back; -1 where none flies on that day."""
    table = timetable()
    flight = np.full((len(route), 2), -1)
    rows = np.flatnonzero(route >= 0)
    flight[rows, 0] = table.flight(route[rows], start[rows], u_out[rows])
    flight[rows, 1] = table.flight(table.back[route[rows]], (start + nights)[rows], u_back[rows])
    return flight


def _leads(flight: NDArray[np.int64], normal: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N, 2) log-normal minutes at the airport before departure, a quarter of an hour at least."""
    table = timetable()
    airports = places().airports
    typical = np.array([_LEADS.get(name, _LEAD) for name in airports], float)[
        table.origin[table.route]
    ]
    haste = np.where(table.departure < DAY // 2, _MORNING_HASTE, 1.0)
    lead = (typical * haste)[flight] * np.exp(_LEAD_SPREAD * normal)
    return np.asarray(np.maximum(15, lead), np.int64)


def _outings(
    aim: NDArray[np.int64], start: NDArray[np.int64], u: NDArray[np.float64]
) -> NDArray[np.int32]:
    months = _months(start)
    cells = np.empty((len(aim), OUTINGS), np.int32)
    for month in np.unique(months):
        rows = np.flatnonzero(months == month)
        for turn in range(OUTINGS):
            place = choose(outing_weights(int(month))[aim[rows]], u[rows, turn])
            place = np.where(place >= 0, place, aim[rows])
            cells[rows, turn] = places().cell(place, u[rows, OUTINGS + turn], spread=0.5)
    return cells


def _months(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) months, 1 to 12, of ordinals."""
    unique, place = np.unique(days, return_inverse=True)
    months: NDArray[np.int64] = np.array(
        [dt.date.fromordinal(int(day)).month for day in unique], np.int64
    )[place]
    return months
