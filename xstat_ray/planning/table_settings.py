"""Reads which table is a party's: files, a table of a lake at a version, or of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xstat_ray.inputs.databases import (
    URI_PROBLEM,
    URI_REMEDY,
    DatabaseTable,
    holds_password,
    is_database,
)
from xstat_ray.inputs.lakes import Delta, Iceberg
from xstat_ray.inputs.outside import OutsideTable
from xstat_ray.inputs.section import Section

TABLE_KEYS = ("path", "format", "version", "table", "query")
"""Keys of a party's data that tell which table it is."""
FORMATS = ("files", "delta", "iceberg")
"""What may lie where a party's data is."""


def read_table(section: Section) -> str | OutsideTable:
    """Read which table is a party's: files, a table of a lake at a version, or of a database.

    Args:
        section: the party's data.

    Raises:
        StudyError: an unknown or missing key, keys that do not go together, or a URI with a
            password; names the key.
    """
    path = section.text("path")
    without_passwords(section, "path", (path,))
    form = section.choice("format", FORMATS, FORMATS[0])
    version = None if section.get("version") is None else section.whole("version", 0, least=0)
    table = section.optional_text("table")
    query = section.optional_text("query")
    database = is_database(path)
    if version is not None and form == "files":
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
    if database and form != "files":
        raise section.error("a database has no other format", "format", remedy="Leave it out")
    if database and bool(table) == bool(query):
        raise section.error("a database needs one of table and query", "table")
    if database:
        return DatabaseTable(path, table, query)
    tables: Mapping[str, type[Delta] | type[Iceberg]] = {"delta": Delta, "iceberg": Iceberg}
    return section.location("path").uri if form == "files" else tables[form](path, version)


def without_passwords(section: Section, name: str, uris: Sequence[str]) -> Sequence[str]:
    """Refuse paths and URIs that hold a password; returns them otherwise.

    Raises:
        StudyError: one does; names the key, and repeats nothing of it.
    """
    # Other URIs are those of object stores, which refuse credentials themselves.
    if any(holds_password(uri) for uri in uris if is_database(uri) or "://" not in uri):
        raise section.error(URI_PROBLEM, name, remedy=URI_REMEDY)
    return uris
