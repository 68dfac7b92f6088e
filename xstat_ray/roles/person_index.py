"""The distinct persons of a table, sorted by their normalised ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.inputs.forms import FormCounts
from xstat_ray.inputs.text_index import TextIndex, digit_codes, to_bytes
from xstat_ray.roles.intake import IntakeCounts, invalid_texts
from xstat_ray.util.arrays import run_starts
from xstat_ray.util.nulls import filled
from xstat_ray.util.secrecy import Secret

_PENDING = 1 << 18
"""Ids that are put aside before they are merged into a small index."""


@dataclass(frozen=True, repr=False)
class PersonIndex(Secret):
    """The persons of a table, by number."""

    ids: NDArray[np.bytes_]
    """(P,) normalised ids, sorted."""
    rows: NDArray[np.int64]
    """(P,) numbers of their rows."""


class IdCounts(NamedTuple):
    """The persons in one chunk of a table, and how often each occurs."""

    ids: NDArray[np.bytes_]
    """Normalised ids; an id may occur twice."""
    rows: NDArray[np.int64]
    """Rows of each id."""
    invalid: int
    """Rows whose id has no normal form."""
    dropped: FormCounts
    """Forms of those."""
    codes: NDArray[np.uint64] | None
    """Numbers that have the order of the ids; None where not all have one."""

    @classmethod
    def of(cls, normal: pa.Array, written: pa.DictionaryArray) -> IdCounts:
        """Count the rows of a chunk.

        Args:
            normal: normal form of each text in the chunk's dictionary; null where there is none.
            written: the ids of the rows, as they are written.
        """
        indices = written.indices
        codes = filled(indices, len(normal)).to_numpy(zero_copy_only=False)
        rows = np.bincount(codes, minlength=len(normal) + 1)
        valid = normal.is_valid().to_numpy(zero_copy_only=False)
        known = valid & (rows[:-1] > 0)
        ids = to_bytes(normal.filter(pa.array(known)))
        dropped = FormCounts()
        dropped.add(*invalid_texts(written.dictionary, valid, codes))
        numbers = digit_codes(ids)
        of_ids = rows[:-1][known]
        invalid = len(codes) - int(of_ids.sum())
        return cls(ids, of_ids, invalid, dropped, numbers.numbers if numbers.known.all() else None)


class PersonIndexBuilder(Secret):
    """Collects the persons of a table chunk by chunk.

    Memory grows with the persons, not with the rows or the days.
    """

    def __init__(self, excluded: pa.Array) -> None:
        """Start without anybody; `excluded` are normalised ids to leave out."""
        self._excluded = to_bytes(excluded)
        codes = digit_codes(self._excluded)
        if codes.known.all():
            # Neighbours are found fast.
            self._excluded = self._excluded[np.argsort(codes.numbers)]
        self._ids = np.zeros(0, "S1")
        self._rows = np.zeros(0, np.int64)
        self._codes: NDArray[np.uint64] | None = np.zeros(0, np.uint64)
        self._pending: list[IdCounts] = []
        self._size = 0
        self.counts = IntakeCounts()
        self.dropped = FormCounts()
        """Forms of the ids without a normal form."""

    def add(self, tally: IdCounts) -> None:
        """Take a chunk."""
        self.counts.rows += int(tally.rows.sum()) + tally.invalid
        self.counts.invalid_id += tally.invalid
        self.dropped.count(tally.dropped.counted())
        self._pending.append(tally)
        self._size += len(tally.ids)
        # Merge often enough that the days of a table hardly add to the memory, and seldom enough
        # that it costs little.
        if self._size > max(_PENDING, len(self._ids) // 2):
            self._merge()

    def person_index(self) -> PersonIndex:
        """Return everybody who was added and is not excluded; nobody is added afterwards."""
        self._merge()
        place = TextIndex(self._ids).find(self._excluded)
        out = np.zeros(len(self._ids), bool)
        out[place[place >= 0]] = True
        self.counts.excluded = int(self._rows[out].sum())
        return PersonIndex(self._ids[~out], self._rows[~out])

    def _merge(self) -> None:
        ids = np.concatenate([self._ids, *(tally.ids for tally in self._pending)])
        rows = np.concatenate([self._rows, *(tally.rows for tally in self._pending)])
        codes = [self._codes, *(tally.codes for tally in self._pending)]
        self._pending = []
        self._size = 0
        known = [numbers for numbers in codes if numbers is not None]
        self._codes = np.concatenate(known) if len(known) == len(codes) else None
        if self._codes is None:
            # A stable sort merges runs that are in order, and files sorted by id give such runs.
            order = np.argsort(ids, kind="stable")
            starts = run_starts(ids[order])
        else:
            order = np.argsort(self._codes)
            in_order = self._codes[order]
            starts = run_starts(in_order)
            self._codes = in_order[starts]
        self._ids = ids[order[starts]]
        self._rows = np.add.reduceat(rows[order], starts) if len(starts) else rows
