"""A release: what one publication consists of, and its files."""

from __future__ import annotations

import hashlib
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
from xstat_ray.util.location import Location, LocationLike

STATISTICS = "statistics.parquet"
STATISTICS_CSV = "statistics.csv"
AREAS = "areas.parquet"
AREAS_CSV = "areas.csv"
PLAN = "plan.json"
MANIFEST = "manifest.json"
PROBE = "_begun"
"""Empty file that shows, before a run starts, that an object store takes files."""
STAGING = Path(".xstat-ray/releases")
"""Folder of a disk for what is kept of releases that go into object stores."""


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
    path: Path | Location | None = None
    """Folder that holds the files, if any."""


def write(release: Release, out: LocationLike) -> None:
    """Write the files of a release, each whole or not at all.

    On a disk the statistics come last; in an object store the manifest, without which nobody takes
    the files for a release.

    Raises:
        InputError: the disk is full or the folder cannot be written to, and no file of statistics
            remains; or the object store does not take a file.
    """
    location = Location.of(out)
    tables = table_files(release.statistics, release.areas)
    if location.store is not None:
        put(location, tables | {PLAN: json_bytes(release.plan)}, json_bytes(release.manifest))
        return
    folder = location.local
    try:
        write_whole(folder / PLAN, json_bytes(release.plan))
        write_whole(folder / MANIFEST, json_bytes(release.manifest))
        for name, content in tables.items():
            write_whole(folder / name, content)
    except OSError as error:
        for name in (*tables, MANIFEST):
            (folder / name).unlink(missing_ok=True)
        raise unwritable(folder, error) from None


def put(out: Location, files: Mapping[str, bytes], manifest: bytes) -> None:
    """Put the files of a release into an object store, and its manifest once they are all there.

    Raises:
        InputError: another release is there, or the store does not take a file.
    """
    check_free(out, str(json.loads(manifest)["release"]))
    for name, content in files.items():
        (out / name).write(content)
    (out / MANIFEST).write(manifest)


def check_free(out: Location, release: str | None = None) -> None:
    """Check that a place in an object store holds no release but perhaps this one.

    Raises:
        InputError: it does, or the store cannot be used.
    """
    there = (out / MANIFEST).read()
    if there is not None and (release is None or release not in there.decode(errors="replace")):
        raise InputError(
            "the place already holds a release, which is never overwritten",
            file=str(out),
            remedy="Choose another out=, and mind that a new release spends budget again",
        )


def check_writable(out: Location) -> None:
    """Check that a release can be put into an object store, before anything is spent for it.

    Raises:
        InputError: a release is there already, or the store takes no file.
    """
    check_free(out)
    (out / PROBE).write(b"")


def staging_folder(out: Location) -> Path:
    """Return the folder of a disk where a run keeps what it needs to finish a release elsewhere.

    It lies where the default ledger does, and the same command finds it again.
    """
    name = hashlib.sha256(out.uri.encode()).hexdigest()[:16]
    return (STAGING / name).absolute()


def read(folder: LocationLike) -> Release:
    """Read the release that a folder holds, on a disk or in an object store.

    Raises:
        InputError: no release can be read there.
    """
    location = Location.of(folder)
    try:
        names = (MANIFEST, PLAN, STATISTICS, AREAS)
        contents = {name: (location / name).read() for name in names}
        if any(content is None for content in contents.values()):
            raise FileNotFoundError
        manifest, plan = (json.loads(contents[name] or b"") for name in names[:2])
        statistics, areas = (pq.read_table(pa.BufferReader(contents[name])) for name in names[2:])
    except (OSError, ValueError, pa.ArrowException):
        raise InputError("no release can be read from the folder", file=str(location)) from None
    place = location.local if location.is_local else location
    return Release(statistics, areas, dict(manifest), dict(plan), place)


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
