"""Folders that only a log makes a table: read as plain files they hold rows that were deleted.

Delta, Iceberg and Hudi keep old versions of files beside the current ones, and a log tells which of
them count. The same holds for folders to which Spark writes a stream, for transactional tables of
Hive, and for folders to which a job is still writing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_options import TableOptions
from xstat_ray.util.location import Location

_MARKS = {
    "_delta_log": "a Delta table",
    ".hoodie": "a Hudi table",
    ".hoodie_partition_metadata": "a part of a Hudi table",
    "_spark_metadata": "written by a stream of Spark",
    "_temporary": "still being written, or was left unfinished",
}
_ICEBERG = "an Iceberg table"
_METADATA = re.compile(r"metadata\.json(\.gz)?$|^version-hint\.text$")
_TRANSACTION = re.compile(r"(delete_)?delta_\d+_\d+(_\d+)?|base_\d+(_v\d+)?")
_LEVELS = 8
"""Folders above a table that are looked at."""


def lake_kind(folder: Path, names: Collection[str]) -> str | None:
    """Tell what a folder is if its files alone do not make a table.

    Args:
        folder: the folder.
        names: names of all that it holds.
    """
    kind = next((kind for mark, kind in _MARKS.items() if mark in names), None)
    if kind is not None:
        return kind
    if "metadata" in names and _is_iceberg(folder / "metadata"):
        return _ICEBERG
    if any(_TRANSACTION.fullmatch(name) for name in names):
        return "a transactional table of Hive"
    return None


def refuse_lake(folder: Path, names: Collection[str], shown: str, options: TableOptions) -> None:
    """Refuse a folder whose files alone do not make a table.

    Raises:
        InputError: it is one.
    """
    kind = lake_kind(folder, names)
    if kind is not None:
        raise _not_alone(kind, shown, options)


def _not_alone(kind: str, shown: str, options: TableOptions) -> InputError:
    form = _FORMATS.get(kind)
    remedy = _REMEDIES.get(kind, _EXPORT)
    if form is not None and not options.in_study:
        listed = f"{options.setting('exclude=')}{{path: FOLDER, format: {form}}}"
        remedy = (
            f"Set {options.setting(f'format={form}')}, or, where it lists people to leave out, "
            f"'{listed}' in quotes"
        )
    return InputError(
        f"the folder is {kind}: which of its files count, only its log tells",
        file=shown,
        remedy=remedy,
    )


def refuse_part_of_lake(path: Path, shown: str, options: TableOptions) -> None:
    """Refuse files and folders that lie inside such a table.

    Raises:
        InputError: one of the folders above is such a table.
    """
    for folder in list(path.absolute().parents)[:_LEVELS]:
        names = [mark for mark in _MARKS if os.path.lexists(folder / mark)]
        if _is_iceberg(folder / "metadata"):
            names.append("metadata")
        # Other jobs may write beside a table.
        refuse_lake(folder, [name for name in names if name != "_temporary"], shown, options)


def refuse_stored_lake(root: Location, names: Iterable[str], options: TableOptions) -> None:
    """Refuse a folder of an object store, by the names of all files in it, with '/'.

    Raises:
        InputError: the folder, or one in it, is such a table.
    """
    for name in names:
        parts = name.split("/")
        inside = [part for part in parts[:-1] if part in _MARKS or _TRANSACTION.fullmatch(part)]
        if inside:
            refuse_lake(Path(), inside, str(root), options)
        if "metadata" in parts[:-1] and _METADATA.search(parts[-1]):
            raise _not_alone(_ICEBERG, str(root), options)


def _is_iceberg(folder: Path) -> bool:
    try:
        return any(_METADATA.search(path.name) for path in folder.iterdir())
    except OSError:
        return False


_EXPORT = "Write its current rows to a folder of Parquet files, and read that"
_FORMATS = {"a Delta table": "delta", _ICEBERG: "iceberg"}
_REMEDIES = {
    "still being written, or was left unfinished": "Wait for the job that writes it, or run it "
    "again; remove _temporary if it is a leftover",
}
