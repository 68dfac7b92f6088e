"""Finished releases as a report has them: what was published of every place, and nothing of what was suppressed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.needs.publication import read_json, read_manifest, read_table, stamped
from xstat_ray.privacy.mechanism import half_width95
from xstat_ray.release import AREAS, MANIFEST, PLAN, STATISTICS
from xstat_ray.report.geography import NOWHERE, Ground, ground

FIGURES = ("noisy", "estimate", "stderr", "suppressed")
SUPPRESSED, ABSENT = -1, -2
"""In place of an estimate: not published because too small, and not part of the publication."""
MAX_VALUES = 12_000_000
"""Values of one table: more would make a page that an office computer does not open."""
KEY = "run"
REMEDY = "Name the output folder of jobs.crosstab or jobs.needs"


@dataclass(frozen=True)
class Dimension:
    """A dimension and its labels in the order of the table."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Level:
    """One level of one study: the published values of its places. Arrays are (places, slots) of int64."""

    name: str
    places: tuple[str, ...]
    ground: Ground
    estimate: NDArray[np.int64]
    """`SUPPRESSED` or `ABSENT` where there is none."""
    low: NDArray[np.int64]
    """Ends of the 95 % interval around the unbiased value, widened where need be to hold the refined estimate; whole
    numbers, rounded outwards, and below zero by noise. 0 where nothing is published."""
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
    """What the page tells of where the figures come from; see `_facts`."""


def read_layer(folder: Path) -> Layer:
    """Read a finished release.

    Raises:
        InputError: the folder holds no finished release, its files contradict each other, or it is too large.
    """
    manifest = read_manifest(folder, key=KEY, remedy=REMEDY)
    plan = read_json(folder / PLAN, key=KEY, remedy=REMEDY)
    table = _table(folder / STATISTICS)
    off = bool(manifest.get("noise_free"))
    _check(folder, manifest, plan, table, off)
    names = [name for name in table.column_names if name not in FIGURES]
    dimensions = [Dimension(name, tuple(pc.unique(table[name]).cast(pa.string()).to_pylist())) for name in names]
    place = _place(dimensions)
    own, others = dimensions[place], tuple(d for i, d in enumerate(dimensions) if i != place)
    slots = _product(others)
    if len(own.labels) * slots > MAX_VALUES:
        problem = f"the table spans {len(own.labels) * slots:,} values, and a page takes {MAX_VALUES:,}"
        raise InputError(problem, file=str(folder / STATISTICS), key=KEY, remedy="Publish fewer dimensions for the map")
    finest = _cells(table, own, others, str(plan.get("noise", "off")))
    return Layer(
        folder=folder,
        study=str(manifest["study"]),
        title=plan.get("title", {}),
        place=own.name,
        dimensions=others,
        levels=(finest, *_areas(folder, others)),
        noise_free=off,
        facts=_facts(folder, manifest, plan),
    )


def _table(file: Path) -> pa.Table:
    """All columns of a statistics file."""
    try:
        names = pq.read_schema(file).names
    except (OSError, pa.ArrowException):
        names = []
    return read_table(file, [name for name in names if name not in FIGURES], FIGURES, key=KEY, remedy=REMEDY)


def _check(folder: Path, manifest: dict[str, Any], plan: dict[str, Any], table: pa.Table, off: bool) -> None:
    """The files of a release belong together."""
    remedy = "Use the folder as the job left it"
    if "study" not in manifest or plan.get("study_digest") != manifest.get("study_digest"):
        problem = "plan and manifest belong to different studies"
        raise InputError(problem, file=str(folder / PLAN), key=KEY, remedy=remedy)
    if off != stamped(table):
        problem = "manifest and statistics contradict each other about the noise"
        raise InputError(problem, file=str(folder / MANIFEST), key=KEY, remedy=remedy)
    if not len(table):
        raise InputError("nothing was published", file=str(folder / STATISTICS), key=KEY, remedy=remedy)


def _place(dimensions: Sequence[Dimension]) -> int:
    """The dimension that lies on the map; the first if none does."""
    found = [i for i, dimension in enumerate(dimensions) if ground(dimension.labels) != NOWHERE]
    return found[0] if found else 0


def _product(dimensions: Sequence[Dimension]) -> int:
    return int(np.prod([len(dimension.labels) for dimension in dimensions], dtype=np.int64))


def _cells(table: pa.Table, own: Dimension, others: Sequence[Dimension], noise: str) -> Level:
    half = half_width95(noise, table["stderr"].to_numpy()).astype(np.int64)  # type: ignore[arg-type]
    noisy = table["noisy"].to_numpy().astype(np.int64)
    return _level("cell", (own, *others), table, (noisy - half, noisy + half))


def _areas(folder: Path, others: Sequence[Dimension]) -> list[Level]:
    """The levels above the cells, in the order of the file."""
    file = folder / AREAS
    if not file.is_file():
        return []
    columns = ["level", "area", *(dimension.name for dimension in others)]
    names = pq.read_schema(file).names
    if any(name not in names for name in columns):
        return []
    table = read_table(file, columns, ("estimate", "low95", "high95", "suppressed"), key=KEY, remedy=REMEDY)
    levels = []
    for name in pc.unique(table["level"]).to_pylist():
        own = table.filter(pc.field("level") == name)
        areas = Dimension("area", tuple(pc.unique(own["area"]).to_pylist()))
        ends = (np.floor(own["low95"].to_numpy()), np.ceil(own["high95"].to_numpy()))
        levels.append(_level(name, (areas, *others), own, (ends[0].astype(np.int64), ends[1].astype(np.int64))))
    return levels


def _level(
    name: str, dimensions: Sequence[Dimension], table: pa.Table, ends: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Level:
    """Lay rows out as (places, slots), places being the first dimension; they may come in any order or be missing."""
    at = np.zeros(len(table), np.int64)
    for dimension in dimensions:
        labels = pa.array(dimension.labels, pa.string())
        at = at * len(dimension.labels) + pc.index_in(table[dimension.name].cast(pa.string()), labels).to_numpy()
    own, slots = dimensions[0], _product(dimensions[1:])
    size = len(own.labels) * slots
    hidden = table["suppressed"].to_numpy()
    estimate = np.full(size, ABSENT, np.int64)
    estimate[at] = np.where(hidden, SUPPRESSED, table["estimate"].fill_null(SUPPRESSED).to_numpy())
    low, high = (np.zeros(size, np.int64) for _ in range(2))
    low[at] = np.where(hidden, 0, np.minimum(ends[0], estimate[at]))
    high[at] = np.where(hidden, 0, np.maximum(ends[1], estimate[at]))
    shape = (len(own.labels), slots)
    places = ground(own.labels, name)
    return Level(name, own.labels, places, *(part.reshape(shape) for part in (estimate, low, high)))


def _facts(folder: Path, manifest: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """Of the release: id, digest of the manifest, software, budget, threshold, what one person moves at most."""
    spent = manifest.get("spent", {})
    return {
        "release": manifest.get("release"),
        "manifest_sha256": hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(),
        "software": manifest.get("software", {}),
        "epsilon": spent.get("epsilon"),
        "delta": spent.get("delta"),
        "noise": plan.get("noise"),
        "stderr": plan.get("stderr", {}),
        "suppress_below": plan.get("suppress_below"),
        "person_counts": plan.get("l1_sensitivity"),
    }
