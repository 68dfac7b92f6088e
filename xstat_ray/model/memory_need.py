"""What the row party takes of memory, in bytes by stage: a forecast from measured constants.

The constants were measured on one process with two threads (glibc, 64 bits), which ran a study on
made-up tables of 48,000 to 24 million rows, 2,000 to 1 million people and 20 to 20,000 cells, and
read `VmHWM` of /proc/self/status after every stage, after it had been set back by
/proc/self/clear_refs. `tests/planning/test_memory.py` compares the forecast with runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROCESS = 175 << 20
"""An interpreter with all libraries, before it has read anything."""
PERSON = 300
"""A person: id, hash, key, and the order of the bins."""
SURVEYED_PERSON = 390
"""A person of the table while one environment merges the ids that it reads. To put the surveys of
two environments together takes a fourth of that, whoever is in them (`tests/roles/test_survey.py`);
their messages, a third of `PERSON` at most, lie in the object store."""
_READ_ROW = 62
"""A row of a chunk that a thread reads."""
_CHUNK_ROWS = 1 << 20
"""Most rows of a chunk."""
HELD_ROW = 8
"""A row of the batches that are in memory."""
EMITTED_ROW = 58
"""A row of the shard that is being sealed: tag, cell, and what orders them."""
MOST_ROWS = 1 << 27
"""Most rows that are held at once for the sake of reading them once."""
_READ_TOGETHER = 8
"""At most this part of the memory goes to such rows."""


def most_rows(memory: int | None) -> int:
    """Rows that may be held at once for the sake of reading them once.

    Args:
        memory: bytes that the process may use; None where nobody knows.
    """
    return MOST_ROWS if memory is None else min(MOST_ROWS, memory // _READ_TOGETHER // HELD_ROW)


@dataclass(frozen=True)
class RowSizes:
    """How large a row party's table is, as far as its footers tell. Not public."""

    rows: int
    persons: int
    """People in the table, about."""
    batch: int
    """Most rows of a batch."""
    held: int
    """Most rows of batches that are in memory at a time."""
    stored: int = 0
    """Bytes of files of an object store that stay in memory."""

    @classmethod
    def of(
        cls,
        covers: Sequence[range],
        rows: Sequence[int],
        batches: Sequence[range],
        *,
        rows_a_person: float,
        most: int = MOST_ROWS,
        stored: int = 0,
    ) -> RowSizes:
        """Work out what is read and held of a table.

        Args:
            covers: periods in which each piece of the table can have rows.
            rows: rows of each piece.
            batches: periods of each batch.
            rows_a_person: rows of a person in a part of the table that spans the same periods;
                infinite where nothing is known of people, who are not counted then.
            most: rows that are held at most for the sake of reading them once.
            stored: bytes of files of an object store that stay in memory.
        """
        first = np.array([cover.start for cover in covers], np.int64)
        end = np.array([cover.stop for cover in covers], np.int64)
        number = np.array(rows, np.int64)
        density = number / np.maximum(end - first, 1)
        of_batch = []
        together = 0.0
        held = 0.0
        before: NDArray[np.bool_] | None = None
        for batch in batches:
            shared = np.minimum(end, batch.stop) - np.maximum(first, batch.start)
            needed = shared > 0
            of_batch.append(float(density @ np.maximum(shared, 0)))
            same = before is not None and bool((needed == before).all())
            joined = same and number[needed].sum() < most
            together = together + of_batch[-1] if joined else of_batch[-1]
            held = max(held, together)
            before = needed
        total = int(number.sum())
        in_time = max(float(number @ (end - first)), 1.0)
        whole = max(int(end.max(initial=0) - first.min(initial=end.max(initial=0))), 1)
        # Of a table that is cut by time, a part has each person once more.
        persons = int(in_time / whole / max(rows_a_person, 1.0))
        return cls(total, persons, int(max(of_batch, default=0)), int(held), stored)

    def survey(self, threads: int) -> int:
        """Bytes of the survey of all ids."""
        return self.stored + SURVEYED_PERSON * self.persons + self._reading(self.rows, threads)

    @property
    def exchange(self) -> int:
        """Bytes of the people while their ids are exchanged, and of what is kept besides."""
        return self.stored + PERSON * self.persons

    def emission(self, threads: int, regions: int) -> int:
        """Bytes of reading the largest batch and sealing its rows, which lie in so many regions."""
        reading = self._reading(self.held, threads)
        sealing = EMITTED_ROW * -(-self.batch // regions)
        return self.exchange + HELD_ROW * self.held + reading + sealing

    @staticmethod
    def _reading(rows: int, threads: int) -> int:
        return _READ_ROW * min(rows, threads * _CHUNK_ROWS)
