"""Times to the municipalities of eastern Hokkaido: by air, from published counts, and by road."""

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
from xstat_ray.hokkaido.needs.publication import NoisyCounts
from xstat_ray.hokkaido.needs.shares import KNOWN_FROM

AIRPORTS = ("KUH", "MMB", "SHB", "OBO")
"""The airports of eastern Hokkaido that the study of catchments counts."""
STUDIED = ("KUH", "MMB", "SHB")
"""Airports to which the study of movement counts passengers."""
HUB = "01100"
"""Code of Sapporo, where journeys by road are taken to begin."""
HOURS = 6
"""Number of full hours after landing that the study of movement counts."""
DAYS = 2
"""Days on which a passenger may be counted: the day of landing and the next."""
_COUNTED_ERROR = 25.0
"""Standard error of a counted time in minutes, without its noise: it is known to the hour, and
does not tell who passes through. Found on the synthetic world: docs/needs.md."""
_CELL_KM2 = 0.235
"""Size of a 500 m cell at 43 degrees north."""


@dataclass(frozen=True)
class Travel:
    """Assumptions about journeys; all are public, and all are settings."""

    before_landing: float = 105.0
    """Minutes by air before landing: 60 at the airport and 45 in the air, as between Sapporo and
    the east."""
    leaving: float = 15.0
    """Minutes from landing to the road."""
    tolerated: float = 165.0
    """Minutes of a journey that count as good service: those before landing and leaving, and three
    quarters of an hour by car."""
    road_error: float = 0.1
    """Relative standard error of an estimated driving time."""
    model_passengers: float = 10.0
    """Weight of Huff's model, in passengers: see `xstat_ray.hokkaido.needs.catchments`."""


@cache
def areas() -> pa.Table:
    """List the municipalities of eastern Hokkaido.

    Returns:
        Columns code, name_en, name_ja, subprefecture, and lat, lon of the town hall.
    """
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
    """(areas,) minutes by car from the edge of an area to its middle, as if it were a circle."""
    number = Counter(hokkaido.cells()["municipality"].cast(pa.string()).to_pylist())
    cells = np.array([number[code] for code in areas()["code"].to_pylist()], float)
    return roads.drive_minutes(roads.DETOUR * np.sqrt(cells * _CELL_KM2 / np.pi))


def _drive(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.float64]:
    halls = areas()
    km = roads.road_km(halls["lat"].to_numpy()[:, None], halls["lon"].to_numpy()[:, None], lat, lon)
    return roads.drive_minutes(km)


class Minutes(NamedTuple):
    """Times in minutes and their standard errors; NaN is unknown."""

    value: NDArray[np.float64]
    stderr: NDArray[np.float64]


def landing(counts: NoisyCounts) -> Minutes:
    """Estimate the mean time from landing until passengers are in an area.

    Whoever arrives in hour h and stays is counted in h, h+1, ..., 6, on average in hour
    (h + 6) / 2. So h = 2m - 6, where m is the mean hour of all presence; passengers who arrive
    early count more, because they are seen for longer. Whoever is counted in hour h, having spent
    most of it there, arrived half an hour before its end on average. The error is that of m by the
    delta method. That passengers stay until the sixth hour is an assumption: where many only pass
    through, the time comes out too short.

    Args:
        counts: (..., 6) passengers present 1 to 6 hours after landing.

    Returns:
        (...,) times between 30 and 330 minutes.
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
    """Minutes from landing to an area, and what they are made of; all (areas,)."""

    counted: Minutes
    """Minutes until passengers are counted in the area, from `landing`; NaN where too few were."""
    by_map: Minutes
    """Minutes until passengers arrive, by the roads from the airports that they use."""
    both: Minutes
    """Minutes until passengers arrive, by the roads and by what was counted."""


def after_landing(
    arrivals: NoisyCounts, catchment: NoisyCounts, travel: Travel, market_share: float
) -> Landing:
    """Estimate the minutes from landing to an area from the map and from what was counted.

    By the map passengers leave the terminal and drive, from each airport as many as
    `catchments.way` finds there. Counted are passengers to the airports of the study of movement,
    once they have crossed the edge of the area. The time that they need more or less than the map
    has for that way is added, weighted by the inverse variances of the two.

    Args:
        arrivals: (areas, HOURS) passengers present after landing.
        catchment: (areas, AIRPORTS) passengers' days.
        travel: assumptions about journeys.
        market_share: share of all passengers who can be counted.
    """
    counted = landing(arrivals)
    studied = [AIRPORTS.index(name) for name in STUDIED]
    by_map = _by_map(catchment, airport_minutes(), travel, market_share)
    part = NoisyCounts(catchment.value[:, studied], catchment.variance[:, studied])
    expected = (
        _by_map(part, airport_minutes()[:, studied], travel, market_share).value - inner_minutes()
    )
    # Nobody is at the edge before they have left the terminal.
    later = np.nan_to_num(counted.value - np.maximum(expected, travel.leaving))
    map_variance = by_map.stderr**2
    counted_variance = counted.stderr**2 + _COUNTED_ERROR**2
    weight = np.nan_to_num(map_variance / (map_variance + counted_variance))
    both = Minutes(by_map.value + weight * later, np.sqrt(1 - weight) * by_map.stderr)
    return Landing(counted, by_map, both)


def _by_map(
    counts: NoisyCounts, minutes: NDArray[np.float64], travel: Travel, market_share: float
) -> Minutes:
    """Add up leaving the terminal and driving, with the errors of airports used and of roads."""
    drive = way(
        counts, minutes, model_passengers=travel.model_passengers, sampled=market_share, units=DAYS
    )
    value = travel.leaving + drive.value
    return Minutes(value, np.hypot(drive.stderr, travel.road_error * value))
