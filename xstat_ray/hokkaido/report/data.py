"""Finished releases as a report has them: what was published of every place, and nothing of what was suppressed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.needs.publication import read_json, read_manifest, read_table, stamped
from xstat_ray.hokkaido.report import population
from xstat_ray.hokkaido.report.geography import NOWHERE, Ground, ground
from xstat_ray.hokkaido.report.population import Part
from xstat_ray.hokkaido.report.provenance import facts
from xstat_ray.privacy.mechanism import half_width95
from xstat_ray.publication.release import AREAS, MANIFEST, PLAN, STATISTICS

FIGURES = ("noisy", "estimate", "stderr", "suppressed")
AREA_FIGURES = ("unbiased", "low95", "high95", "estimate", "stderr", "suppressed")
SUPPRESSED = -1
ABSENT = -2
"""In place of an estimate: not published because too small, and not part of the publication."""
MAX_VALUES = 12_000_000
"""Values of one table: more would make a page that an office computer does not open."""
KEY = "run"
REMEDY = "Name the output folder of jobs.crosstab, jobs.population or jobs.needs"


@dataclass(frozen=True)
class Dimension:
    """A dimension and its labels in the order of the table."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Level:
    """One level of one study: the published values of its places.

    Arrays are (places, slots) of int64.
    """

    name: str
    places: tuple[str, ...]
    ground: Ground
    estimate: NDArray[np.int64]
    """`SUPPRESSED` or `ABSENT` where there is none."""
    low: NDArray[np.int64]
    """Ends of the 95 % interval around the unbiased value, widened where need be to hold the
    refined estimate; whole numbers, rounded outwards, and below zero by noise. 0 where nothing is
    published."""
    high: NDArray[np.int64]


@dataclass(frozen=True)
class Layer:
    """A release: levels of places, the finest first, by the slots that the dimensions span."""

    folder: Path
    study: str
    title: Mapping[str, str]
    place: str
    """Name of the dimension of the places."""
    dimensions: tuple[Dimension, ...]
    """All but the places; a slot is a position in their product, the last varying fastest."""
    levels: tuple[Level, ...]
    noise_free: bool
    facts: Mapping[str, Any]
    """What the page tells of where the figures come from; see
    `xstat_ray.hokkaido.report.provenance.facts`."""


def read_layers(folder: Path) -> tuple[Layer, ...]:
    """Read a finished release: one layer, or one for each breakdown of a population.

    Raises:
        InputError: the folder holds no finished release, its files contradict each other, or it is
            too large.
    """
    manifest = read_manifest(folder, key=KEY, remedy=REMEDY)
    plan = read_json(folder / PLAN, key=KEY, remedy=REMEDY)
    tables = {STATISTICS: _table(folder / STATISTICS, FIGURES)}
    if (folder / AREAS).is_file():
        tables[AREAS] = _table(folder / AREAS, AREA_FIGURES)
    off = bool(manifest.get("noise_free"))
    _check(folder, manifest, plan, tables[STATISTICS], off)
    noise = str(plan.get("noise", "off"))
    origin = facts(folder, manifest, plan)
    if population.is_one(tables[STATISTICS]):
        parts = population.breakdowns(tables, manifest, plan)
    else:
        parts = [Part(str(manifest["study"]), plan.get("title", {}), tables, {})]
    return tuple(
        _layer(folder, replace(part, facts={**origin, **part.facts}), noise=noise, noise_free=off)
        for part in parts
    )


def _layer(folder: Path, part: Part, *, noise: str, noise_free: bool) -> Layer:
    table = part.tables[STATISTICS]
    names = [name for name in table.column_names if name not in FIGURES]
    dimensions = [
        Dimension(name, tuple(pc.unique(table[name]).cast(pa.string()).to_pylist()))
        for name in names
    ]
    place = _place(dimensions)
    own = dimensions[place]
    others = tuple(d for i, d in enumerate(dimensions) if i != place)
    if (size := len(own.labels) * _product(others)) > MAX_VALUES:
        problem = f"the table spans {size:,} values, and a page takes {MAX_VALUES:,}"
        raise InputError(
            problem,
            file=str(folder / STATISTICS),
            key=KEY,
            remedy="Publish fewer dimensions for the map",
        )
    levels = [_cells(table, own, others, noise)]
    if AREAS in part.tables:
        levels += _areas(part.tables[AREAS], others)
    return Layer(
        folder, part.study, part.title, own.name, others, tuple(levels), noise_free, part.facts
    )


def _table(file: Path, figures: Sequence[str]) -> pa.Table:
    """All columns of a published table."""
    try:
        names = pq.read_schema(file).names
    except (OSError, pa.ArrowException):
        names = []
    return read_table(
        file, [name for name in names if name not in figures], figures, key=KEY, remedy=REMEDY
    )


def _check(
    folder: Path, manifest: dict[str, Any], plan: dict[str, Any], table: pa.Table, off: bool
) -> None:
    """The files of a release belong together."""
    remedy = "Use the folder as the job left it"
    if "study" not in manifest or plan.get("study_digest") != manifest.get("study_digest"):
        problem = "plan and manifest belong to different studies"
        raise InputError(problem, file=str(folder / PLAN), key=KEY, remedy=remedy)
    if off != stamped(table):
        problem = "manifest and statistics contradict each other about the noise"
        raise InputError(problem, file=str(folder / MANIFEST), key=KEY, remedy=remedy)
    if not len(table):
        raise InputError(
            "nothing was published", file=str(folder / STATISTICS), key=KEY, remedy=remedy
        )


def _place(dimensions: Sequence[Dimension]) -> int:
    """The dimension that lies on the map; the first if none does."""
    found = [i for i, dimension in enumerate(dimensions) if ground(dimension.labels) != NOWHERE]
    return found[0] if found else 0


def _product(dimensions: Sequence[Dimension]) -> int:
    return int(np.prod([len(dimension.labels) for dimension in dimensions], dtype=np.int64))


def _cells(table: pa.Table, own: Dimension, others: Sequence[Dimension], noise: str) -> Level:
    half = half_width95(noise, table["stderr"].to_numpy())  # type: ignore[arg-type]
    noisy = table["noisy"].to_numpy()
    return _level("cell", (own, *others), table, (noisy - half, noisy + half))


def _areas(table: pa.Table, others: Sequence[Dimension]) -> list[Level]:
    """The levels above the cells, in the order of the table; none where it lacks a dimension."""
    if any(
        name not in table.column_names
        for name in ("level", "area", *(dimension.name for dimension in others))
    ):
        return []
    levels = []
    for name in pc.unique(table["level"]).to_pylist():
        own = table.filter(pc.field("level") == name)
        areas = Dimension("area", tuple(pc.unique(own["area"]).to_pylist()))
        levels.append(
            _level(name, (areas, *others), own, (own["low95"].to_numpy(), own["high95"].to_numpy()))
        )
    return levels


def _level(
    name: str,
    dimensions: Sequence[Dimension],
    table: pa.Table,
    ends: tuple[NDArray[Any], NDArray[Any]],
) -> Level:
    """Lay rows out as (places, slots), places being the first dimension.

    They may come in any order or be missing.
    """
    at = np.zeros(len(table), np.int64)
    for dimension in dimensions:
        labels = pa.array(dimension.labels, pa.string())
        at = (
            at * len(dimension.labels)
            + pc.index_in(table[dimension.name].cast(pa.string()), labels).to_numpy()
        )
    own = dimensions[0]
    slots = _product(dimensions[1:])
    size = len(own.labels) * slots
    hidden = table["suppressed"].to_numpy()
    estimate = np.full(size, ABSENT, np.int64)
    estimate[at] = np.where(hidden, SUPPRESSED, table["estimate"].fill_null(SUPPRESSED).to_numpy())
    low, high = (np.zeros(size, np.int64) for _ in range(2))
    low[at] = np.where(hidden, 0, np.minimum(np.floor(ends[0]), estimate[at]))
    high[at] = np.where(hidden, 0, np.maximum(np.ceil(ends[1]), estimate[at]))
    shape = (len(own.labels), slots)
    places = ground(own.labels, name)
    return Level(name, own.labels, places, *(part.reshape(shape) for part in (estimate, low, high)))
