"""Shares of airports before and after the route to Nakashibetsu opened, and before boarding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.needs.access import AIRPORTS, DAYS, areas
from xstat_ray.hokkaido.needs.publication import NoisyCounts, Publication, read_counts
from xstat_ray.hokkaido.needs.shares import Shares, shares

OPENED = "SHB"
"""Airport of the new route, from Okadama to Nakashibetsu."""
OPENING = "2023-10-29"
"""Day on which the route opened."""
TIMETABLES = ("summer 2023", "winter 2023")
"""Timetables before 2023-10-29, when the route opened, and from that day on."""
STATES = ("near home", "near airport", "elsewhere")
BEFORE = ("departure-1440m", "departure-60m", "departure-40m", "departure-20m")
FLIGHTS = ("morning", "afternoon")
_NORMAL95 = 1.959964
_TOLD = 1.644854
"""Least lead of one airport over another, in standard errors, that is told."""


def catchment_counts(catchment: Publication) -> NoisyCounts:
    """Read the passengers' days of a catchment: days of landing, and days after.

    Returns:
        (areas, timetables, airports) days.
    """
    labels = {
        "municipality": areas()["name_en"].to_pylist(),
        "timetable": TIMETABLES,
        "airport": AIRPORTS,
    }
    return read_counts(catchment.table, labels)


def watershed(counts: NoisyCounts, sampled: float | None = None) -> Shares:
    """Divide each area between the airports, over both timetables.

    Args:
        counts: (areas, timetables, airports) passengers' days.
        sampled: share of all passengers who can be counted; see `shares`.

    Returns:
        (areas, airports) shares.
    """
    return shares(counts.sum(1), sampled=sampled, units=DAYS)


def main_airport(counts: NoisyCounts) -> NDArray[np.int64]:
    """Find the airport that most passengers of an area came through.

    It is told where the lead over the next airport is more than 1.645 standard errors of that lead.
    So a lead that is truly three standard errors is told 91 times in 100, and a lead of two
    airports that are level 10 times.

    Returns:
        (areas,) places in `AIRPORTS`, -1 where it cannot be told.
    """
    both = counts.sum(1)
    known = ~np.isnan(both.value).any(axis=1)
    values = np.nan_to_num(both.value)
    order = np.argsort(-np.nan_to_num(both.value), axis=1, kind="stable")
    first, second = np.take_along_axis(values, order, 1)[:, :2].T
    variance = np.take_along_axis(both.variance, order, 1)[:, :2].sum(axis=1)
    return np.where(known & (first - second > _TOLD * np.sqrt(variance)), order[:, 0], -1)


def watershed_table(counts: NoisyCounts, sampled: float | None = None) -> pa.Table:
    """Make a table with a row for each area and airport, over both timetables.

    Its columns are those of the area, `airport`, `passenger_days` (unbiased), `stderr`, `share`,
    `share_stderr`, `low95`, `high95`.
    """
    both = counts.sum(1)
    part = watershed(counts, sampled)
    columns = _area_columns(len(AIRPORTS)) | {"airport": pa.array(AIRPORTS * len(counts.value))}
    columns |= {"passenger_days": _numbers(both.value), "stderr": _numbers(both.stderr)}
    columns |= {"share": _numbers(part.value), "share_stderr": _numbers(part.stderr)}
    return pa.table(columns | {"low95": _numbers(part.low95), "high95": _numbers(part.high95)})


def opening_table(counts: NoisyCounts, sampled: float | None = None) -> pa.Table:
    """Make a table with the share of the opened airport before and after, by area.

    Its columns are those of the area, `before`, `before_stderr`, `after`, `after_stderr`, `change`,
    `low95`, `high95`, `changed` (whether the interval excludes no change; null where unknown).
    Noise of the two timetables is independent.
    """
    return pa.table(_area_columns() | _change_columns(counts, sampled))


def region_table(counts: NoisyCounts, sampled: float | None = None) -> pa.Table:
    """Make a table of one row: the shares of `opening_table` over the passengers of all areas.

    A passenger who is in two of the areas on the two days counts in both.
    """
    whole = counts.sum(0)
    return pa.table(_change_columns(NoisyCounts(*(of[None] for of in whole)), sampled))


def _change_columns(counts: NoisyCounts, sampled: float | None) -> dict[str, pa.Array]:
    """Make the columns of the share of the opened airport, of (areas, timetables, airports)."""
    part = shares(counts, sampled=sampled, units=DAYS)
    place = AIRPORTS.index(OPENED)
    (before, after) = part.value[..., place].T
    (error, error_after) = part.stderr[..., place].T
    change = after - before
    half = _NORMAL95 * np.hypot(error, error_after)
    return {
        "before": _numbers(before),
        "before_stderr": _numbers(error),
        "after": _numbers(after),
        "after_stderr": _numbers(error_after),
        "change": _numbers(change),
        "low95": _numbers(change - half),
        "high95": _numbers(change + half),
        "changed": pa.array(abs(change) > half, mask=np.isnan(change)),
    }


def boarding_counts(preboarding: Publication, airports: Sequence[str]) -> NoisyCounts:
    """Count passengers before departure; the zone of another airport is elsewhere.

    Returns:
        (airports, FLIGHTS, BEFORE, STATES) passengers.
    """
    zones = ("near home", *airports, "elsewhere")
    labels = {"airport": airports, "flight": FLIGHTS, "offset": BEFORE, "zone": zones}
    counts = read_counts(preboarding.table, labels)
    return NoisyCounts(sum_by_state(counts.value), sum_by_state(counts.variance))


def sum_by_state(by_zone: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the zones of passengers into states.

    Args:
        by_zone: (airports, flights, times, zones); the zones are near home, each airport, and
            elsewhere.

    Returns:
        (airports, flights, times, STATES).
    """
    ports = np.arange(len(by_zone))
    home = by_zone[..., 0]
    near = by_zone[ports, ..., ports + 1]
    return np.stack([home, near, by_zone.sum(-1) - home - near], axis=-1)


def boarding_table(
    counts: NoisyCounts, airports: Sequence[str], sampled: float | None = None
) -> pa.Table:
    """Make a table with a row for each airport, flight, time and state.

    Its columns are these four, `passengers` (unbiased), `stderr`, `share`, `share_stderr`, `low95`,
    `high95`.
    """
    part = shares(counts, sampled=sampled)
    names = {"airport": airports, "flight": FLIGHTS, "before": BEFORE, "state": STATES}
    places = np.indices(counts.value.shape).reshape(len(names), -1)
    columns = {
        name: pa.array(np.asarray(labels)[place])
        for (name, labels), place in zip(names.items(), places, strict=True)
    }
    columns |= {"passengers": _numbers(counts.value), "stderr": _numbers(counts.stderr)}
    columns |= {"share": _numbers(part.value), "share_stderr": _numbers(part.stderr)}
    return pa.table(columns | {"low95": _numbers(part.low95), "high95": _numbers(part.high95)})


def _area_columns(times: int = 1) -> dict[str, pa.Array]:
    """Make the columns of codes and names, each area `times` times."""
    rows = np.repeat(np.arange(len(areas())), times)
    return {
        name: areas()[name].combine_chunks().take(pa.array(rows))
        for name in ("code", "name_en", "name_ja")
    }


def _numbers(values: NDArray[np.float64]) -> pa.Array:
    """Flatten numbers, with null for unknown."""
    return pa.array(np.ravel(values), mask=np.isnan(np.ravel(values)))
