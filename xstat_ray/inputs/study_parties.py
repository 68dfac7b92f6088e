"""The parties of a study file: their data sets, and what one person contributes to each at most."""

from __future__ import annotations

import re

from xstat_ray.inputs.section import Section, first_duplicate
from xstat_ray.model.parties import MOST_PARTIES, ColumnTerms, total_bounds
from xstat_ray.model.study import Bounds
from xstat_ray.privacy.accounts import POOL

PARTY_FIELDS = ("name", "dataset", "boardings", "per_column", "persons")
_OF_PARTIES = ("boardings", "per_column", "persons")
"""Bounds that stand with each column party, where the study names them."""
_RESERVED = ("row", "column", "aggregator", "public", "exchange", "pool", "two_together")
"""Names that mean a role, or whoever else may learn something."""


def read_bounds(study: Section, parties: tuple[ColumnTerms, ...]) -> Bounds:
    """Read `bounds`; the defaults where it is absent.

    Args:
        study: the section of the study.
        parties: the column parties that the study names, whose bounds are added up.

    Raises:
        StudyError: a bound is no whole number of at least 1, or stands with the parties instead.
    """
    defaults = Bounds()
    if study.get("bounds") is None:
        rows = defaults.rows
        return Bounds(rows, **total_bounds(parties)) if parties else defaults
    node = study.child("bounds", ("rows", *_OF_PARTIES))
    rows = node.whole("rows", defaults.rows, least=1)
    if not parties:
        return Bounds(rows, **{n: _whole(node, n, getattr(defaults, n)) for n in _OF_PARTIES})
    for name in _OF_PARTIES:
        if node.get(name) is not None:
            remedy = "Remove it: the bounds of the parties are added up"
            raise node.error(
                f"{name} stands with each of study.column.parties", name, remedy=remedy
            )
    return Bounds(rows, **total_bounds(parties))


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
    if column.get("parties") is None:
        return ()
    nodes = column.children("parties", PARTY_FIELDS)
    if not nodes:
        raise column.error("parties is empty", "parties", remedy="Name some, or leave it out")
    if len(nodes) > MOST_PARTIES:
        raise column.error(f"there are more than {MOST_PARTIES} column parties", "parties")
    if column.get("dataset") is not None:
        remedy = "Give each party its own, or leave it out"
        raise column.error("dataset stands with each of the parties", "dataset", remedy=remedy)
    parties = tuple(_party(node, study) for node in nodes)
    for what in ("name", "dataset"):
        twice = first_duplicate(getattr(party, what) for party in parties)
        if twice is not None:
            raise column.error(f"two column parties have the {what} {twice!r}", "parties")
    return parties


def _party(node: Section, study: str) -> ColumnTerms:
    name = node.text("name")
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name) or name in _RESERVED:
        remedy = (
            "Use up to 32 lower-case letters, digits, '_' and '-', a letter first, and not "
            + ", ".join(_RESERVED)
        )
        raise node.error("name is not the plain name of a party", "name", remedy=remedy)
    dataset = read_dataset(node, f"{study}/{name}")
    defaults = Bounds()
    return ColumnTerms(
        name,
        dataset,
        **{field: _whole(node, field, getattr(defaults, field)) for field in _OF_PARTIES},
    )


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
