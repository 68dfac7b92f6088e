"""Copies what is no file of a party's source into files for the party alone, while a run lasts.

The copies are whole or are made again: a marker is written last.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from xstat_ray.errors import InputError
from xstat_ray.inputs.composite_ids import columns_of as parts_of
from xstat_ray.inputs.outside import OutsideTable
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.stream_copy import copy, writing
from xstat_ray.inputs.table_columns import ColumnUse
from xstat_ray.model.study import ColumnSide, Role, RowSide, Study
from xstat_ray.util.files import write_whole

SPOOL = "table"
"""Name of the folder of a copy, in a party's private folder."""
RECORD = "table.json"
"""File in a party's private folder that tells what was copied, and which version of it."""
_COMPLETE = "complete.json"


@contextmanager
def spooled(study: Study, role: Role, source: Source, folder: Path) -> Iterator[Source]:
    """Copy what is no file of a source, and remove the copy at the end, errors included.

    Args:
        study: tells which columns are copied.
        role: whose source it is.
        source: the party's table and lists.
        folder: where the copy lies, a folder for this alone; what an earlier run left is removed.

    Yields:
        The source with the copies in place of what is no file.

    Raises:
        InputError: see `fill`.
    """
    remove(folder)
    try:
        yield fill(study, role, source, folder)
    finally:
        remove(folder)


def fill(study: Study, role: Role, source: Source, folder: Path) -> Source:
    """Copy what is no file of a source, unless a whole copy is there.

    Returns:
        The source with the copies in place of what is no file.

    Raises:
        InputError: a table cannot be read or has no rows, a column is missing or of a type that its
            use does not accept, the copy that is there is of another table, or the disk is full.
    """
    tables: dict[str, object] = {"table": source.table}
    tables |= {f"exclude-{i}": path for i, path in enumerate(source.excludes, start=1)}
    outside = {name: table for name, table in tables.items() if isinstance(table, OutsideTable)}
    if not outside:
        return source
    wanted = {name: table.identity() for name, table in outside.items()}
    marker = folder / _COMPLETE
    if not marker.exists():
        remove(folder)
        with writing(folder):
            folder.mkdir(mode=0o700, parents=True)
        versions = {}
        for name, table in outside.items():
            listed = name != "table"
            uses = columns_of(study, role)
            ids = {key: use for key, use in uses.items() if use == "id"}
            version = copy(table, ids if listed else uses, folder / name, may_be_empty=listed)
            versions[name] = {"read": str(table), "version": version or None}
        with writing(folder):
            record = (json.dumps(versions, indent=2) + "\n").encode()
            write_whole(folder.parent / RECORD, record, mode=0o600)
            write_whole(marker, json.dumps(wanted).encode(), mode=0o600)
    elif json.loads(marker.read_text()) != wanted:
        raise InputError(
            "the run was begun with another table",
            file=str(source.table),
            remedy="Name the table, version and query that it was begun with, or begin a new run",
        )
    return replace(
        source,
        table=folder / "table" if "table" in outside else source.table,
        exclude=tuple(
            folder / f"exclude-{i}" if f"exclude-{i}" in outside else path
            for i, path in enumerate(source.excludes, start=1)
        ),
    )


def remove(folder: Path) -> None:
    """Remove a copy, whole or not."""
    shutil.rmtree(folder, ignore_errors=True)


def columns_of(study: Study, role: Role) -> dict[str, ColumnUse]:
    """List the columns that a study reads of a party's table, with their uses."""
    side = study.row if role == "row" else study.column
    uses: dict[str, ColumnUse] = {dimension.column: "value" for dimension in side.dimensions}
    times = [side.time] if side.time else []
    if isinstance(side, ColumnSide) and side.windows:
        times = [window.anchor for window in side.windows]
    for name in times:
        uses[name] = "time"
    if isinstance(side, RowSide) and side.weight:
        uses[side.weight] = "number"
    return uses | dict.fromkeys(parts_of(side.id), "id")
