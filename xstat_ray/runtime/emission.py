"""Who emits which rows and flags: the calls by which tables leave the parties' environments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import Generic, TypeVar

from xstat_ray.model.messages import Flags, Rows
from xstat_ray.model.parties import ONLY_ROW
from xstat_ray.model.shards import Shard, ShardGrid
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.roles.row_opening import Masked
from xstat_ray.runtime.executor import Executor, Instance, Ref, in_turn
from xstat_ray.util.ranges import cut

T = TypeVar("T")
CIPHERTEXTS_A_CALL = 5_000
"""Ciphertexts encrypted by one call; this takes a few seconds with the portable kernel."""


class Stretches(Generic[T]):
    """Batches divided among those who emit them: each has a stretch of time.

    Who emits a batch follows from public numbers alone, and tells nothing of the table.
    """

    def __init__(self, emitters: Sequence[T], batches: int) -> None:
        """Divide so many batches among the emitters."""
        count = len(emitters)
        self._emitters = emitters
        self._stretches = [
            range(number * batches // count, (number + 1) * batches // count)
            for number in range(count)
        ]

    def __iter__(self) -> Iterator[tuple[T, range]]:
        """Every emitter with the numbers of its batches."""
        return zip(self._emitters, self._stretches, strict=True)

    @property
    def order(self) -> list[int]:
        """All batches, so that those of different emitters come in turn."""
        rounds = zip_longest(*self._stretches)
        return [batch for of_round in rounds for batch in of_round if batch is not None]

    def emitter(self, batch: int) -> T:
        """Who emits a batch."""
        return next(emitter for emitter, stretch in self if batch in stretch)


class RowCalls(Stretches[Instance[RowParty]]):
    """Asks the environments of the row party for rows."""

    def prepare(self, grid: ShardGrid, dummies: object = None) -> list[Ref[list[bool]]]:
        """Hand the shards, and the dummies that the first environment drew, to all environments."""
        return [
            instance.call(RowParty.prepare, grid, dummies, stretch) for instance, stretch in self
        ]

    def prepare_drawn(self, grid: ShardGrid) -> list[Ref[list[bool]]]:
        """Have the first environment draw dummies, and hand them with the shards to all."""
        return self.prepare(grid, self._emitters[0].call(RowParty.draw_dummies, grid))

    def emit(self, shard: Shard) -> Ref[Rows]:
        """Ask for the rows of a shard; shards are best asked for in `order` of their batches."""
        return self.emitter(shard.batch).call(RowParty.emit, shard)


def wanted_batches(has_rows: Sequence[bool]) -> list[bool]:
    """Tell of which batches rows are asked for: those that can hold some.

    Where none can hold any, all are asked for, so that there is a result.

    Args:
        has_rows: for every batch, whether the row party's table can hold rows of it.
    """
    return list(has_rows) if any(has_rows) else [True] * len(has_rows)


def prepare_flags(executor: Executor, grid: ShardGrid) -> dict[str, list[Ref[list[int]]]]:
    """Hand the shards, and the dummies that they drew, to the column parties' environments.

    Returns:
        For every row party and column party the number of flags in each batch.
    """
    first_row, *other_rows = executor.rows
    flags: dict[str, list[Ref[list[int]]]] = {name: [] for name in executor.rows}
    for first, *others in executor.columns.values():
        dummies = first.call(ColumnParty.draw_dummies, grid)
        flags[first_row].append(first.call(ColumnParty.prepare, grid, dummies))
        for other in others:
            other.call(ColumnParty.prepare, grid, dummies)
        for name in other_rows:
            flags[name].append(first.call(ColumnParty.sizes_for, name))
    return flags


class FlagCalls:
    """Asks the environments of a column party for flags, so that all encrypt about as many."""

    def __init__(
        self, column: Sequence[Instance[ColumnParty]], plan: Plan, row_party: str = ONLY_ROW
    ) -> None:
        """Take the environments.

        Args:
            column: environments of the column party.
            plan: the plan with its packing.
            row_party: name of the row party for whose rows the flags are.
        """
        self._column = column
        self._packing = plan.packing
        self._for_rows = (row_party,) if plan.study.row.parties else ()
        self._asked = [0] * len(column)
        """Flags that each environment was asked for."""

    def of_batch(self, batch: int, flags: int) -> list[Callable[[], Ref[Flags]]]:
        """List the calls that emit the flags of a batch, in parts.

        Args:
            batch: number of the batch.
            flags: number of flags in the batch.
        """
        parts = cut(flags, max(1, CIPHERTEXTS_A_CALL // self._packing.blocks))
        return [partial(self._emit, batch, part, rows) for part, rows in enumerate(parts)]

    def _emit(self, batch: int, part: int, rows: range) -> Ref[Flags]:
        """Ask the environment that was asked for the fewest flags so far.

        Taking turns batch by batch, the first would get more than the others of every batch.
        """
        which = self._asked.index(min(self._asked))
        self._asked[which] += len(rows)
        call = self._column[which].call
        return call(ColumnParty.emit, batch, part, rows, self._packing, *self._for_rows)


def opening_parts(plan: Plan) -> list[range]:
    """Cut the nodes of the table into what one call masks or decrypts."""
    return list(cut(plan.design.shown, max(1, CIPHERTEXTS_A_CALL // 8 // plan.packing.blocks)))


def mask_call(executor: Executor, plan: Plan, turn: int) -> Ref[Masked]:
    """Ask one of the row party's environments, in turn, for the masks of a part of the table."""
    row = in_turn(executor.row, turn)
    return row.call(RowParty.mask_table, *_masked(executor, plan, turn))


def joint_mask_call(executor: Executor, plan: Plan, turn: int) -> Ref[list[Masked]]:
    """Ask it for masks under the keys of several column parties; see `mask_call`."""
    row = in_turn(executor.row, turn)
    return row.call(RowParty.mask_tables, *_masked(executor, plan, turn))


def _masked(executor: Executor, plan: Plan, turn: int) -> Sequence[object]:
    part = opening_parts(plan)[turn]
    planned = -(-plan.table_ciphertexts // len(executor.row))
    noise = executor.row[0].call(NoiseShare.noise_of, part, plan.packing)
    return part, noise, plan.packing, planned, plan.constant_time
