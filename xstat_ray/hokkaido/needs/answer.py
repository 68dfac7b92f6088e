"""Find where transport is missing with one call: published releases in, ranked areas out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.needs.access import (
    AIRPORTS,
    DAYS,
    HOURS,
    Landing,
    Minutes,
    Travel,
    after_landing,
    areas,
    hub_minutes,
)
from xstat_ray.hokkaido.needs.index import Inputs, Needs, Sampling, assess
from xstat_ray.hokkaido.needs.opening import (
    boarding_counts,
    boarding_table,
    catchment_counts,
    main_airport,
    opening_table,
    region_table,
    watershed,
    watershed_table,
)
from xstat_ray.hokkaido.needs.publication import (
    NoisyCounts,
    Publication,
    read_counts,
    read_publication,
)
from xstat_ray.hokkaido.needs.shares import overlap
from xstat_ray.hokkaido.needs.visitors import Visitors, read_visitors
from xstat_ray.publication.release import MANIFEST

MOVEMENT = ("municipality", "route", "direction", "offset")
CATCHMENT = ("municipality", "airport", "timetable")
PREBOARDING = ("zone", "airport", "flight", "offset")
TO_DOTO = "to Doto"
STUDIED = ("CTS", "OKD", "KUH", "MMB", "SHB")
"""The airports of the study of boarding."""


@dataclass(frozen=True)
class Folders:
    """Output folders of the finished releases that are joined."""

    movement: Path
    catchment: Path
    population: Path
    preboarding: Path | None = None


@dataclass(frozen=True)
class Assumptions:
    """Assumptions that the published statistics do not tell; all of them are public."""

    market_share: float = 0.42
    """The operator's share of all people: who can be counted stands for 1/market_share people."""
    travel: Travel = field(default_factory=Travel)
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class NeedsAnswer:
    """The ranked areas and the tables beside them."""

    tables: dict[str, pa.Table]
    """Tables named `needs`, `hours`, `watershed`, `opening`, `region`; `boarding` if that study was
    given."""
    sources: dict[str, dict[str, Any]]
    """Study, release, and whether the noise was off, by key of the folder."""

    @property
    def noise_free(self) -> bool:
        """Whether any source holds exact counts, and the answer with it."""
        return any(source["noise_free"] for source in self.sources.values())


def answer(folders: Folders, assumptions: Assumptions | None = None) -> NeedsAnswer:
    """Join published releases into the ranked list of areas whose visitors transport serves badly.

    Args:
        folders: the releases, which must be of equal people and days.
        assumptions: what the releases do not tell; the default is that of conf/needs.yaml.

    Raises:
        InputError: a folder holds no finished release of its study; names folder, key and remedy.
    """
    settled_assumptions = assumptions or Assumptions()
    movement = _release(folders.movement, "movement", "doto_movement", MOVEMENT)
    catchment = _release(folders.catchment, "catchment", "catchment", CATCHMENT)
    _check_same_people(movement, catchment)
    visitors = read_visitors(
        folders.population, key="releases.population", remedy=_remedy("population", "")
    )
    counts = catchment_counts(catchment)
    share = settled_assumptions.market_share
    tables = {
        "needs": _needs_table(visitors, counts, movement, settled_assumptions),
        "hours": _hours_table(visitors),
        "watershed": watershed_table(counts, share),
        "opening": opening_table(counts, share),
        "region": region_table(counts, share),
    }
    sources = {"movement": _source(movement), "catchment": _source(catchment)}
    sources["population"] = {
        "study": "population",
        "release": visitors.release,
        "noise_free": visitors.noise_free,
    }
    if folders.preboarding is not None:
        preboarding = _release(folders.preboarding, "preboarding", "preboarding", PREBOARDING)
        _check_same_people(movement, preboarding)
        tables["boarding"] = boarding_table(boarding_counts(preboarding, STUDIED), STUDIED, share)
        sources["preboarding"] = _source(preboarding)
    return NeedsAnswer(tables, sources)


def landing_counts(movement: Publication) -> NoisyCounts:
    """Sum passengers to the east over all routes.

    Returns:
        (areas, HOURS) passengers by hours after landing.
    """
    hours = [f"arrival+{hour}h" for hour in range(1, HOURS + 1)]
    labels = {
        "municipality": areas()["name_en"].to_pylist(),
        "direction": (TO_DOTO,),
        "offset": hours,
    }
    return read_counts(movement.table, labels).sum(1)


def flyers(counts: NoisyCounts, days: int, market_share: float) -> NoisyCounts:
    """Estimate how many passengers are in each area on a mean day.

    A passenger is there on the day of landing and the next. Those who can be counted are taken to
    be a random part of all, so the variance of the sample is added to that of the noise.

    Args:
        counts: (areas, timetables, airports) passengers' days.
        days: dates of the published population.
        market_share: share of all passengers who can be counted.

    Returns:
        (areas,) passengers.
    """
    total = counts.sum(1, 2)
    sample = DAYS * (1 - market_share) * np.maximum(total.value, 0)
    return NoisyCounts(total.value, total.variance + sample).scaled(1 / market_share / days)


def inputs(visitors: Visitors, counts: NoisyCounts, landing: Landing, given: Assumptions) -> Inputs:
    """Make the inputs of the index."""
    road = hub_minutes()
    error = given.travel.road_error * road
    flown = flyers(counts, visitors.days, given.market_share)
    return Inputs(visitors.daily, flown, landing.both, Minutes(road, error))


def _needs_table(
    visitors: Visitors, counts: NoisyCounts, movement: Publication, given: Assumptions
) -> pa.Table:
    """Make a table with a row for each area, the neediest first.

    Nulls are unknown, and areas that cannot be ranked come last.
    """
    landing = after_landing(
        landing_counts(movement), counts.sum(1), given.travel, given.market_share
    )
    made_of = inputs(visitors, counts, landing, given)
    needs = assess(made_of, given.travel, given.sampling)
    order = np.argsort(np.where(needs.rank > 0, needs.rank, len(needs.rank) + 1), kind="stable")
    table = areas().select(["code", "name_en", "name_ja", "subprefecture"])
    for name, values in _columns(made_of, needs, counts, landing).items():
        missing = np.isnan(values) if values.dtype.kind == "f" else values == 0
        table = table.append_column(name, pa.array(values, mask=missing))
    return (
        table.append_column("main_airport", _main_airport(counts))
        .take(pa.array(order))
        .combine_chunks()
    )


def _columns(
    made_of: Inputs, needs: Needs, counts: NoisyCounts, landing: Landing
) -> dict[str, Any]:
    """Make the columns of numbers, by area."""
    visitors = made_of.visitors
    flyers = made_of.flyers
    with np.errstate(invalid="ignore", divide="ignore"):
        air = np.where(visitors.value >= 3 * visitors.stderr, flyers.value / visitors.value, np.nan)
        air_error = np.sqrt(flyers.variance + air**2 * visitors.variance) / visitors.value
    return {
        "rank": needs.rank, "rank_low": needs.rank_low, "rank_high": needs.rank_high,
        "in_top": needs.in_top,
        "need": needs.need, "need_low95": needs.low95, "need_high95": needs.high95,
        "visitors": visitors.value, "visitors_stderr": visitors.stderr,
        "flyers": flyers.value, "flyers_stderr": flyers.stderr,
        "air_share": air, "air_share_stderr": np.where(np.isnan(air), np.nan, air_error),
        "counted_minutes": landing.counted.value, "counted_minutes_stderr": landing.counted.stderr,
        "map_minutes": landing.by_map.value, "map_minutes_stderr": landing.by_map.stderr,
        "landing_minutes": landing.both.value, "landing_minutes_stderr": landing.both.stderr,
        "road_minutes": made_of.road.value, "road_minutes_stderr": made_of.road.stderr,
        "overlap": overlap(watershed(counts).value),
    }  # fmt: skip


def _main_airport(counts: NoisyCounts) -> pa.Array:
    chosen = main_airport(counts)
    return pa.array(AIRPORTS).take(pa.array(chosen, mask=chosen < 0))


def _hours_table(visitors: Visitors) -> pa.Table:
    """Make a table of visitors present on a mean day, by area and hour of the day."""
    places, hours = np.indices(visitors.hourly.value.shape).reshape(2, -1)
    values = visitors.hourly.value.ravel()
    errors = visitors.hourly.stderr.ravel()
    columns = {
        name: areas()[name].take(pa.array(places)) for name in ("code", "name_en", "name_ja")
    }
    columns |= {
        "hour": pa.array(hours.astype(np.int8)),
        "visitors": pa.array(values, mask=np.isnan(values)),
    }
    return pa.table(columns | {"stderr": pa.array(errors, mask=np.isnan(errors))})


def _release(folder: Path, key: str, study: str, dimensions: tuple[str, ...]) -> Publication:
    return read_publication(
        folder, dimensions, key=f"releases.{key}", remedy=_remedy("crosstab", f"study={study} ")
    )


def _check_same_people(first: Publication, other: Publication) -> None:
    if first.datasets != other.datasets:
        raise InputError(
            f"the release is of the data sets {', '.join(other.datasets.values())}, "
            f"and that of {first.study} of {', '.join(first.datasets.values())}",
            file=str(other.folder / MANIFEST),
            remedy="Join releases of the same people and days",
        )


def _remedy(job: str, study: str) -> str:
    return f"Make one with: xstat-ray {job} {study}out=..."


def _source(release: Publication) -> dict[str, Any]:
    return {"study": release.study, "release": release.release, "noise_free": release.noise_free}
