"""The files of a table: which there are, and what their names tell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from xstat_ray.errors import InputError

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
    """When, in nanoseconds since 1970."""


@dataclass(frozen=True)
class TableFile:
    """One file of a table."""

    path: Path
    name: str
    """Path relative to the table's folder, with '/'."""
    format: str
    partitions: Mapping[str, str | None]
    """Values that the names of folders give (`date=2024-01-01/`), as text by column; None is
    null."""
    stamp: Stamp
    """As it was when the files were listed."""


def list_files(path: Path | str) -> tuple[TableFile, ...]:
    """List the files of a table: `path` itself, or all below it in the order of their names.

    Files and folders whose name begins with '.' or '_' (`_SUCCESS`, `_metadata`) are left out.

    Raises:
        InputError: nothing there, no files, a file of unknown format, or files of several formats.
    """
    root = Path(path)
    if root.is_file():
        return (_table_file(root, root.name),)
    if not root.is_dir():
        raise InputError(
            "no such file or folder", file=str(path), remedy="Check the path of the table"
        )
    inside = [(p, p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
    visible = [
        (p, name.as_posix())
        for p, name in inside
        if not any(part[0] in "._" for part in name.parts)
    ]
    files = tuple(_table_file(p, name) for p, name in sorted(visible, key=lambda pair: pair[1]))
    if not files:
        raise InputError(
            "the folder holds no files", file=str(path), remedy=f"Put {_KNOWN} files there"
        )
    for file in files:
        if file.format != files[0].format:
            raise InputError(
                f"the table's files have different formats, {files[0].format} and {file.format}",
                file=str(file.path),
                remedy="Keep the files of one table in one format",
            )
    return files


def stamp_of(path: Path) -> Stamp:
    """Look up the size of a file and when it was changed; nothing fits a file that is gone."""
    try:
        found = path.stat()
    except OSError:
        return Stamp(-1, 0)
    return Stamp(found.st_size, found.st_mtime_ns)


_KNOWN = "Parquet (.parquet), Arrow (.arrow, .feather) or CSV (.csv, .csv.gz)"


def _table_file(path: Path, name: str) -> TableFile:
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


def _partition_value(path: Path, written: str) -> str | None:
    """Read the value in the name of a folder; None is null."""
    if written == _NULL_PARTITION:
        return None
    try:
        value = unquote(written, errors="strict")
        # A name of bytes that are not UTF-8 holds what no text can.
        value.encode()
    except UnicodeError:
        # Names that were repaired could become equal, and with them two people one.
        shown = os.fsencode(path.parent).decode(errors="backslashreplace")
        raise InputError(
            "the name of a folder is not UTF-8", file=shown, remedy="Rename it"
        ) from None
    return value
