"""Who emits which rows and flags: the calls by which tables leave the parties' environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from xstat_ray.crypto.packing import Packing
from xstat_ray.model.messages import Flags, Rows
from xstat_ray.model.shards import Shard
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.roles.row_opening import Masked
from xstat_ray.runtime.executor import Executor, Instance, Ref, in_turn
from xstat_ray.util.ranges import cut

CIPHERTEXTS_A_CALL = 5_000
"""Ciphertexts encrypted by one call; this takes a few seconds with the portable kernel."""


class RowCalls:
    """Asks the environments of the row party for rows: one message a shard, from them in turn.

    Each environment has rows of some persons. The one whose turn it is emits them all, so that the
    aggregator sees nothing of the environments. First all read the batch, at the same time; and the
    others contribute to the next message while one is emitted.
    """

    def __init__(self, instances: Sequence[Instance[RowParty]], shards: Sequence[Shard]) -> None:
        """Take the environments, and all shards by their numbers."""
        self._instances = instances
        self._shards = shards
        self._batch = -1
        self._announced = list[Ref[bytes]]()
        self._contributed = dict[int, list[Ref[bytes]]]()

    def emit(self, shard: Shard) -> Ref[Rows]:
        """Ask for the rows of a shard; shards are best asked for in order."""
        if len(self._instances) == 1:
            return self._instances[0].call(RowParty.emit, shard)
        if shard.batch != self._batch:
            self._batch = shard.batch
            self._contributed = {}
            calls = [row.call(RowParty.announce, shard.batch) for row in self._instances]
            self._announced = calls
        for ahead in self._shards[shard.number : shard.number + 2]:
            if ahead.batch == shard.batch and ahead.number not in self._contributed:
                self._contributed[ahead.number] = self._contributions(ahead)
        contributed = self._contributed.pop(shard.number)
        return in_turn(self._instances, shard.number).call(RowParty.emit, shard, *contributed)

    def _contributions(self, shard: Shard) -> list[Ref[bytes]]:
        turn = shard.number % len(self._instances)
        others = [*self._instances[:turn], *self._instances[turn + 1 :]]
        return [row.call(RowParty.contribute, shard, *self._announced) for row in others]


def wanted_batches(has_rows: Sequence[Sequence[bool]]) -> list[bool]:
    """Tell of which batches rows are asked for: those of which any environment can hold some.

    Where none can hold any, all are asked for, so that there is a result.

    Args:
        has_rows: for every environment and batch, whether it can hold rows.
    """
    able = [any(of_batch) for of_batch in zip(*has_rows, strict=True)]
    return able if any(able) else [True] * len(able)


def flag_calls(
    executor: Executor, plan: Plan, batch: int, flags: int
) -> list[Callable[[], Ref[Flags]]]:
    """List the calls that emit the flags of a batch, in parts.

    Args:
        executor: its environments of the column party take turns.
        plan: the plan with its packing.
        batch: number of the batch.
        flags: number of flags in the batch.
    """
    parts = cut(flags, max(1, CIPHERTEXTS_A_CALL // plan.packing.blocks))
    return [
        partial(_emit_flags, in_turn(executor.column, part), batch, part, rows, plan.packing)
        for part, rows in enumerate(parts)
    ]


def _emit_flags(
    instance: Instance[ColumnParty], batch: int, part: int, rows: range, packing: Packing
) -> Ref[Flags]:
    return instance.call(ColumnParty.emit, batch, part, rows, packing)


def opening_parts(plan: Plan) -> list[range]:
    """Cut the nodes of the table into what one call masks or decrypts."""
    return list(cut(plan.design.shown, max(1, CIPHERTEXTS_A_CALL // 8 // plan.packing.blocks)))


def mask_call(executor: Executor, plan: Plan, turn: int) -> Ref[Masked]:
    """Ask one of the row party's environments, in turn, for the masks of a part of the table."""
    part = opening_parts(plan)[turn]
    planned = -(-plan.table_ciphertexts // len(executor.row))
    noise = executor.row[0].call(NoiseShare.noise_of, part, plan.packing)
    how = (plan.packing, planned, plan.constant_time)
    return in_turn(executor.row, turn).call(RowParty.mask_table, part, noise, *how)
