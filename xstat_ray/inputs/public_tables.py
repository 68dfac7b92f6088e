"""Public tables that domains are taken from: a file beside the study, or a registered reference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.errors import InputError, StudyError
from xstat_ray.inputs.clean_text import VALUE_NULL_WORDS, tidy
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.table_options import TableOptions
from xstat_ray.inputs.table_walk import shown
from xstat_ray.inputs.tables import open_table
from xstat_ray.util.location import Location

REFERENCES = "xstat_ray.references"
"""Group of entry points under which packages register reference tables.

The name of an entry point is what a study writes as `reference`; its object is a function without
arguments that returns a `pyarrow.Table`.
"""


FILE_FIELDS = ("encoding", "delimiter", "format", "multiline")
"""Fields of a dimension that tell how its file is read."""


class PublicTable:
    """The rows of a public table that a dimension uses, read column by column as text."""

    def __init__(self, section: Section, folder: Path) -> None:
        """Open the table that a dimension names as `file` or `reference`, and apply its `only`.

        Args:
            section: the dimension.
            folder: folder that a relative path of `file` starts from; the current folder comes
                second.

        Raises:
            StudyError: `only` is malformed, names a column that is missing, or leaves no row.
        """
        self._section = section
        self._folder = folder
        self._rows: NDArray[np.bool_] | None = None
        only = section.get("only")
        if only is None:
            return
        if not isinstance(only, Mapping) or not only:
            raise section.error("only is not a mapping of column to list of values", "only")
        columns = section.at(only, "only", [str(name) for name in only])
        kept = [self._have(columns, name) for name in map(str, only)]
        rows = np.logical_and.reduce(kept)
        if not rows.any():
            raise section.error("no row of the public table has these values", "only")
        self._rows = rows

    def _have(self, only: Section, name: str) -> NDArray[np.bool_]:
        """(N,) whether a row has one of the values that `only` lists for a column.

        Raises:
            StudyError: a value is in no row.
        """
        values = self.column(name)
        known = set(values)
        listed = [str(value) for value in only.items(name)]
        absent = next((value for value in listed if value not in known), None)
        if absent is not None:
            raise only.error(
                f"no row of the public table has the value {absent!r}",
                name,
                remedy="Write the value as it stands there; codes may begin with 0",
            )
        return np.isin(values, listed)

    def column(self, name: str) -> list[str]:
        """Read the values of one column, in the order of the table.

        Raises:
            StudyError: there is no such reference, or two packages register it; the table cannot be
                read, has no such column, or holds an empty value (the error names the row).
        """
        values = (
            self._reference(name)
            if self._section.get("reference") is not None
            else self._file(name)
        )
        return values if self._rows is None else np.array(values, object)[self._rows].tolist()

    def _reference(self, column: str) -> list[str]:
        table = self._reference_table
        if column not in table.column_names:
            name = self._section.text("reference")
            remedy = f"It has {', '.join(table.column_names)}"
            raise self._section.error(
                f"the reference {name!r} has no column {column!r}", remedy=remedy
            )
        texts: list[str] = pc.cast(table[column], pa.string()).to_pylist()
        return texts

    @cached_property
    def _reference_table(self) -> pa.Table:
        name = self._section.text("reference")
        registered = entry_points(group=REFERENCES)
        found = tuple(registered.select(name=name))
        if not found:
            known = ", ".join(sorted(registered.names)) or "none"
            raise self._section.error(
                f"no package registers a reference {name!r}",
                "reference",
                remedy=f"Registered are: {known}",
            )
        if len(found) > 1:
            packages = " and ".join(sorted(entry.dist.name for entry in found if entry.dist))
            raise self._section.error(
                f"the reference {name!r} is registered by {packages}",
                "reference",
                remedy="Uninstall all but one of them",
            )
        return found[0].load()()

    def _location(self) -> Location:
        """Find where the file lies; a relative path starts from the study's folder."""
        location = self._section.location("file")
        if not location.is_local:
            return location
        beside = self._folder / location.local
        return Location.of(next((p for p in (beside, location.local) if p.exists()), beside))

    def _file(self, column: str) -> list[str]:
        key = self._section.path("file")
        path = self._location()
        try:
            given = {name: self._section.optional_text(name) for name in FILE_FIELDS}
            settings = cast(Any, {name: text for name, text in given.items() if text})
            options = TableOptions(**settings, in_study=True)
            chunks = open_table(path, values=(column,), options=options).chunks()
            values = [
                value
                for chunk in chunks
                for value in chunk.columns[column].cast("string").to_pylist()
            ]
        except InputError as error:
            raise StudyError(
                error.problem,
                file=error.file,
                key=key if error.key is None else self._section.path(error.key),
                column=error.column,
                row=error.row,
                remedy=error.remedy,
            ) from None
        meant = tidy(pa.array(values, pa.string())).to_pylist()
        for row, (value, as_meant) in enumerate(zip(values, meant, strict=True), start=1):
            if (fault := _fault(value, as_meant)) is not None:
                problem, remedy = fault
                raise StudyError(
                    problem, file=shown(path), key=key, column=column, row=row, remedy=remedy
                )
        return values


def _fault(value: str | None, meant: str | None) -> tuple[str, str] | None:
    """Problem and remedy of a value that no domain can have; None for others."""
    if value is None or meant == "":
        return "an empty value", _LEAVE_OUT
    if meant is None:
        return "a number that has lost digits", f"Export the column as text. {_LISTED}"
    if meant in VALUE_NULL_WORDS:
        return "a word that tools write where there is no value", _LISTED
    if "\0" in value:
        return "a value with a zero byte in it", "Write the file again"
    return None


_LEAVE_OUT = "Leave the row out"
_LISTED = f"{_LEAVE_OUT}; if it is a value, list it under values or groups"
