"""The parties of a study file: their data sets, and what one person contributes to each at most."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xstat_ray.inputs.section import Section, first_duplicate
from xstat_ray.inputs.study_crosses import OF_ONE_PARTY, refuse_cross
from xstat_ray.model.parties import MOST_PARTIES, ColumnTerms, RowTerms, total_bounds
from xstat_ray.model.study import Bounds, Role
from xstat_ray.privacy.accounts import POOL

PARTY_FIELDS = ("name", "dataset", "boardings", "per_column", "persons")
ROW_PARTY_FIELDS = ("name", "dataset", "rows")
_OF_PARTIES = ("boardings", "per_column", "persons")
"""Bounds that stand with each column party, where the study names them."""
_RESERVED = ("row", "column", "aggregator", "public", "exchange", "pool", "two_together")
"""Names that mean a role, or whoever else may learn something."""


def read_bounds(
    study: Section, rows: tuple[RowTerms, ...], columns: tuple[ColumnTerms, ...]
) -> Bounds:
    """Read `bounds`; the defaults where it is absent.

    Args:
        study: the section of the study.
        rows: the row parties that the study names, whose bounds are added up.
        columns: the column parties that the study names, whose bounds are added up.

    Raises:
        StudyError: a bound is no whole number of at least 1, or stands with the parties instead.
    """
    defaults = Bounds()
    given = study.get("bounds") is not None
    node = study.child("bounds", ("rows", *_OF_PARTIES)) if given else None
    if columns:
        _check_absent(node, _OF_PARTIES, "study.column.parties")
        of_columns = total_bounds(columns)
    else:
        of_columns = {name: _bound(node, name, getattr(defaults, name)) for name in _OF_PARTIES}
    if not rows:
        return Bounds(_bound(node, "rows", defaults.rows), **of_columns)
    _check_absent(node, ("rows",), "study.row.parties")
    return Bounds(sum(terms.rows for terms in rows), **of_columns)


def _bound(node: Section | None, name: str, default: int) -> int:
    return default if node is None else node.whole(name, default, least=1)


def _check_absent(node: Section | None, names: Sequence[str], place: str) -> None:
    """Refuse bounds that stand with the parties."""
    for name in names:
        if node is not None and node.get(name) is not None:
            remedy = "Remove it: the bounds of the parties are added up"
            raise node.error(f"{name} stands with each of {place}", name, remedy=remedy)


def read_column_parties(column: Section, study: str) -> tuple[ColumnTerms, ...]:
    """Read `parties`, the column parties in the order in which one counts before another.

    Args:
        column: the section of the column side.
        study: name of the study.

    Returns:
        The parties, none where the study does not name them.

    Raises:
        StudyError: more than `MOST_PARTIES`, names that are no plain words or stand twice, or a
            data set that stands twice or with the column side instead.
    """
    parties = tuple(_party(node, study) for node in _nodes(column, "column", PARTY_FIELDS))
    _check_different(column, "column", parties)
    return parties


def read_row_parties(row: Section, study: str) -> tuple[RowTerms, ...]:
    """Read `parties`, the row parties, of which the first masks and un-blinds the table.

    Args:
        row: the section of the row side.
        study: name of the study.

    Returns:
        The parties, none where the study does not name them.

    Raises:
        StudyError: see `read_column_parties`.
    """
    parties = tuple(_row_party(node, study) for node in _nodes(row, "row", ROW_PARTY_FIELDS))
    _check_different(row, "row", parties)
    return parties


def check_names(study: Section, rows: Sequence[RowTerms], columns: Sequence[ColumnTerms]) -> None:
    """Refuse a row party and a column party with one name, or with one data set.

    Raises:
        StudyError: there are such two.
    """
    for what in ("name", "dataset"):
        twice = first_duplicate(getattr(party, what) for party in (*rows, *columns))
        if twice is not None:
            problem = f"a row party and a column party have the {what} {twice!r}"
            raise study.error(problem, "column.parties")


def _nodes(side: Section, role: Role, fields: Sequence[str]) -> list[Section]:
    """The sections of the parties of one side, none where the study does not name them."""
    if side.get("parties") is None:
        return []
    nodes = side.children("parties", (*fields, *OF_ONE_PARTY))
    for node in nodes:
        refuse_cross(node, OF_ONE_PARTY)
    if not nodes:
        raise side.error("parties is empty", "parties", remedy="Name some, or leave it out")
    if len(nodes) > MOST_PARTIES:
        raise side.error(f"there are more than {MOST_PARTIES} {role} parties", "parties")
    if side.get("dataset") is not None:
        remedy = "Give each party its own, or leave it out"
        raise side.error("dataset stands with each of the parties", "dataset", remedy=remedy)
    return nodes


def _check_different(side: Section, role: Role, parties: Sequence[ColumnTerms | RowTerms]) -> None:
    for what in ("name", "dataset"):
        twice = first_duplicate(getattr(party, what) for party in parties)
        if twice is not None:
            raise side.error(f"two {role} parties have the {what} {twice!r}", "parties")


def _party(node: Section, study: str) -> ColumnTerms:
    name = _name(node)
    defaults = Bounds()
    return ColumnTerms(
        name,
        read_dataset(node, f"{study}/{name}"),
        **{field: _whole(node, field, getattr(defaults, field)) for field in _OF_PARTIES},
    )


def _row_party(node: Section, study: str) -> RowTerms:
    name = _name(node)
    return RowTerms(
        name, read_dataset(node, f"{study}/{name}"), _whole(node, "rows", Bounds().rows)
    )


def _name(node: Section) -> str:
    """Read the name of a party."""
    name = node.text("name")
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name) or name in _RESERVED:
        remedy = (
            "Use up to 32 lower-case letters, digits, '_' and '-', a letter first, and not "
            + ", ".join(_RESERVED)
        )
        raise node.error("name is not the plain name of a party", "name", remedy=remedy)
    return name


def _whole(node: Section, name: str, default: int) -> int:
    return node.whole(name, default, least=1)


def read_dataset(section: Section, default: str) -> str:
    """Read `dataset`, the name under which a party's budget is kept.

    Raises:
        StudyError: not a text, or a name that the ledger uses itself.
    """
    name = section.text("dataset", default)
    if name.endswith(POOL):
        remedy = f"The ledger keeps what the compute pool learns under names that end with {POOL}"
        raise section.error("this name is reserved for the ledger", "dataset", remedy=remedy)
    return name
