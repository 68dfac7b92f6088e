"""Visitors by area and hour, from published Mobile Spatial Statistics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.needs.access import areas
from xstat_ray.hokkaido.needs.publication import (
    CONTRADICTION,
    NoisyCounts,
    read_manifest,
    read_table,
    spoiled,
    stamped,
)
from xstat_ray.publication.release import MANIFEST, STATISTICS

DIMENSIONS = ("breakdown", "date", "time", "area", "residence")
_TELLING = ("local", "municipality")
"""Kinds of residence that tell visitors from residents."""
MEASURES = ("noisy", "stderr")
HOURS = 24


@dataclass(frozen=True)
class Visitors:
    """Non-residents who are present on a mean day."""

    release: str
    noise_free: bool
    hourly: NoisyCounts
    """(areas, 24) people present in each hour of the day; NaN where nothing was published."""
    days: int
    """Number of dates that were published."""

    @property
    def daily(self) -> NoisyCounts:
        """(areas,) people present at a mean hour; who stays around the clock counts as one."""
        return self.hourly.sum(1).scaled(1 / HOURS)


def read_visitors(folder: Path, *, key: str, remedy: str) -> Visitors:
    """Read a published population and keep those who are not at home in their municipality.

    Columns of the statistics are `breakdown` (the first by residence that the manifest names is
    read), `date` and `time` (text, YYYYMMDD and HHMM), `area` (500 m mesh or code of a
    municipality), `residence` (code of the home municipality, or of the prefecture of people from
    elsewhere, or 00000), `noisy` (unbiased) and `stderr`; further attributes are summed over.

    Args:
        folder: output folder of `xstat-ray population`.
        key: configuration key that names the folder, for messages.
        remedy: how to make such a release, for messages.

    Raises:
        InputError: the folder holds no finished release of a population, or its release does not
            tell visitors from residents.
    """
    manifest = read_manifest(folder, key=key, remedy=remedy)
    table = read_table(folder / STATISTICS, DIMENSIONS, MEASURES, key=key, remedy=remedy)
    noise_free = _noise_free(manifest, table, folder, key)
    table = table.filter(pc.equal(table["breakdown"], _by_residence(manifest, folder, key)))
    days = pc.count_distinct(table["date"]).as_py()
    if not days:
        raise InputError(
            "nothing was published", file=str(folder / STATISTICS), key=key, remedy=remedy
        )
    return Visitors(str(manifest.get("release", "")), noise_free, _hourly(table, days), days)


def _noise_free(manifest: dict[str, Any], table: pa.Table, folder: Path, key: str) -> bool:
    off = manifest.get("noise_free")
    if not isinstance(off, bool) or off != stamped(table):
        raise spoiled(folder / MANIFEST, key, CONTRADICTION)
    return off


def _by_residence(manifest: dict[str, Any], folder: Path, key: str) -> str:
    """Find the name of the breakdown to read."""
    breakdowns = manifest.get("breakdowns")
    named = breakdowns if isinstance(breakdowns, dict) else {}
    found = next((str(name) for name, by in named.items() if "residence" in by), None)
    if found is None or manifest.get("residence") not in _TELLING:
        problem = "the population does not tell visitors from residents"
        remedy = "Publish a breakdown by residence, with population.residence=local or municipality"
        raise InputError(problem, file=str(folder / MANIFEST), key=key, remedy=remedy)
    return found


def _hourly(table: pa.Table, days: int) -> NoisyCounts:
    """Take means over the dates, by area and hour."""
    codes = areas()["code"].combine_chunks()
    here = _municipality(table["area"])
    visiting = pc.and_(
        pc.is_in(here, value_set=codes), pc.not_equal(here, table["residence"].cast(pa.string()))
    )
    rows = pc.fill_null(visiting, False)
    table = table.filter(rows)
    here = here.filter(rows)
    place = pc.index_in(here, value_set=codes).to_numpy()
    hour = (
        pc.utf8_slice_codeunits(table["time"].cast(pa.string()), 0, 2).cast(pa.int64()).to_numpy()
    )
    at = place * HOURS + hour
    size = len(codes) * HOURS
    published = np.bincount(at, minlength=size) > 0

    def mean(weights: NDArray[np.float64], power: int) -> NDArray[np.float64]:
        sums = np.bincount(at, weights, minlength=size) / days**power
        return np.where(published, sums, np.nan).reshape(len(codes), HOURS)

    return NoisyCounts(
        mean(table["noisy"].to_numpy().astype(float), 1), mean(table["stderr"].to_numpy() ** 2, 2)
    )


def _municipality(area: pa.ChunkedArray) -> pa.Array:
    """Find the code of each area's municipality; the area is a mesh, or such a code already."""
    texts = area.cast(pa.string()).combine_chunks()
    land = hokkaido.cells()
    places = pc.index_in(texts, value_set=land["mesh"].cast(pa.string()).combine_chunks())
    by_mesh = land["municipality"].cast(pa.string()).combine_chunks().take(places)
    return pc.coalesce(by_mesh, texts)
