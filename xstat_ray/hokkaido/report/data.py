"""Finished releases in the form of a report: published values by place, and nothing suppressed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.needs.publication import (
    CONTRADICTION,
    read_json,
    read_manifest,
    read_table,
    spoiled,
    stamped,
)
from xstat_ray.hokkaido.report import population
from xstat_ray.hokkaido.report.geography import NOWHERE, Ground, ground
from xstat_ray.hokkaido.report.means import Mean, mean_table, shown, titles
from xstat_ray.hokkaido.report.population import PopulationTable
from xstat_ray.hokkaido.report.provenance import facts
from xstat_ray.inputs.study_dimensions import PUBLISHED
from xstat_ray.publication.measures import measure_columns
from xstat_ray.publication.release import AREAS, MANIFEST, PLAN, STATISTICS

MEASURES = ("noisy", "estimate", "low95", "high95", "stderr", "suppressed")
AREA_MEASURES = ("unbiased", *MEASURES[1:])
SUPPRESSED = -1
"""Stands for an estimate that is not published because it is too small."""
ABSENT = -2
"""Stands for an estimate that is not part of the publication."""
MAX_VALUES = 12_000_000
"""Most values of a table; more would make a page that an office computer does not open."""
KEY = "run"
REMEDY = "Name the output folder of xstat-ray crosstab, population or needs"


@dataclass(frozen=True)
class LayerDimension:
    """A dimension of a layer, and its labels in the order of the table."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class LayerLevel:
    """The published values of the places of a level, in (places, slots) arrays."""

    name: str
    places: tuple[str, ...]
    ground: Ground
    estimate: NDArray[np.int64]
    """Refined people; `SUPPRESSED` or `ABSENT` where there is none."""
    low: NDArray[np.int64]
    """Lower end of the published 95 % interval. It is rounded outwards, noise can carry it below
    zero, and it is 0 where nothing is published."""
    high: NDArray[np.int64]
    """Upper end of the 95 % interval."""


@dataclass(frozen=True)
class Layer:
    """A release: levels of places, the finest first, and the dimensions that span its slots."""

    folder: Path
    study: str
    title: Mapping[str, str]
    place: str
    """Name of the dimension of the places."""
    dimensions: tuple[LayerDimension, ...]
    """All dimensions but the places; a slot is a position in their product, the last fastest."""
    levels: tuple[LayerLevel, ...]
    noise_free: bool
    facts: Mapping[str, Any]
    """Facts of the release that the values come from, by `report.provenance.facts`."""
    mean: Mean | None = None
    """What the values are the mean of; None where they are people."""


def read_layers(folder: Path) -> tuple[Layer, ...]:
    """Read a finished release: one layer, or one for each breakdown of a population.

    Means of measures are further layers.

    Raises:
        InputError: the folder holds no finished release, its files contradict each other, or a
            table is too large.
    """
    manifest = read_manifest(folder, key=KEY, remedy=REMEDY)
    plan = read_json(folder / PLAN, key=KEY, remedy=REMEDY)
    further = measure_columns(plan)
    tables = {STATISTICS: _table(folder / STATISTICS, MEASURES, further)}
    if (folder / AREAS).is_file():
        tables[AREAS] = _table(folder / AREAS, AREA_MEASURES, further)
    off = bool(manifest.get("noise_free"))
    _check(folder, manifest, plan, tables[STATISTICS], off)
    origin = facts(folder, manifest, plan)
    if population.is_population(tables[STATISTICS]):
        parts = population.breakdowns(tables, manifest, plan)
    else:
        parts = [PopulationTable(str(manifest["study"]), plan.get("title", {}), tables, {})]
    layers = [
        _layer(folder, replace(part, facts={**origin, **part.facts}), noise_free=off)
        for part in parts
    ]
    return (*layers, *_means(folder, manifest, plan, layers[0]))


def _means(
    folder: Path, manifest: Mapping[str, Any], plan: Mapping[str, Any], counts: Layer
) -> Iterator[Layer]:
    """Make a layer of the means of each measure."""
    for mean in shown(plan):
        tables = {
            name: mean_table(
                folder / name,
                plan,
                mean,
                pq.read_schema(folder / name).names,
                key=KEY,
                remedy=REMEDY,
            )
            for name in (STATISTICS, AREAS)
            if (folder / name).is_file()
        }
        title = titles(mean, plan.get("title", {}))
        study = f"{manifest['study']}_mean_{mean.name}"
        part = PopulationTable(study, title, tables, counts.facts)
        yield replace(_layer(folder, part, noise_free=counts.noise_free), mean=mean)


def _layer(folder: Path, part: PopulationTable, *, noise_free: bool) -> Layer:
    table = part.tables[STATISTICS]
    names = [name for name in table.column_names if name not in MEASURES]
    dimensions = [
        LayerDimension(name, tuple(pc.unique(table[name]).cast(pa.string()).to_pylist()))
        for name in names
    ]
    place = _place(dimensions)
    places = dimensions[place]
    others = tuple(d for i, d in enumerate(dimensions) if i != place)
    if (size := len(places.labels) * _product(others)) > MAX_VALUES:
        problem = f"the table spans {size:,} values, and a page takes {MAX_VALUES:,}"
        remedy = "Publish fewer dimensions for the map"
        raise InputError(problem, file=str(folder / STATISTICS), key=KEY, remedy=remedy)
    levels = [_level("cell", (places, *others), table)]
    if AREAS in part.tables:
        levels += _areas(part.tables[AREAS], others)
    return Layer(
        folder, part.study, part.title, places.name, others, tuple(levels), noise_free, part.facts
    )


def _table(file: Path, measures: Sequence[str], further: Sequence[str]) -> pa.Table:
    """Read the dimensions and `measures` of a published table, without `further` columns.

    Nor is `smoothed` read, which has no interval to show.
    """
    try:
        names = pq.read_schema(file).names
    except (OSError, pa.ArrowException):
        names = []
    dimensions = [name for name in names if name not in (*measures, *PUBLISHED, *further)]
    return read_table(file, dimensions, measures, key=KEY, remedy=REMEDY)


def _check(
    folder: Path, manifest: dict[str, Any], plan: dict[str, Any], table: pa.Table, off: bool
) -> None:
    """Check that the files of a release belong together."""
    if "study" not in manifest or plan.get("study_digest") != manifest.get("study_digest"):
        raise spoiled(folder / PLAN, KEY, "plan and manifest belong to different studies")
    if off != stamped(table):
        raise spoiled(folder / MANIFEST, KEY, CONTRADICTION)
    if not len(table):
        raise spoiled(folder / STATISTICS, KEY, "nothing was published")


def _place(dimensions: Sequence[LayerDimension]) -> int:
    """Find the dimension that lies on the map; the first if none does."""
    found = [i for i, dimension in enumerate(dimensions) if ground(dimension.labels) != NOWHERE]
    return found[0] if found else 0


def _product(dimensions: Sequence[LayerDimension]) -> int:
    return int(np.prod([len(dimension.labels) for dimension in dimensions], dtype=np.int64))


def _areas(table: pa.Table, others: Sequence[LayerDimension]) -> list[LayerLevel]:
    """Read the levels above the cells, in the order of the table; none if it lacks a dimension."""
    if any(
        name not in table.column_names
        for name in ("level", "area", *(dimension.name for dimension in others))
    ):
        return []
    levels = []
    for name in pc.unique(table["level"]).to_pylist():
        rows = table.filter(pc.field("level") == name)
        areas = LayerDimension("area", tuple(pc.unique(rows["area"]).to_pylist()))
        levels.append(_level(name, (areas, *others), rows))
    return levels


def _level(name: str, dimensions: Sequence[LayerDimension], table: pa.Table) -> LayerLevel:
    """Lay rows out as (places, slots), places being the first dimension.

    Rows may come in any order or be missing.
    """
    at = np.zeros(len(table), np.int64)
    for dimension in dimensions:
        labels = pa.array(dimension.labels, pa.string())
        at = (
            at * len(dimension.labels)
            + pc.index_in(table[dimension.name].cast(pa.string()), labels).to_numpy()
        )
    labels = dimensions[0].labels
    slots = _product(dimensions[1:])
    size = len(labels) * slots
    hidden = table["suppressed"].to_numpy()
    estimate = np.full(size, ABSENT, np.int64)
    estimate[at] = np.where(hidden, SUPPRESSED, table["estimate"].fill_null(SUPPRESSED).to_numpy())
    low, high = (np.zeros(size, np.int64) for _ in range(2))
    low[at] = np.where(hidden, 0, np.floor(table["low95"].fill_null(0).to_numpy()))
    high[at] = np.where(hidden, 0, np.ceil(table["high95"].fill_null(0).to_numpy()))
    shape = (len(labels), slots)
    values = [part.reshape(shape) for part in (estimate, low, high)]
    return LayerLevel(name, labels, ground(labels, name), *values)
