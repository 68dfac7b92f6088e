"""How long it takes to get to a municipality of eastern Hokkaido: by air, as published counts show it, and by road."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.geo import hokkaido, roads
from xstat_ray.hokkaido.needs.catchments import way
from xstat_ray.hokkaido.needs.publication import Tally
from xstat_ray.hokkaido.needs.shares import KNOWN_FROM

AIRPORTS = ("KUH", "MMB", "SHB", "OBO")
"""The airports of eastern Hokkaido that the study of catchments counts."""
STUDIED = ("KUH", "MMB", "SHB")
"""Those of them to which the study of movement counts passengers."""
HUB = "01100"
"""Sapporo: where journeys by road are taken to begin."""
HOURS = 6
"""Full hours after landing that the study of movement counts."""
DAYS = 2
"""One passenger may be counted on the day of landing and on the next."""
_COUNTED_ERROR = 25.0
"""Standard error of a counted time beside that of its noise, in minutes: it is known to the hour,
and does not tell who passes through. Measured on the made-up world: docs/needs.md."""
_CELL_KM2 = 0.235
"""Size of a 500 m cell at 43 degrees north."""


@dataclass(frozen=True)
class Travel:
    """Assumptions about journeys; all public, all settings."""

    before_landing: float = 105.0
    """Minutes by air before landing: 60 at the airport and 45 in the air, as between Sapporo and
    the east."""
    leaving: float = 15.0
    """Minutes from landing to the road."""
    tolerated: float = 165.0
    """Minutes of a journey that count as good service: as above, and three quarters of an hour by
    car."""
    road_error: float = 0.1
    """Relative standard error of an estimated driving time."""
    model_passengers: float = 10.0
    """Passengers that Huff's model counts as much as: see `xstat_ray.hokkaido.needs.catchments`."""


@cache
def areas() -> pa.Table:
    """The municipalities of eastern Hokkaido: code, name_en, name_ja, subprefecture and lat, lon of the town hall."""
    table = hokkaido.municipalities()
    inside = pc.is_in(table["subprefecture"], value_set=pa.array(hokkaido.DOTO))
    return (
        table.filter(inside)
        .select(["code", "name_en", "name_ja", "subprefecture", "lat", "lon"])
        .combine_chunks()
    )


@cache
def airport_minutes() -> NDArray[np.float64]:
    """(areas, AIRPORTS) estimated minutes by car from each airport to the town hall."""
    ports = hokkaido.airports()
    rows = pc.index_in(pa.array(AIRPORTS), value_set=ports["iata"].combine_chunks())
    return _drive(ports["lat"].take(rows).to_numpy(), ports["lon"].take(rows).to_numpy())


@cache
def hub_minutes() -> NDArray[np.float64]:
    """(areas,) estimated minutes by car from Sapporo to the town hall."""
    hub = hokkaido.municipalities().filter(pc.field("code") == HUB)
    return _drive(hub["lat"].to_numpy(), hub["lon"].to_numpy())[:, 0]


@cache
def inner_minutes() -> NDArray[np.float64]:
    """(areas,) estimated minutes by car from the edge of an area to the middle, were it a circle."""
    number = Counter(hokkaido.cells()["municipality"].cast(pa.string()).to_pylist())
    cells = np.array([number[code] for code in areas()["code"].to_pylist()], float)
    return roads.drive_minutes(roads.DETOUR * np.sqrt(cells * _CELL_KM2 / np.pi))


def _drive(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    halls = areas()
    km = roads.road_km(halls["lat"].to_numpy()[:, None], halls["lon"].to_numpy()[:, None], lat, lon)
    return roads.drive_minutes(km)


class Minutes(NamedTuple):
    """A time in minutes and its standard error; NaN is unknown."""

    value: NDArray[np.float64]
    stderr: NDArray[np.float64]


def landing(counts: Tally) -> Minutes:
    """Mean time from landing until passengers are in an area, from presence in the full hours after landing.

    Who arrives in hour h and stays is counted in h, h+1, ..., 6, on average in hour (h + 6) / 2. So
    h = 2m - 6, where m is the mean hour of all presence; passengers who arrive early count more, as
    they are seen for longer. Who is counted in hour h, having spent most of it there, arrived half
    an hour before its end on average. The error is that of m by the delta method. That passengers
    stay until the sixth hour is an assumption: where many only pass through, the time comes out too
    short.

    Args:
        counts: (..., 6) passengers present 1 to 6 hours after landing.

    Returns:
        (...,) from 30 to 330 minutes.
    """
    hour = np.arange(1, HOURS + 1)
    total = counts.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = (total.value >= KNOWN_FROM * total.stderr) & (total.value > 0)
        whole = np.where(known, total.value, np.nan)
        mean = (hour * counts.value).sum(-1) / whole
        variance = ((hour - mean[..., None]) ** 2 * counts.variance).sum(-1) / whole**2
    first = np.clip(2 * mean - HOURS, 1, HOURS)
    return Minutes(60 * (first - 0.5), 120 * np.sqrt(variance))


class Landing(NamedTuple):
    """Minutes from landing to an area, and what they are made of; all by area."""

    counted: Minutes
    """As `landing`: until passengers are counted in the area. NaN where too few were."""
    by_map: Minutes
    """Until they are where they go, by the roads from the airports they use."""
    both: Minutes
    """The same, with what was counted."""


def after_landing(
    arrivals: Tally, catchment: Tally, travel: Travel, market_share: float
) -> Landing:
    """Minutes from landing to an area: the map, with the airports that its passengers use, and what was counted.

    The map says: leaving the terminal, and driving from each airport, as many as `catchments.way`
    finds there. Counted are passengers to the airports of the study of movement, from the edge of
    the area on. What they need more or less than the map says of the same way is added, weighted by
    the inverse variances of the two.

    Args:
        arrivals: (areas, HOURS) passengers present after landing.
        catchment: (areas, AIRPORTS) passengers' days.
        travel: assumptions.
        market_share: share of all passengers who can be counted.
    """
    counted = landing(arrivals)
    studied = [AIRPORTS.index(name) for name in STUDIED]
    by_map = _by_map(catchment, airport_minutes(), travel, market_share)
    part = Tally(catchment.value[:, studied], catchment.variance[:, studied])
    expected = (
        _by_map(part, airport_minutes()[:, studied], travel, market_share).value - inner_minutes()
    )
    # Nobody is at the edge before they have left the terminal.
    later = np.nan_to_num(counted.value - np.maximum(expected, travel.leaving))
    own = by_map.stderr**2
    weight = np.nan_to_num(own / (own + counted.stderr**2 + _COUNTED_ERROR**2))
    both = Minutes(by_map.value + weight * later, np.sqrt(1 - weight) * by_map.stderr)
    return Landing(counted, by_map, both)


def _by_map(
    counts: Tally, minutes: NDArray[np.float64], travel: Travel, market_share: float
) -> Minutes:
    """Leaving the terminal and driving.

    The errors are those of the airports used and of the roads.
    """
    drive = way(
        counts, minutes, model_passengers=travel.model_passengers, sampled=market_share, units=DAYS
    )
    value = travel.leaving + drive.value
    return Minutes(value, np.hypot(drive.stderr, travel.road_error * value))
