"""The files of a table: which there are, and what their names tell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

from xstat_ray.errors import InputError
from xstat_ray.util.location import Location
from xstat_ray.util.object_stores import Store
from xstat_ray.util.threads import each_waiting

T = TypeVar("T")
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    ".csv": "csv",
    ".csv.gz": "csv",
}
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class Stamp(NamedTuple):
    """By what a change of a file is noticed without reading it."""

    size: int
    """In bytes."""
    changed: int
    """When, in nanoseconds since 1970; 0 in an object store."""
    version: str = ""
    """What an object store changes with each version of an object; empty on a disk."""


@dataclass(frozen=True)
class TableFile:
    """One file of a table."""

    path: Location
    name: str
    """Path relative to the table's folder, with '/'."""
    format: str
    partitions: Mapping[str, str | None]
    """Values that the names of folders give (`date=2024-01-01/`), as text by column; None is
    null."""
    stamp: Stamp
    """As it was when the files were listed."""


def list_files(path: Location | Path | str) -> tuple[TableFile, ...]:
    """List the files of a table: `path` itself, or all below it in the order of their names.

    Files and folders whose name begins with '.' or '_' (`_SUCCESS`, `_metadata`) are left out.

    Raises:
        InputError: nothing there, no files, a file of unknown format, or files of several formats.
    """
    root = Location.of(path)
    found = _on_disk(root.local) if root.store is None else _stored(root, root.store)
    if found is None:
        raise InputError(
            "no such file or folder", file=str(root), remedy="Check the path of the table"
        )
    if [file for file, _ in found] == [root]:
        return _table_files(found)
    visible = [
        (file, name)
        for file, name in sorted(found, key=lambda pair: pair[1])
        if not any(part[0] in "._" for part in name.split("/"))
    ]
    files = _table_files(visible)
    if not files:
        raise InputError(
            "the folder holds no files", file=str(root), remedy=f"Put {_KNOWN} files there"
        )
    for file in files:
        if file.format != files[0].format:
            raise InputError(
                f"the table's files have different formats, {files[0].format} and {file.format}",
                file=str(file.path),
                remedy="Keep the files of one table in one format",
            )
    return files


def _on_disk(root: Path) -> list[tuple[Location, str]] | None:
    """List the files at or below a path with their names relative to it; None without a path."""
    if root.is_file():
        return [(Location.of(root), root.name)]
    if not root.is_dir():
        return None
    inside = [path for path in root.rglob("*") if path.is_file()]
    return [(Location.of(path), path.relative_to(root).as_posix()) for path in inside]


def _stored(root: Location, store: Store) -> list[tuple[Location, str]] | None:
    """List the files at or below a place in an object store; None where there is nothing."""
    files = [Location(info.path, store) for info in store.list_files(root.inside)]
    if not files:
        return None
    if files == [root]:
        return [(root, root.name)]
    above = len(root.inside.rstrip("/")) + 1
    return [(file, file.inside[above:]) for file in files]


def _table_files(found: Sequence[tuple[Location, str]]) -> tuple[TableFile, ...]:
    """Look at files; those of an object store many at a time, as each takes a request."""
    if not found or found[0][0].is_local:
        return tuple(_table_file(file, name) for file, name in found)
    return tuple(each_waiting(lambda pair: _table_file(*pair), found))


def each_file(work: Callable[[TableFile], T], files: Sequence[TableFile]) -> Iterable[T]:
    """Work on each file, in order; on those of an object store many at a time."""
    local = all(file.path.is_local for file in files)
    return map(work, files) if local else each_waiting(work, files)


_GONE = Stamp(-1, 0)


def stamp_of(path: Location) -> Stamp:
    """Look up the size of a file and when it was changed; nothing fits a file that is gone."""
    if path.store is not None:
        stored = path.store.version(path.inside)
        return _GONE if stored is None else Stamp(stored.size, 0, stored.mark)
    try:
        found = path.local.stat()
    except OSError:
        return _GONE
    return Stamp(found.st_size, found.st_mtime_ns)


_KNOWN = "Parquet (.parquet), Arrow (.arrow, .feather) or CSV (.csv, .csv.gz)"


def _table_file(path: Location, name: str) -> TableFile:
    kind = next(
        (kind for suffix, kind in FORMATS.items() if path.name.lower().endswith(suffix)), None
    )
    if kind is None:
        raise InputError(
            "not a table file", file=str(path), remedy=f"Use {_KNOWN}, or begin its name with '_'"
        )
    pairs = [part.split("=", 1) for part in name.split("/")[:-1] if "=" in part]
    return TableFile(
        path,
        name,
        kind,
        {key: _partition_value(path, value) for key, value in pairs},
        stamp_of(path),
    )


def _partition_value(path: Location, written: str) -> str | None:
    """Read the value in the name of a folder; None is null."""
    if written == _NULL_PARTITION:
        return None
    try:
        value = unquote(written, errors="strict")
        # A name of bytes that are not UTF-8 holds what no text can.
        value.encode()
    except UnicodeError:
        # Names that were repaired could become equal, and with them two people one.
        shown = os.fsencode(path.local.parent).decode(errors="backslashreplace")
        raise InputError(
            "the name of a folder is not UTF-8", file=shown, remedy="Rename it"
        ) from None
    return value
