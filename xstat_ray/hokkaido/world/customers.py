"""The airline's tables of the year: its customers, and gifts to towns by way of its scheme."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from xstat_ray.hokkaido.world.boardings import spelled
from xstat_ray.hokkaido.world.labels import LABEL, labelled
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.year import TOWNS, Year

CUSTOMERS = pa.schema([
    ("passenger", pa.string()),
    ("airport", LABEL),
    ("landings", pa.int16()),
    ("home_region", LABEL),
])  # fmt: skip
"""`airport` is where the customer landed most often on the way there."""
DONATIONS = pa.schema([
    ("passenger", pa.string()),
    ("town", LABEL),
    ("donated", pa.date32()),
])  # fmt: skip
"""`town` is the code of a municipality; all gifts are of the twelve months before the year."""
_EPOCH = dt.date(1970, 1, 1).toordinal()


def customers(world: World, people: People, year: Year) -> pa.Table:
    """List whom the airline flew to places of Hokkaido in the year, with `CUSTOMERS`."""
    where = places()
    who = np.flatnonzero(year.landings)
    regions = sorted(set(where.regions))
    region = np.searchsorted(regions, where.regions.astype(str))[people.home[who]]
    columns = [
        spelled(world, people).take(pa.array(who)),
        labelled(year.airport[who], where.airports),
        pa.array(year.landings[who].astype(np.int16)),
        labelled(region, regions),
    ]
    return pa.table(columns, schema=CUSTOMERS)


def donations(world: World, people: People, year: Year) -> pa.Table:
    """List who gave to which town, whether they fly or not, with `DONATIONS`."""
    codes = [str(code) for code in places().codes]
    who = np.flatnonzero(year.gift >= 0)
    number = np.full(len(codes), -1)
    number[[codes.index(code) for code in TOWNS]] = np.arange(len(TOWNS))
    columns = [
        spelled(world, people).take(pa.array(who)),
        labelled(number[year.gift[who]], list(TOWNS)),
        pa.array((year.given[who] - _EPOCH).astype(np.int32), pa.date32()),
    ]
    return pa.table(columns, schema=DONATIONS)
