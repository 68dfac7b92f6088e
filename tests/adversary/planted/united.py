"""Row parties that tell each other more than they should, and flags that are encrypted once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.messages import Flags
from xstat_ray.roles import ColumnParty, RowParty

HONEST_TERMS = RowParty.tell_terms
HONEST_CONSENT = RowParty.consent


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
