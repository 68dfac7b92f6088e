"""The roster: the distinct persons of a table, sorted by their normalised ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.inputs.ids import to_bytes
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.secrecy import Secret

_PENDING = 1 << 21
"""Ids that are put aside before they are merged into the roster."""


@dataclass(frozen=True, repr=False)
class Roster(Secret):
    """Persons by number."""

    ids: NDArray[np.bytes_]
    """(P,) normalised ids, sorted."""
    rows: NDArray[np.int64]
    """(P,) rows of each person."""

    def find(self, ids: pa.Array) -> NDArray[np.int32]:
        """Numbers of normalised ids, and one -1 behind them: (N + 1,). -1 stands for null and for who is not here."""
        numbers = np.full(len(ids) + 1, -1, np.int32)
        present = ids.is_valid().to_numpy(zero_copy_only=False)
        wanted = to_bytes(ids.drop_null())
        place = np.searchsorted(self.ids, wanted)
        place[place == len(self.ids)] = 0
        found = self.ids[place] == wanted if len(self.ids) else np.zeros(len(wanted), bool)
        numbers[:-1][present] = np.where(found, place, -1)
        return numbers

    def overlaps(self, least: object, largest: object) -> bool:
        """Whether any person's id can lie between these; numbers, which are not ordered as their digits, always can."""
        if not isinstance(least, str) or not isinstance(largest, str):
            return True
        return len(self.ids) > 0 and least.encode() <= self.ids[-1] and self.ids[0] <= largest.encode()


class RosterBuilder(Secret):
    """Collects the persons of a table batch by batch; memory grows with the persons, not with the rows."""

    def __init__(self, excluded: frozenset[str]) -> None:
        """Start without anybody; `excluded` are normalised ids to leave out."""
        self._excluded = pa.array(sorted(excluded), pa.string())
        self._ids, self._rows = np.zeros(0, "S1"), np.zeros(0, np.int64)
        self._pending: list[tuple[NDArray[np.bytes_], NDArray[np.int64]]] = []
        self._size = 0
        self.counts = IntakeCounts()

    def add(self, normal: pa.Array, indices: pa.Array) -> None:
        """Take a batch: the normal form of every text of its dictionary, null where there is none, and its rows."""
        codes = indices.fill_null(len(normal)).to_numpy(zero_copy_only=False)
        rows = np.bincount(codes, minlength=len(normal) + 1)
        out = pc.is_in(normal, value_set=self._excluded).to_numpy(zero_copy_only=False)
        valid = normal.is_valid().to_numpy(zero_copy_only=False)
        self.counts.rows += len(codes)
        self.counts.invalid_id += int(rows[-1] + rows[:-1][~valid].sum())
        self.counts.excluded += int(rows[:-1][out & valid].sum())
        welcome = valid & ~out & (rows[:-1] > 0)
        self._pending.append((to_bytes(normal.filter(pa.array(welcome))), rows[:-1][welcome]))
        self._size += int(welcome.sum())
        if self._size > max(_PENDING, len(self._ids)):
            self._merge()

    def roster(self) -> Roster:
        """Everybody so far."""
        self._merge()
        return Roster(self._ids, self._rows)

    def _merge(self) -> None:
        ids, rows = (np.concatenate(parts) for parts in zip((self._ids, self._rows), *self._pending, strict=True))
        self._ids, place = np.unique(ids, return_inverse=True)
        self._rows = np.bincount(place, rows, len(self._ids)).astype(np.int64)
        self._pending, self._size = [], 0
