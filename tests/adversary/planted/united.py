"""Parties that tell row parties, or of them, more than they should, and flags encrypted once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from xstat_ray.model.messages import Flags
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.link import Link

HONEST_TERMS = RowParty.tell_terms
HONEST_CONSENT = RowParty.consent
HONEST_SESSIONS = RowParty.tell_sessions
HONEST_ACCEPT = RowParty.accept_sessions
HONEST_ADMIT = ColumnParty.admit
HONEST_DEBIT = ColumnParty.tell_debit_to_others
HONEST_DEBITS = RowParty.accept_all_debits
Table = list[list[Any]]
"""Ids, and what else is in a table."""


def terms_with_persons(self: RowParty, other: str) -> tuple[bytes, NDArray[np.uint8]]:
    """Send another row party hashes of this one's people too."""
    return HONEST_TERMS(self, other), self._exchange._items


def consent_with_persons(self: RowParty, told: tuple[bytes, NDArray[np.uint8]]) -> list[bytes]:
    """Take them."""
    terms, _ = told
    return HONEST_CONSENT(self, terms)


def encrypted_once() -> Callable[..., Flags]:
    """Emit the same ciphertexts for all row parties, with the tags of each."""
    honest = ColumnParty.emit
    kept: dict[tuple[int, int], Flags] = {}

    def emit(
        self: ColumnParty, batch: int, part: int, rows: range, packing: Any, *row_party: str
    ) -> Flags:
        made: Flags = honest(self, batch, part, rows, packing, *row_party)
        first = kept.setdefault((batch, part), made)
        return replace(made, ciphertexts=first.ciphertexts)

    return emit


def table_of(party: Link) -> Table:
    """All that a party's table says."""
    path: Any = party._source.table
    return [values.to_pylist() for values in pq.read_table(path).columns]


def row_parties_tell_the_first(patch: pytest.MonkeyPatch) -> None:
    """All row parties tell the first their tables, with their sessions."""

    def tell_sessions(self: RowParty) -> tuple[bytes, Table]:
        return HONEST_SESSIONS(self), table_of(self)

    def accept_sessions(self: RowParty, other: str, told: tuple[bytes, Table]) -> None:
        HONEST_ACCEPT(self, other, told[0])

    patch.setattr(RowParty, "tell_sessions", tell_sessions)
    patch.setattr(RowParty, "accept_sessions", accept_sessions)


def the_first_tells_row_parties(patch: pytest.MonkeyPatch) -> None:
    """The first row party tells the others its table, with the terms."""

    def tell_terms(self: RowParty, other: str) -> tuple[bytes, Table]:
        return HONEST_TERMS(self, other), table_of(self)

    def consent(self: RowParty, told: tuple[bytes, Table]) -> list[bytes]:
        return HONEST_CONSENT(self, told[0])

    patch.setattr(RowParty, "tell_terms", tell_terms)
    patch.setattr(RowParty, "consent", consent)


def row_parties_tell_column_parties(patch: pytest.MonkeyPatch) -> None:
    """All row parties but the first tell column parties their tables, with their consent."""

    def consent(self: RowParty, sealed: bytes) -> list[tuple[bytes, Table]]:
        return [(one, table_of(self)) for one in HONEST_CONSENT(self, sealed)]

    def admit(self: ColumnParty, *args: Any) -> bytes:
        return HONEST_ADMIT(self, *args[:3], *(sealed for sealed, _ in args[3:]))

    patch.setattr(RowParty, "consent", consent)
    patch.setattr(ColumnParty, "admit", admit)


def column_parties_tell_row_parties(patch: pytest.MonkeyPatch) -> None:
    """Column parties tell all row parties but the first their tables, with their debits."""

    def tell(self: ColumnParty, permit: bytes) -> list[tuple[bytes, Table]]:
        return [(sealed, table_of(self)) for sealed in HONEST_DEBIT(self, permit)]

    def accept(self: RowParty, told: Sequence[tuple[bytes, Table]]) -> None:
        HONEST_DEBITS(self, [sealed for sealed, _ in told])

    patch.setattr(ColumnParty, "tell_debit_to_others", tell)
    patch.setattr(RowParty, "accept_all_debits", accept)
