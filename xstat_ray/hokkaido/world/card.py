"""The card company: what its members spend on a stay after they have landed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.boardings import departing, spelled, timestamps
from xstat_ray.hokkaido.world.days import DAY
from xstat_ray.hokkaido.world.labels import LABEL, labelled
from xstat_ray.hokkaido.world.paths import Paths
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.streams import stream, uniform
from xstat_ray.hokkaido.world.timetable import timetable
from xstat_ray.hokkaido.world.truth import most_of_day

SCHEMA = pa.schema([
    ("member", pa.string()),
    ("landed", pa.timestamp("s")),
    ("airport", LABEL),
    ("spend", pa.int32()),
])  # fmt: skip
"""A landing on the way there, by whichever airline, and what the member spends on that stay (JPY).
Times are local, Asia/Tokyo."""
SPEND = ("municipality", "members", "spend", "members_counted", "spend_counted")
"""Columns by the municipality where members spent most of the day after they landed: landings, and
the sum of what was spent on these stays, of everybody and of those who can be counted."""
MEAN = 12_000
"""Mean spend on a stay (JPY)."""
MEAN_IN: Mapping[str, int] = {
    "01206": 15_000,
    "01223": 9_000,
    "01545": 18_000,
    "01665": 20_000,
    "01692": 8_000,
}
"""Mean spend on stays in some towns: Kushiro, Nemuro, Shari, Teshikaga, Nakashibetsu."""
HIGHEST = 60_000
"""Nobody spends more on a stay."""
_MEMBER = 0.4
_ADULT = 18
_ORDER = 5
"""A spend is three times its mean at most: it is in proportion to the second smallest of five
uniform numbers, whose distribution is Beta(2, 4), with the mean 1/3."""


def members(world: World, people: People) -> NDArray[np.bool_]:
    """(N,) whether people hold the company's card."""
    u = stream(world.seed, "card", people.block).random(len(people))
    return (u < _MEMBER) & (people.age >= _ADULT)


def landings(world: World, people: People, paths: Paths) -> NDArray[np.int64]:
    """(L,) journeys of members by air, whose way there departs on a day of the tables."""
    trips = paths.journeys
    holds = members(world, people)[trips.person]
    return np.flatnonzero(holds & trips.by_air & departing(world, paths)[:, 0])


def spend(world: World, people: People, paths: Paths, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """(L,) what is spent on the stays of (L,) journeys, in JPY."""
    trips = paths.journeys
    number = people.numbers[trips.person[row]]
    u = [uniform(world.seed, f"spend {turn}", number, trips.start[row]) for turn in range(_ORDER)]
    means = np.array([MEAN_IN.get(code, MEAN) for code in places().codes], float)
    share: NDArray[np.float64] = 3 * np.sort(u, axis=0)[1]
    return np.rint(means[trips.aim[row]] * share).astype(np.int64)


def card(world: World, people: People, paths: Paths) -> pa.Table:
    """Make the table of landings and what was spent after them, with `SCHEMA`."""
    row = landings(world, people, paths)
    route = timetable().route[paths.journeys.flight[row, 0]]
    phones = spelled(world, people, "card spelling")
    columns = [
        phones.take(pa.array(paths.journeys.person[row])),
        timestamps(paths.flights[row, 0, 1]),
        labelled(timetable().target[route], places().airports),
        pa.array(spend(world, people, paths, row).astype(np.int32)),
    ]
    return pa.table(columns, schema=SCHEMA)


def spent(world: World, people: People, paths: Paths) -> NDArray[np.int64]:
    """Sum up what members spent, by where they were on the day after they landed.

    Returns:
        (municipalities, 4) the numbers of `SPEND`.
    """
    where = places()
    row = landings(world, people, paths)
    day = paths.flights[row, 0, 1] // DAY + 1
    place = most_of_day(paths, row, day)
    seen = (place >= 0) & (day <= world.last_day.toordinal())
    countable = people.usable[paths.journeys.person[row]]
    yen = spend(world, people, paths, row)
    numbers = np.stack([np.ones_like(yen), yen, countable, countable * yen], axis=1)
    count = np.zeros((where.local, 4), np.int64)
    np.add.at(count, place[seen], numbers[seen])
    return count


def spend_table(count: NDArray[np.int64]) -> pa.Table:
    """Make a table with the columns `SPEND`; municipalities without members have no row."""
    rows = np.flatnonzero(count[:, 0])
    codes = pa.array(list(places().codes[rows]), pa.string())
    return pa.table([codes, *map(pa.array, count[rows].T)], names=list(SPEND))
