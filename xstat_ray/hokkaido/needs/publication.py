"""Published releases as input; nothing is read but folders that hold a finished release."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.publication.output_folder import UNFINISHED
from xstat_ray.publication.release import MANIFEST, PLAN, STATISTICS

MEASURES = ("noisy", "stderr")
CONTRADICTION = "manifest and statistics contradict each other about the noise"
_FACTS = ("release", "study", "study_digest", "datasets", "noise_free")


@dataclass(frozen=True)
class Publication:
    """A published release, with what its readers have."""

    folder: Path
    study: str
    release: str
    """Id of the release, hexadecimal."""
    datasets: Mapping[str, str]
    """Name of the party's data set, by role."""
    noise_free: bool
    """Whether the noise was off: the counts are exact and not differentially private."""
    table: pa.Table
    """Columns of `xstat_ray.publication.release.Release.statistics`: the dimensions asked for, and
    `MEASURES`."""


class NoisyCounts(NamedTuple):
    """Noisy counts and the variance of their error, in arrays of one shape.

    NaN is unknown, because it was not published.
    """

    value: NDArray[np.float64]
    """Unbiased counts, which may be negative."""
    variance: NDArray[np.float64]

    def sum(self, *axes: int) -> NoisyCounts:
        """Sum over some axes; a sum is unknown where any part is.

        The noises of different counts are independent.
        """
        return NoisyCounts(self.value.sum(axis=axes), self.variance.sum(axis=axes))

    def scaled(self, factor: float) -> NoisyCounts:
        """Multiply by a constant."""
        return NoisyCounts(self.value * factor, self.variance * factor**2)

    @property
    def stderr(self) -> NDArray[np.float64]:
        """Standard error of `value`."""
        root: NDArray[np.float64] = np.sqrt(self.variance)
        return root


def read_publication(
    folder: Path, dimensions: Sequence[str], *, key: str, remedy: str
) -> Publication:
    """Read the statistics of a finished release.

    Args:
        folder: output folder of the job that made the release.
        dimensions: columns that the table needs beside `MEASURES`; it may have more.
        key: configuration key that names the folder, for messages.
        remedy: how to make such a release, for messages.

    Raises:
        InputError: the folder holds no finished release, its files contradict each other, or they
            belong to another study.
    """
    manifest = read_manifest(folder, key=key, remedy=remedy)
    if missing := [name for name in _FACTS if name not in manifest]:
        problem = f"the manifest lacks {', '.join(missing)}: this is no release of a cross-tab"
        raise InputError(problem, file=str(folder / MANIFEST), key=key, remedy=remedy)
    plan = read_json(folder / PLAN, key=key, remedy=remedy)
    if plan.get("study_digest") != manifest["study_digest"]:
        raise spoiled(folder / PLAN, key, "plan and manifest belong to different studies")
    table = read_table(folder / STATISTICS, dimensions, MEASURES, key=key, remedy=remedy)
    if len(table) != plan["cells"] * plan["slots"]:
        problem = f"{len(table):,} rows, and the plan says {plan['cells'] * plan['slots']:,}"
        raise spoiled(folder / STATISTICS, key, problem)
    noise_free = bool(manifest["noise_free"])
    if noise_free != stamped(table):
        raise spoiled(folder / MANIFEST, key, CONTRADICTION)
    return Publication(
        folder, manifest["study"], manifest["release"], manifest["datasets"], noise_free, table
    )


def spoiled(file: Path, key: str, problem: str) -> InputError:
    """Make the error of a release that was changed after the job left it.

    Args:
        file: the file that shows it.
        key: configuration key that names the folder.
        problem: what is wrong.
    """
    return InputError(problem, file=str(file), key=key, remedy="Use the folder as the job left it")


def read_manifest(folder: Path, *, key: str, remedy: str) -> dict[str, Any]:
    """Read the manifest of a folder that holds a finished release.

    Raises:
        InputError: the folder does not exist, or it holds no release, or an unfinished release.
    """
    if not folder.is_dir():
        raise InputError(
            "the folder of a release does not exist", file=str(folder), key=key, remedy=remedy
        )
    if (folder / UNFINISHED).exists():
        again = (
            "Run the command that made it once more: it finishes the release without spending again"
        )
        raise InputError(
            "the release in the folder is not finished", file=str(folder), key=key, remedy=again
        )
    for name in (MANIFEST, STATISTICS):
        if not (folder / name).is_file():
            problem = f"the folder holds no published release: there is no {name}"
            raise InputError(
                problem,
                file=str(folder),
                key=key,
                remedy=f"Only published statistics are read. {remedy}",
            )
    return read_json(folder / MANIFEST, key=key, remedy=remedy)


def read_json(file: Path, *, key: str, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise InputError(
            "the file cannot be read as a JSON object", file=str(file), key=key, remedy=remedy
        )
    return content


def read_table(
    file: Path, dimensions: Sequence[str], measures: Sequence[str], *, key: str, remedy: str
) -> pa.Table:
    """Read some columns of a published table.

    Raises:
        InputError: the file is not Parquet, or lacks a column.
    """
    columns = [*dimensions, *measures]
    try:
        names = pq.read_schema(file).names
        if missing := [name for name in columns if name not in names]:
            problem = "the table has no such column: it belongs to another study"
            raise InputError(problem, file=str(file), key=key, column=missing[0], remedy=remedy)
        return pq.read_table(file, columns=columns)
    except (OSError, pa.ArrowException):
        raise InputError(
            "the file cannot be read as Parquet", file=str(file), key=key, remedy=remedy
        ) from None


def stamped(table: pa.Table) -> bool:
    """Whether a table carries the stamp of a run without noise."""
    return b"NOISE OFF" in (table.schema.metadata or {}).get(b"WARNING", b"")


def read_counts(table: pa.Table, labels: Mapping[str, Sequence[str]]) -> NoisyCounts:
    """Lay out published counts as an array, summed over dimensions that are not named.

    The unbiased `noisy` counts are used, those of suppressed cells included: suppression hides
    small estimates from readers, and to leave them out of a sum, or to count them as zero, would
    bias it. Their variances add up.

    Args:
        table: a table with columns `noisy` and `stderr`.
        labels: labels to read by dimension, in the order of the axes.

    Returns:
        Arrays of the lengths of `labels`; NaN where the table has no such row.
    """
    places = np.zeros(len(table), np.int64)
    inside = np.ones(len(table), bool)
    for name, values in labels.items():
        found = (
            pc.index_in(table[name], value_set=pa.array(values, pa.string()))
            .fill_null(-1)
            .to_numpy()
        )
        inside &= found >= 0
        places = places * len(values) + found
    shape = tuple(len(values) for values in labels.values())
    size = int(np.prod(shape))
    places = places[inside]
    published = np.bincount(places, minlength=size) > 0

    def total(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(places, weights[inside], minlength=size)
        return np.where(published, sums, np.nan).reshape(shape)

    return NoisyCounts(
        total(table["noisy"].to_numpy().astype(float)), total(table["stderr"].to_numpy() ** 2)
    )
