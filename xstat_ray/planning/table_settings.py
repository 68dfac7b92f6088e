"""Reads which table is a party's: files, a table of a lake at a version, or of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from xstat_ray.errors import InputError
from xstat_ray.inputs.databases import (
    URI_PROBLEM,
    URI_REMEDY,
    DatabaseTable,
    holds_password,
    is_database,
)
from xstat_ray.inputs.lake_stores import LakeStore
from xstat_ray.inputs.lakes import Delta, Iceberg
from xstat_ray.inputs.outside import OutsideTable
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.table_files import Paths
from xstat_ray.inputs.table_options import FORMAT_NAMES, TableOptions
from xstat_ray.util.location import LocationLike

TABLE_KEYS = ("path", "format", "version", "table", "query")
"""Keys of a party's data that tell which table it is."""
FILE_KEYS = ("encoding", "delimiter", "int96", "multiline")
"""Further keys of a table of files; `format` may tell what they are, too."""
FORMATS = ("files", "delta", "iceberg", *FORMAT_NAMES)
"""What may lie where a party's data is."""


def read_table(section: Section) -> Paths | OutsideTable:
    """Read which table is a party's: files, a table of a lake at a version, or of a database.

    Args:
        section: the party's data.

    Raises:
        StudyError: an unknown or missing key, keys that do not go together, or a URI with a
            password; names the key.
    """
    paths = section.texts("path") or (section.text("path"),)
    without_passwords(section, "path", paths)
    form = section.choice("format", FORMATS, FORMATS[0])
    of_files = form not in ("delta", "iceberg")
    if len(paths) > 1 and of_files and not any(map(is_database, paths)):
        return tuple(place.uri for place in section.locations("path"))
    if len(paths) > 1:
        raise section.error("only tables of files have several paths", "path")
    path = paths[0]
    version = None if section.get("version") is None else section.whole("version", 0, least=0)
    table = section.optional_text("table")
    query = section.optional_text("query")
    database = is_database(path)
    if version is not None and of_files:
        raise section.error(
            "only a table of a lake has versions",
            "version",
            remedy="Set format to delta or iceberg",
        )
    if not database and (table or query):
        raise section.error(
            "only a database has tables and queries",
            "table" if table else "query",
            remedy=f"Set {section.path('path')} to postgresql://USER@HOST/DATABASE or sqlite:FILE",
        )
    if database and form != FORMATS[0]:
        raise section.error("a database has no other format", "format", remedy="Leave it out")
    if database and bool(table) == bool(query):
        raise section.error("a database needs one of table and query", "table")
    if database:
        return DatabaseTable(path, table, query)
    tables: Mapping[str, type[Delta] | type[Iceberg]] = {"delta": Delta, "iceberg": Iceberg}
    if of_files:
        return section.locations("path")[0].uri
    try:
        LakeStore.of(path)
    except InputError as error:
        raise section.error(error.problem, "path", remedy=error.remedy) from None
    return tables[form](path, version)


def read_excluded(section: Section) -> list[LocationLike | OutsideTable]:
    """Read which tables of people to leave out a party has.

    Each is a path, or a mapping with the keys of a table of a lake or a database, such as
    `{path: lake/optout, format: delta}`.

    Raises:
        StudyError: something else, or a URI with a password; names the key.
    """
    given = section.get("exclude")
    listed = given if isinstance(given, list | tuple) else [given]
    if not any(isinstance(one, Mapping) for one in listed):
        without_passwords(section, "exclude", section.texts("exclude"))
        return [location.uri for location in section.locations("exclude")]
    return [_excluded(section, number, one) for number, one in enumerate(listed)]


def _excluded(section: Section, number: int, given: object) -> LocationLike | OutsideTable:
    """Read one of several tables of people to leave out."""
    name = f"exclude[{number}]"
    entry = section.at(given if isinstance(given, Mapping) else {"path": given}, name, TABLE_KEYS)
    table = read_table(entry)
    if isinstance(table, OutsideTable):
        return table
    if entry.get("format") is not None:
        raise section.error(
            "how files are read is set for all of a party's files",
            f"{name}.format",
            remedy=f"Leave it out, or set {section.path('format')}",
        )
    if not isinstance(table, LocationLike):
        raise section.error("each entry has one path", f"{name}.path")
    return table


def read_file_options(section: Section) -> TableOptions:
    """Read how the files of a table are read.

    Raises:
        StudyError: a value that the setting cannot have; names the key.
    """
    given = {key: section.text(key) for key in FILE_KEYS if section.get(key) is not None}
    if section.get("format") in FORMAT_NAMES:
        given["format"] = section.text("format")
    try:
        return TableOptions(**cast(Any, given), section=section.key)
    except InputError as error:
        raise section.error(error.problem, error.key, remedy=error.remedy) from None


def without_passwords(section: Section, name: str, uris: Sequence[str]) -> Sequence[str]:
    """Refuse paths and URIs that hold a password; returns them otherwise.

    Raises:
        StudyError: one does; names the key, and repeats nothing of it.
    """
    # Other URIs are those of object stores, which refuse credentials themselves.
    if any(holds_password(uri) for uri in uris if is_database(uri) or "://" not in uri):
        raise section.error(URI_PROBLEM, name, remedy=URI_REMEDY)
    return uris
