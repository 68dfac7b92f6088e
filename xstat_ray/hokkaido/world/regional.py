"""The regional airline from Okadama: its passengers, and the codeshares with the big airline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.world import boardings as airline
from xstat_ray.hokkaido.world.boardings import CONSENT_SCHEMA, departing, flown, leg_names, spelled
from xstat_ray.hokkaido.world.paths import Paths
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import read_csv
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.streams import stream, uniform
from xstat_ray.hokkaido.world.timetable import timetable
from xstat_ray.hokkaido.world.truth import table_of

SCHEMA = pa.schema([
    *(field for field in airline.SCHEMA if field.name not in ("member", "consent")),
    ("codeshare", pa.bool_()),
])  # fmt: skip
"""`codeshare` is true of passengers of the big airline, who are in its table, too."""
PASSENGERS = ("leg", "tables", "all", "counted")
"""Columns of flights of passengers by the tables that hold them."""
TABLES = ("airline", "regional", "both")
BOOKED = 0.6
"""Chance that a journey on its routes that is not booked with the big airline is with this one."""
_REFUSES = 0.01
"""Share of the people who did not consent to this airline, whether they fly or not."""


@dataclass(frozen=True)
class Regional:
    """F flights of the timetable, as the regional airline sees them."""

    flies: NDArray[np.bool_]
    """(F,) whether it sells seats on a flight."""
    codeshare: NDArray[np.bool_]
    """(F,) whether its aircraft carries the big airline's passengers on a flight, too."""
    number: list[str]
    """What it calls the flights; those that it does not fly keep their names, since the labels of a
    column have to differ."""


@cache
def regional() -> Regional:
    """Read its flights, once in a process."""
    rows = {row["flight"]: row for row in read_csv("regional.csv").to_pylist()}
    numbers = [str(number) for number in timetable().number]
    return Regional(
        flies=np.array([number in rows for number in numbers]),
        codeshare=np.array([rows.get(n, {}).get("codeshare") == "yes" for n in numbers]),
        number=[rows[n]["regional_flight"] if n in rows else n for n in numbers],
    )


def aboard(world: World, people: People, paths: Paths) -> NDArray[np.bool_]:
    """Find the flights that the regional airline's table holds.

    Returns:
        (J, 2) whether a leg of a journey, there and back, departs on a day of the tables and is
        booked with it, or is booked with the big airline on a codeshare.
    """
    trips = paths.journeys
    number = people.numbers[trips.person]
    u = uniform(world.seed, "booked with the regional airline", number, trips.start)
    its = (~trips.with_airline & (u < BOOKED))[:, None] & regional().flies[trips.flight]
    shared = trips.with_airline[:, None] & regional().codeshare[trips.flight]
    return (its | shared) & trips.by_air[:, None] & departing(world, paths)


def refuses(world: World, people: People) -> NDArray[np.bool_]:
    """(N,) whether people did not consent to the regional airline."""
    return stream(world.seed, "regional consent", people.block).random(len(people)) < _REFUSES


def boardings(world: World, people: People, paths: Paths) -> pa.Table:
    """Make the table of its boardings, with a row for each passenger of each flight, `SCHEMA`."""
    row, leg = np.nonzero(aboard(world, people, paths))
    phones = spelled(world, people, "regional spelling")
    columns = flown(people, paths, (row, leg), regional().number) | {
        "passenger": phones.take(pa.array(paths.journeys.person[row])),
        "codeshare": pa.array(paths.journeys.with_airline[row]),
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def no_consent(world: World, people: People) -> pa.Table:
    """List who did not consent, whether they fly or not, with `CONSENT_SCHEMA`."""
    return pa.table([people.phones(refuses(world, people))], schema=CONSENT_SCHEMA)


def passengers(world: World, people: People, paths: Paths) -> NDArray[np.int64]:
    """Count flights of passengers by the tables that hold them.

    Somebody in both tables can be counted if they consented to one of the airlines.

    Returns:
        (routes, tables, 2) flights of everybody, and of those who can be counted, in the order of
        `TABLES`.
    """
    big = paths.journeys.with_airline[:, None] & departing(world, paths)
    small = aboard(world, people, paths)
    row, leg = np.nonzero(big | small)
    in_big = big[row, leg]
    in_small = small[row, leg]
    who = paths.journeys.person[row]
    consents = (in_big & ~people.refuses[who]) | (in_small & ~refuses(world, people)[who])
    table = np.select([in_big & in_small, in_small], [2, 1], 0)
    route = timetable().route[paths.journeys.flight[row, leg]]
    count = np.zeros((len(timetable().origin), len(TABLES), 2), np.int64)
    np.add.at(count[..., 0], (route, table), 1)
    np.add.at(count[..., 1], (route, table), people.usable[who] & consents)
    return count


def passengers_table(count: NDArray[np.int64]) -> pa.Table:
    """Make a table with the columns `PASSENGERS`; what nobody did has no row."""
    return table_of(count, PASSENGERS, [leg_names(), TABLES])
