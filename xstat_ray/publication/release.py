"""A release: what one publication consists of, and its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from xstat_ray.errors import InputError
from xstat_ray.util.files import unwritable, write_whole

STATISTICS = "statistics.parquet"
STATISTICS_CSV = "statistics.csv"
AREAS = "areas.parquet"
AREAS_CSV = "areas.csv"
PLAN = "plan.json"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Release:
    """One publication of a study: its statistics, how they came about, and what they cost."""

    statistics: pa.Table
    """One row per (cell, slot): the row dimensions, the column dimensions, `noisy` int64
    (unbiased), `estimate` int64 (refined), `low95` and `high95` float64 (its interval), `stderr`
    float64 of `noisy`, `suppressed` bool; `smoothed` int64 (biased) if the study asks for it.
    Estimate, interval and smoothed are null where suppressed."""
    areas: pa.Table
    """One row per (reporting area, slot): `level` and `area`, the column dimensions, `unbiased`
    float64 (least squares over all that was measured), `estimate` int64 (refined; the published
    cells add up to it), `low95` and `high95` float64 (its interval), `stderr` float64 of
    `unbiased`, `suppressed` bool. Estimate and interval are null where suppressed."""
    manifest: dict[str, Any]
    """How the release came about; the content of manifest.json."""
    plan: dict[str, Any]
    """The plan that was run; the content of plan.json."""
    path: Path | None = None
    """Folder that holds the files, if any."""


def write(release: Release, folder: Path) -> None:
    """Write the files of a release, each whole or not at all, the statistics last.

    Raises:
        InputError: the disk is full or the folder cannot be written to; no file of statistics
            remains.
    """
    tables = table_files(release.statistics, release.areas)
    try:
        write_whole(folder / PLAN, json_bytes(release.plan))
        write_whole(folder / MANIFEST, json_bytes(release.manifest))
        for name, content in tables.items():
            write_whole(folder / name, content)
    except OSError as error:
        for name in (*tables, MANIFEST):
            (folder / name).unlink(missing_ok=True)
        raise unwritable(folder, error) from None


def read(folder: Path) -> Release:
    """Read the release that a folder holds.

    Raises:
        InputError: no release can be read there.
    """
    try:
        statistics = pq.read_table(folder / STATISTICS)
        areas = pq.read_table(folder / AREAS)
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        plan = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError, pa.ArrowException):
        raise InputError("no release can be read from the folder", file=str(folder)) from None
    return Release(statistics, areas, dict(manifest), dict(plan), folder)


def table_files(statistics: pa.Table, areas: pa.Table) -> dict[str, bytes]:
    """Encode both tables, by file; the one whose presence marks a release comes last."""
    tables = {AREAS: areas, AREAS_CSV: areas, STATISTICS_CSV: statistics, STATISTICS: statistics}
    return {
        name: csv_bytes(table) if name.endswith(".csv") else parquet_bytes(table)
        for name, table in tables.items()
    }


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Encode a published JSON file: UTF-8, indented by two."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def csv_bytes(table: pa.Table) -> bytes:
    """Encode a published table as CSV, with its metadata in comments above the header."""
    sink = pa.BufferOutputStream()
    if table.schema.metadata:
        sink.write(b"".join(b"# %s: %s\n" % item for item in table.schema.metadata.items()))
    pa_csv.write_csv(table, sink)
    return bytes(sink.getvalue())


def parquet_bytes(table: pa.Table) -> bytes:
    """Encode a published table as Parquet."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())
