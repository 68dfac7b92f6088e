"""Several parties that supply the columns of one table together, or its rows.

Each has a table, a data set in a ledger and bounds of its own. A person may be in several tables,
so what one person contributes to all is bounded by sums: a bound that the parties had in common
would need one of them to learn who is in another's table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from xstat_ray.errors import ProtocolError

MOST_PARTIES = 8
"""Most column parties of a study, and most row parties."""
ONLY = "column"
"""Name of the column party where there is one."""
ONLY_ROW = "row"
"""Name of the row party where there is one."""


@dataclass(frozen=True)
class ColumnTerms:
    """What one column party contributes at most, and where its budget is kept."""

    name: str
    """Plain word by which the study tells the party from the others."""
    dataset: str
    """Name under which the party's budget is kept."""
    boardings: int = 1
    """F: rows of the party's table of one person in the whole release."""
    per_column: int = 1
    """q: rows of the party's table of one person in one column, whatever the offset."""
    persons: int = 1_000_000
    """Public upper bound on the number of distinct persons of the party."""


def total_bounds(parties: Sequence[ColumnTerms]) -> dict[str, int]:
    """Add up the bounds of several parties: those of a person who is in all of their tables."""
    names = ("boardings", "per_column", "persons")
    return {name: sum(getattr(party, name) for party in parties) for name in names}


@dataclass(frozen=True)
class RowTerms:
    """What one row party contributes at most, and where its budget is kept."""

    name: str
    """Plain word by which the study tells the party from the others."""
    dataset: str
    """Name under which the party's budget is kept."""
    rows: int = 1
    """R: rows of the party's table of one person in one period."""


TermsT = TypeVar("TermsT", ColumnTerms, RowTerms)


def named(name: str, parties: Sequence[TermsT], role: str) -> TermsT:
    """Find the terms of a party by its name.

    Raises:
        ProtocolError: there is no such party.
    """
    found = [terms for terms in parties if terms.name == name]
    if not found:
        raise ProtocolError(f"the study has no {role} party {name!r}")
    return found[0]
