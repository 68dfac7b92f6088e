"""What changed when the route from Okadama to Nakashibetsu opened, and before boarding: shares with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.needs.access import AIRPORTS, DAYS, areas
from xstat_ray.hokkaido.needs.publication import Publication, Tally, tally
from xstat_ray.hokkaido.needs.shares import Shares, shares

OPENED = "SHB"
"""The airport of the new route."""
TIMETABLES = ("summer 2023", "winter 2023")
"""Before 2023-10-29, when the route opened, and from then on."""
STATES = ("near home", "near airport", "elsewhere")
BEFORE = ("departure-1440m", "departure-60m", "departure-40m", "departure-20m")
FLIGHTS = ("morning", "afternoon")
_NORMAL95 = 1.959964
_TOLD = 1.644854
"""Standard errors that a lead of one airport over another must have."""


def catchment_counts(catchment: Publication) -> Tally:
    """(areas, timetables, airports) passengers' days in an area, on the day of landing and the next."""
    labels = {
        "municipality": areas()["name_en"].to_pylist(),
        "timetable": TIMETABLES,
        "airport": AIRPORTS,
    }
    return tally(catchment.table, labels)


def watershed(counts: Tally, sampled: float | None = None) -> Shares:
    """(areas, airports) shares of the airports in an area, over both timetables."""
    return shares(counts.sum(1), sampled=sampled, units=DAYS)


def main_airport(counts: Tally) -> NDArray[np.int64]:
    """(areas,) the airport that most passengers of an area came through, -1 where that cannot be told.

    It is told where the lead over the next airport is more than 1.645 standard errors of that lead.
    So a lead that is truly three standard errors is told 91 times in 100, and one of two airports
    that are level 10 times.
    """
    both = counts.sum(1)
    known = ~np.isnan(both.value).any(axis=1)
    values = np.nan_to_num(both.value)
    order = np.argsort(-np.nan_to_num(both.value), axis=1, kind="stable")
    (first, second), (one, other) = (
        np.take_along_axis(part, order, 1)[:, :2].T for part in (values, both.variance)
    )
    return np.where(known & (first - second > _TOLD * np.sqrt(one + other)), order[:, 0], -1)


def watershed_table(counts: Tally, sampled: float | None = None) -> pa.Table:
    """One row per area and airport, over both timetables.

    Columns: the area, `airport`, `passenger_days` (unbiased), `stderr`, `share`, `share_stderr`,
    `low95`, `high95`.
    """
    both = counts.sum(1)
    part = watershed(counts, sampled)
    columns = _area_columns(len(AIRPORTS)) | {"airport": pa.array(AIRPORTS * len(counts.value))}
    columns |= {"passenger_days": _numbers(both.value), "stderr": _numbers(both.stderr)}
    columns |= {"share": _numbers(part.value), "share_stderr": _numbers(part.stderr)}
    return pa.table(columns | {"low95": _numbers(part.low95), "high95": _numbers(part.high95)})


def opening_table(counts: Tally, sampled: float | None = None) -> pa.Table:
    """One row per area: share of the opened airport before and after, and the change.

    Columns: the area, `before`, `before_stderr`, `after`, `after_stderr`, `change`, `low95`,
    `high95`, `changed` (whether the interval excludes no change; null where unknown). Noise of the
    two timetables is independent.
    """
    part = shares(counts, sampled=sampled, units=DAYS)
    place = AIRPORTS.index(OPENED)
    (before, after) = part.value[..., place].T
    (error, error_after) = part.stderr[..., place].T
    change = after - before
    half = _NORMAL95 * np.hypot(error, error_after)
    columns = _area_columns() | {"before": _numbers(before), "before_stderr": _numbers(error)}
    columns |= {
        "after": _numbers(after),
        "after_stderr": _numbers(error_after),
        "change": _numbers(change),
    }
    columns |= {"low95": _numbers(change - half), "high95": _numbers(change + half)}
    return pa.table(columns | {"changed": pa.array(abs(change) > half, mask=np.isnan(change))})


def boarding_counts(preboarding: Publication, airports: Sequence[str]) -> Tally:
    """(airports, flights, times, STATES) passengers before departure.

    Another airport's zone is elsewhere.
    """
    zones = ("near home", *airports, "elsewhere")
    own = {"airport": airports, "flight": FLIGHTS, "offset": BEFORE, "zone": zones}
    counts = tally(preboarding.table, own)
    return Tally(*(_states(np.asarray(figures)) for figures in counts))


def _states(by_zone: NDArray[np.float64]) -> NDArray[np.float64]:
    """(airports, flights, times, zones) to (airports, flights, times, STATES)."""
    ports = np.arange(len(by_zone))
    home = by_zone[..., 0]
    near = by_zone[ports, ..., ports + 1]
    return np.stack([home, near, by_zone.sum(-1) - home - near], axis=-1)


def boarding_table(
    counts: Tally, airports: Sequence[str], sampled: float | None = None
) -> pa.Table:
    """One row per airport, flight, time and state.

    Columns: these, `passengers` (unbiased), `stderr`, `share`, `share_stderr`, `low95`, `high95`.
    """
    part = shares(counts, sampled=sampled)
    names = {"airport": airports, "flight": FLIGHTS, "before": BEFORE, "state": STATES}
    places = np.indices(counts.value.shape).reshape(len(names), -1)
    columns = {
        name: pa.array(np.asarray(values)[own])
        for (name, values), own in zip(names.items(), places, strict=True)
    }
    columns |= {"passengers": _numbers(counts.value), "stderr": _numbers(counts.stderr)}
    columns |= {"share": _numbers(part.value), "share_stderr": _numbers(part.stderr)}
    return pa.table(columns | {"low95": _numbers(part.low95), "high95": _numbers(part.high95)})


def _area_columns(times: int = 1) -> dict[str, pa.Array]:
    """Code and names of the areas, each so many times."""
    rows = np.repeat(np.arange(len(areas())), times)
    return {
        name: areas()[name].combine_chunks().take(pa.array(rows))
        for name in ("code", "name_en", "name_ja")
    }


def _numbers(values: NDArray[np.float64]) -> pa.Array:
    """Flat, with null for unknown."""
    return pa.array(np.ravel(values), mask=np.isnan(np.ravel(values)))
