"""Flags that are made before the rows that they are joined with are asked for.

The row party reads a table piece by piece, and many batches lie in the same pieces: until the first
of them are read, or while one thread of it works alone, the column parties' cores would be idle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

from xstat_ray.planning.plan import Plan
from xstat_ray.runtime.emission import FlagCalls, RowCalls
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.reduction import BatchMessages

AHEAD_BYTES = 64 << 20
"""Most bytes of flags that are made ahead: what two cores with the kernel `ifma` encrypt in about
half a second, in an object store that has 512 MiB by default."""


def with_flags(
    executor: Executor,
    plan: Plan,
    rows: RowCalls,
    sizes: Sequence[Sequence[int]],
    batches: Sequence[int],
    *,
    in_flight: int,
    row_party: str,
) -> Iterator[BatchMessages]:
    """Yield batches, whose rows are made in their turn and whose flags are made ahead of it.

    Args:
        executor: runs the column parties' methods.
        plan: what is released.
        rows: asks for rows.
        sizes: for every column party the number of flags in every batch.
        batches: their numbers, in the order of their turns.
        in_flight: most batches whose flags are made ahead.
        row_party: name of the row party for whose rows the flags are.
    """
    columns = [FlagCalls(column, plan, row_party) for column in executor.columns.values()]
    bytes_of_flag = plan.packing.blocks * plan.ciphertext_bytes
    ahead = FlagsAhead(in_flight)
    for batch in batches:
        messages = [partial(rows.emit, shard) for shard in plan.grid.of_batch(batch)]
        numbers = [sizes_of[batch] for sizes_of in sizes]
        flags = [
            [call() for call in column.of_batch(batch, number)]
            for column, number in zip(columns, numbers, strict=True)
        ]
        yield from ahead.put(BatchMessages(flags, messages), sum(numbers) * bytes_of_flag)
    yield from ahead.rest()


class FlagsAhead:
    """Batches whose flags are being made, and whose turn is still to come."""

    def __init__(self, most: int, most_bytes: int = AHEAD_BYTES) -> None:
        """Hold back at most so many batches, with at most so many bytes of flags."""
        self._most = most
        self._most_bytes = most_bytes
        self._waiting = deque[tuple[BatchMessages, int]]()

    def put(self, batch: BatchMessages, size: int) -> Iterator[BatchMessages]:
        """Take a batch, whose flags have so many bytes; yield those that it leaves no room for."""
        self._waiting.append((batch, size))
        while len(self._waiting) > self._most or self._bytes > self._most_bytes:
            yield self._waiting.popleft()[0]

    def rest(self) -> Iterator[BatchMessages]:
        """Yield the batches that are left."""
        while self._waiting:
            yield self._waiting.popleft()[0]

    @property
    def _bytes(self) -> int:
        return sum(size for _, size in self._waiting)
