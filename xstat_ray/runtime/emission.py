"""Who emits which rows and flags: the calls by which tables leave the parties' environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from xstat_ray.crypto.packing import Packing
from xstat_ray.model.messages import Flags, Rows
from xstat_ray.model.shards import Shard
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.runtime.executor import Executor, Instance, Ref, in_turn
from xstat_ray.util.ranges import cut

CIPHERTEXTS_A_CALL = 5_000
"""Ciphertexts encrypted by one call; this takes a few seconds with the portable kernel."""

Senders = Sequence[Instance[RowParty]]
"""The environment that emits one message of rows, and after it those that contribute to it."""


def senders_by_batch(plan: Plan, has_rows: Sequence[Sequence[bool]]) -> list[list[int]]:
    """Choose which environments of the row party are asked for rows of each batch.

    An environment that cannot hold rows of a batch is not asked. With padding all are, as the
    aggregator must not see which of them hold rows. Where none holds rows of any batch the first is
    asked for all, so that there is a result.

    Args:
        plan: the plan with its batches.
        has_rows: for every environment and batch, whether it can hold rows.

    Returns:
        For every batch the numbers of environments.
    """
    batches = range(len(plan.grid.batches))
    if plan.padding:
        return [list(range(len(has_rows)))] * len(batches)
    if not any(map(any, has_rows)):
        return [[0]] * len(batches)
    return [[number for number, able in enumerate(has_rows) if able[batch]] for batch in batches]


def senders_of(plan: Plan, instances: Senders, shard: Shard) -> list[Senders]:
    """List who emits the rows of a shard: one entry for each message.

    Without padding every environment emits the rows of its persons. With padding one environment
    emits the rows of all, as the dummies are drawn for the whole shard; the environments take turns
    from shard to shard.

    Args:
        plan: the plan.
        instances: the environments that are asked for rows of the shard's batch.
        shard: the shard.
    """
    if not plan.padding:
        return [[instance] for instance in instances]
    turn = shard.number % len(instances)
    return [[instances[turn], *instances[:turn], *instances[turn + 1 :]]]


def emit_rows(senders: Senders, shard: Shard) -> Ref[Rows]:
    """Ask the first of the senders for the rows of a shard, and the others to contribute theirs."""
    sender, *others = senders
    contributed = [other.call(RowParty.contribute, shard) for other in others]
    return sender.call(RowParty.emit, shard, *contributed)


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


def decrypt_parts(plan: Plan) -> list[range]:
    """Cut the nodes of the noisy table into what one call decrypts."""
    return list(cut(plan.design.shown, max(1, CIPHERTEXTS_A_CALL // 8 // plan.packing.blocks)))
