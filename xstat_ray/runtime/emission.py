"""Who emits which rows and flags: the calls by which tables leave the environments of the parties."""

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
"""Ciphertexts made or opened by one call: one to a few seconds with the portable kernel."""

Senders = Sequence[Instance[RowParty]]
"""Who emits the rows of a shard, and behind it those whose rows go with its own."""


def senders_by_batch(plan: Plan, held: Sequence[Sequence[bool]]) -> list[list[int]]:
    """For every batch, the numbers of the row party's environments that are asked for rows.

    Environments without rows in a batch, as the outlines of their files tell, are not asked. With
    padding all are: the aggregator shall not see whether there are any.

    Args:
        plan: the plan with its batches.
        held: for every environment and batch, whether it can hold rows.
    """
    batches = range(len(plan.grid.batches))
    if plan.padding:
        return [list(range(len(held)))] * len(batches)
    nowhere = not any(map(any, held))
    asked = []
    for batch in batches:
        able = [number for number, has_rows in enumerate(held) if has_rows[batch]]
        # A table without rows anywhere is asked for all the same, so that there is a result.
        asked.append([0] if nowhere else able)
    return asked


def senders_of(plan: Plan, instances: Senders, shard: Shard) -> list[Senders]:
    """Who emits the rows of a shard, one entry for each message.

    Padding covers whole shards: what every environment sent by itself would need dummies of its
    own. So with padding one environment emits the rows of all.
    """
    if not plan.padding:
        return [[instance] for instance in instances]
    turn = shard.number % len(instances)
    return [[instances[turn], *instances[:turn], *instances[turn + 1 :]]]


def emit_rows(senders: Senders, shard: Shard) -> Ref[Rows]:
    """The rows of a shard from the first of its senders, with those that the others have."""
    sender, *others = senders
    contributed = [other.call(RowParty.contribute, shard) for other in others]
    return sender.call(RowParty.emit, shard, *contributed)


def flag_calls(
    executor: Executor, plan: Plan, batch: int, flags: int
) -> list[Callable[[], Ref[Flags]]]:
    """One call for each part of the flags of a batch."""
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
    """The nodes of the noisy table, cut into what one call decrypts."""
    return list(cut(plan.design.nodes, max(1, CIPHERTEXTS_A_CALL // 8 // plan.packing.blocks)))
