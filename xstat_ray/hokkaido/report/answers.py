"""The tables of `xstat-ray needs` that a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.needs.publication import read_json, spoiled, stamped
from xstat_ray.hokkaido.needs.report import SOURCES
from xstat_ray.hokkaido.report.data import KEY

TABLES = {
    "needs": ("code", "rank", "need", "need_low95", "need_high95", "visitors", "main_airport"),
    "hours": ("code", "hour", "visitors", "stderr"),
    "watershed": ("code", "airport", "share", "low95", "high95"),
    "opening": ("code", "before", "after", "change", "low95", "high95", "changed"),
}
"""Columns that a report needs, by table."""
BOARDING = ("airport", "flight", "before", "state", "share", "low95", "high95")
"""Columns of the table that exists only if the study of boarding was given."""
REMEDY = "Make one with: xstat-ray needs out=..."


@dataclass(frozen=True)
class Answers:
    """Tables of `xstat-ray needs` by name, and what they were made of."""

    folder: Path
    tables: Mapping[str, pa.Table]
    facts: Mapping[str, Any]
    """Sources and assumptions."""
    noise_free: bool


def is_answers(folder: Path) -> bool:
    """Whether a folder is an output of `xstat-ray needs`."""
    return (folder / SOURCES).is_file()


def read_answers(folder: Path) -> Answers:
    """Read the output folder of `xstat-ray needs`.

    Raises:
        InputError: a file is missing or not what it should be, or they contradict each other about
            the noise.
    """
    facts = read_json(folder / SOURCES, key=KEY, remedy=REMEDY)
    wanted = TABLES | ({"boarding": BOARDING} if (folder / "boarding.parquet").exists() else {})
    tables = {name: _table(folder / f"{name}.parquet", columns) for name, columns in wanted.items()}
    off = bool(facts.get("noise_free"))
    for name, table in tables.items():
        if stamped(table) != off:
            file = folder / f"{name}.parquet"
            raise spoiled(file, KEY, "the files contradict each other about the noise")
    return Answers(folder, tables, {key: facts.get(key) for key in ("sources", "assumptions")}, off)


def _table(file: Path, columns: tuple[str, ...]) -> pa.Table:
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException):
        raise InputError(
            "the file cannot be read as Parquet", file=str(file), key=KEY, remedy=REMEDY
        ) from None
    for name in columns:
        if name not in table.column_names:
            raise InputError(
                "the table has no such column", file=str(file), key=KEY, column=name, remedy=REMEDY
            )
    return table
