"""How long it takes to get to a municipality of eastern Hokkaido: by air, as published counts show it, and by road."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.geo import hokkaido, roads
from xstat_ray.needs.publication import Tally
from xstat_ray.needs.shares import KNOWN_FROM

AIRPORTS = ("KUH", "MMB", "SHB", "OBO")
"""The airports of eastern Hokkaido that the study of catchments counts."""
HUB = "01100"
"""Sapporo: where journeys by road are taken to begin."""
HOURS = 6
"""Full hours after landing that the study of movement counts."""
_HOUR_GRAIN = 60 / np.sqrt(12)
"""Standard error of a time that is known to the hour, in minutes."""


@dataclass(frozen=True)
class Travel:
    """Assumptions about journeys; all public, all settings."""

    before_landing: float = 105.0
    """Minutes by air before landing: 60 at the airport and 45 in the air, as between Sapporo and the east."""
    leaving: float = 15.0
    """Minutes from landing to the road."""
    tolerated: float = 165.0
    """Minutes of a journey that count as good service: as above, and three quarters of an hour by car."""
    road_error: float = 0.1
    """Relative standard error of an estimated driving time."""


@cache
def areas() -> pa.Table:
    """The municipalities of eastern Hokkaido: code, name_en, name_ja, subprefecture and lat, lon of the town hall."""
    table = hokkaido.municipalities()
    inside = pc.is_in(table["subprefecture"], value_set=pa.array(hokkaido.DOTO))
    return table.filter(inside).select(["code", "name_en", "name_ja", "subprefecture", "lat", "lon"]).combine_chunks()


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

    Who arrives in hour h and stays is counted in h, h+1, ..., 6, on average in hour (h + 6) / 2. So h = 2m - 6, where
    m is the mean hour of all presence; passengers who arrive early count more, as they are seen for longer. Who is
    counted in hour h, having spent most of it there, arrived half an hour before its end on average. The error is that
    of m by the delta method. That passengers stay until the sixth hour is an assumption: where many only pass
    through, the time comes out too short.

    Args:
        counts: (..., 6) passengers present 1 to 6 hours after landing.

    Returns:
        (...,) from 30 to 330 minutes.
    """
    hour, total = np.arange(1, HOURS + 1), counts.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = (total.value >= KNOWN_FROM * total.stderr) & (total.value > 0)
        whole = np.where(known, total.value, np.nan)
        mean = (hour * counts.value).sum(-1) / whole
        variance = ((hour - mean[..., None]) ** 2 * counts.variance).sum(-1) / whole**2
    first = np.clip(2 * mean - HOURS, 1, HOURS)
    return Minutes(60 * (first - 0.5), 120 * np.sqrt(variance))


def after_landing(counted: Minutes, travel: Travel) -> Minutes:
    """Minutes from landing to an area: what was counted and what the map says, weighted by the inverse variance.

    The map says: leaving the terminal of the nearest airport, and driving. Where too few were counted it stands alone.

    Args:
        counted: (areas,) from `landing`.
        travel: assumptions.
    """
    by_map = travel.leaving + airport_minutes().min(axis=1)
    error = travel.road_error * by_map
    # A count of whole hours knows nothing below an hour.
    weight = np.nan_to_num(error**2 / (error**2 + counted.stderr**2 + _HOUR_GRAIN**2))
    value = by_map + weight * np.nan_to_num(counted.value - by_map)
    return Minutes(value, np.sqrt(1 - weight) * error)
