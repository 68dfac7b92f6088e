"""The files of a table: which there are, what their names tell, and their keyed digest."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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
_READ_BYTES = 1 << 20


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


def input_digest(path: Path | str, key: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) over the names and contents of a table's files, in hexadecimal.

    Without the key the digest tells nothing about the table. Memory is bounded, whatever the size
    of the files.

    Raises:
        InputError: `list_files` refuses the table, or a file cannot be read.
    """
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for file in list_files(path):
        name = file.name.encode()
        try:
            with file.path.open("rb") as stream:
                size = file.path.stat().st_size
                # Lengths first: no two different tables give the same bytes.
                digest.update(len(name).to_bytes(8, "little") + name + size.to_bytes(8, "little"))
                while piece := stream.read(_READ_BYTES):
                    digest.update(piece)
        except OSError as error:
            raise InputError(
                "the file cannot be read", file=str(file.path), remedy=error.strerror
            ) from None
    return digest.hexdigest()


_KNOWN = "Parquet (.parquet), Arrow (.arrow, .feather) or CSV (.csv, .csv.gz)"


def _table_file(path: Path, name: str) -> TableFile:
    kind = next(
        (kind for suffix, kind in FORMATS.items() if path.name.lower().endswith(suffix)), None
    )
    if kind is None:
        raise InputError(
            "not a table file", file=str(path), remedy=f"Use {_KNOWN}, or begin its name with '_'"
        )
    pairs = (part.split("=", 1) for part in name.split("/")[:-1] if "=" in part)
    return TableFile(
        path, name, kind, {k: None if v == _NULL_PARTITION else unquote(v) for k, v in pairs}
    )
