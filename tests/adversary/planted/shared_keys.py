"""Links of one row party with several column parties that have something in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import tags as tags_module
from xstat_ray.crypto.oprf import PERSON_KEY_BYTES, item_hashes
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.link import Link

HONEST = item_hashes
HONEST_RESIDUES = ColumnParty.open_residues
HONEST_SUM = ColumnParty.add_residues
HONEST_DEBIT = ColumnParty.tell_debit
HONEST_DEBITS = RowParty.accept_debits


def without_salt(salt: bytes, ids: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """Hash ids alike on all links."""
    del salt
    return HONEST(bytes(32), ids)


def tags_under_one_key(
    self: Link, person: NDArray[np.int32], period: NDArray[np.uint32]
) -> NDArray[np.uint8]:
    """Make the same tags of a person on all links, where ids are hashed alike."""
    keys = np.ascontiguousarray(self._exchange._items[:, :PERSON_KEY_BYTES])
    return tags_module.tags(bytes(16), keys, person, period)


def residues_with_persons(self: ColumnParty, *args: Any) -> tuple[bytes, NDArray[np.uint8]]:
    """Send the first column party hashes of this one's people too."""
    return HONEST_RESIDUES(self, *args), self._exchange._items


def sum_of_more_than_residues(self: ColumnParty, *args: Any) -> bytes:
    """Take them."""
    *first, residues = args
    told: Sequence[tuple[bytes, NDArray[np.uint8]]] = residues
    return HONEST_SUM(self, *first, [sealed for sealed, _ in told])


def debit_with_counts(self: ColumnParty, permit: bytes) -> tuple[bytes, NDArray[np.int64]]:
    """Tell the row party how many flags this party has in each column, too."""
    return HONEST_DEBIT(self, permit), np.bincount(self._slot, minlength=self._study.slots)


def more_than_debits(self: RowParty, told: Sequence[tuple[bytes, NDArray[np.int64]]]) -> None:
    """Take them."""
    HONEST_DEBITS(self, [sealed for sealed, _ in told])
