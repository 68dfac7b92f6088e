"""The airline's table of boardings, and the members who did not consent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.days import DAY
from xstat_ray.hokkaido.world.labels import LABEL, SEXES, labelled
from xstat_ray.hokkaido.world.numbers import national
from xstat_ray.hokkaido.world.paths import Paths
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.streams import stream
from xstat_ray.hokkaido.world.timetable import SEASONS, WINTER, timetable

SCHEMA = pa.schema([
    ("passenger", pa.string()),
    ("flight", LABEL),
    ("leg", LABEL),
    ("departure_airport", LABEL),
    ("arrival_airport", LABEL),
    ("departure", pa.timestamp("s")),
    ("arrival", pa.timestamp("s")),
    ("season", LABEL),
    ("halfday", LABEL),
    ("sex", LABEL),
    ("age_class", LABEL),
    ("home_region", LABEL),
    ("member", pa.bool_()),
    ("consent", pa.bool_()),
])  # fmt: skip
"""Times are local, Asia/Tokyo."""
CONSENT_SCHEMA = pa.schema([("passenger", pa.string())])
HALFDAYS = ("morning", "afternoon")
AGE_CLASSES = ("0-14", "15-29", "30-44", "45-59", "60-79", "80+")
_AGE_EDGES = (15, 30, 45, 60, 80)
_NATIONAL = 0.3
"""Share of the passengers whose number has the national spelling."""


def halfday(departure: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) places in `HALFDAYS` of minutes of departure."""
    return (departure % DAY >= DAY // 2).astype(np.int64)


def booked(world: World, paths: Paths) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the flights that the airline's table holds: booked with it, departing within the dates.

    Returns:
        (N,) journeys, and (N,) legs, 0 there and 1 back.
    """
    row, leg = np.nonzero(paths.journeys.with_airline[:, None] & departing(world, paths))
    return row, leg


def departing(world: World, paths: Paths) -> NDArray[np.bool_]:
    """(J, 2) whether a leg of a journey departs on a day of the tables."""
    days = paths.flights[:, :, 0] // DAY
    inside: NDArray[np.bool_] = (days >= world.first_day.toordinal()) & (
        days <= world.last_day.toordinal()
    )
    return inside


def boardings(world: World, people: People, paths: Paths) -> pa.Table:
    """Make the table of boardings, with a row for each passenger of each flight, with `SCHEMA`."""
    row, leg = booked(world, paths)
    who = paths.journeys.person[row]
    columns = flown(people, paths, (row, leg), list(timetable().number)) | {
        "passenger": spelled(world, people).take(pa.array(who)),
        "member": pa.array(people.member[who]),
        "consent": pa.array(~people.refuses[who]),
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def flown(
    people: People,
    paths: Paths,
    trips: tuple[NDArray[np.int64], NDArray[np.int64]],
    numbers: Sequence[str],
) -> dict[str, pa.Array]:
    """Make the columns that tell of flights, and of who is on them.

    Args:
        people: the block.
        paths: the paths of its people.
        trips: (N,) journeys and (N,) legs.
        numbers: what the airline calls the flights of the timetable.

    Returns:
        (N,) columns by the names in `SCHEMA`, without `passenger`, `member` and `consent`.
    """
    who = paths.journeys.person[trips[0]]
    table = timetable()
    where = places()
    flight = paths.journeys.flight[trips]
    times = paths.flights[trips]
    legs = leg_names()
    route = table.route[flight]
    regions = sorted(set(where.regions))
    labels: dict[str, tuple[NDArray[Any], Sequence[str]]] = {
        "flight": (flight, numbers),
        "leg": (route, legs),
        "departure_airport": (table.origin[route], where.airports),
        "arrival_airport": (table.target[route], where.airports),
        "season": (times[:, 0] // DAY >= WINTER, SEASONS),
        "halfday": (halfday(times[:, 0]), HALFDAYS),
        "sex": (people.male[who], SEXES),
        "age_class": (np.searchsorted(_AGE_EDGES, people.age[who], side="right"), AGE_CLASSES),
        "home_region": (
            np.searchsorted(regions, where.regions.astype(str))[people.home[who]],
            regions,
        ),
    }
    return {name: labelled(*of) for name, of in labels.items()} | {
        "departure": timestamps(times[:, 0]),
        "arrival": timestamps(times[:, 1]),
    }


def leg_names() -> list[str]:
    """List the legs of the timetable, such as "OKD-KUH", by route."""
    table = timetable()
    names = places().airports
    return [f"{names[a]}-{names[b]}" for a, b in zip(table.origin, table.target, strict=True)]


def no_consent(people: People) -> pa.Table:
    """List members who did not consent, whether they fly or not, with `CONSENT_SCHEMA`."""
    return pa.table([people.phones(people.refuses)], schema=CONSENT_SCHEMA)


def spelled(world: World, people: People, purpose: str = "spelling") -> pa.Array:
    """(N,) phone numbers of a block the way a company spells them: some nationally.

    Args:
        world: the settings.
        people: the block.
        purpose: of the random numbers; each company has its own.
    """
    phones = people.phones()
    local = stream(world.seed, purpose, people.block).random(len(people)) < _NATIONAL
    return pc.if_else(pa.array(local), national(phones), phones)


def timestamps(minutes: NDArray[np.int64]) -> pa.Array:
    """Make timestamps of minutes since midnight before ordinal day 0."""
    epoch = dt.date(1970, 1, 1).toordinal()
    return pa.array((60 * (minutes - epoch * DAY)).astype("datetime64[s]"))
