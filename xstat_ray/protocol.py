"""The whole protocol in order, in one process, every message encoded and decoded: the reference.

Read this to learn what happens; every distributed run must give the same counts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.model.messages import Coefficients, Flags, NoisyTable, Partial, Rows
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.noise import add_noise_once
from xstat_ray.roles import Aggregator, ColumnParty, RowParty


def play(
    plan: Plan, *, row_table: Path | str, column_table: Path | str, ledger: Path
) -> Coefficients:
    """Both parties, the aggregator, the driver and the key holder, one after the other.

    Args:
        plan: the study with its key size, packing and shards.
        row_table: the row party's table.
        column_table: the column party's table.
        ledger: the key holder's budget file.

    Returns:
        Noisy counts and sums (nodes, slots) of all measured levels, each in declared order.
    """
    study = plan.study
    digest = plan.study.digest
    packing = plan.packing
    row = RowParty(study, row_table)
    column = ColumnParty(study, column_table)

    # Handshake
    row_hello = row.hello()
    column_hello = column.hello()
    row_confirmation = row.agree(column_hello)
    column_confirmation = column.agree(row_hello)
    row.confirm(column_confirmation)
    column.confirm(row_confirmation)

    # De-identify: persons
    public = PublicKey.decode(column.generate_key(plan.key_bits, plan.constant_time))
    for party, other in ((row, column), (column, row)):
        whole = range(party.intake())
        party.finish([other.evaluate(party.blind(whole), whole)], [whole])

    # De-identify: rows and flags
    row.prepare(plan.grid, row.draw(plan.grid))
    flags = [
        Flags.decode(column.emit(batch, 0, range(size), packing).encode(digest), digest)
        for batch, size in enumerate(column.prepare(plan.grid, column.draw(plan.grid)))
    ]

    # Aggregate
    aggregator = Aggregator(public)
    partials = []
    for shard in plan.grid.shards:
        rows = Rows.decode(row.emit(shard).encode(digest), digest)
        partial = aggregator.join(rows, flags[shard.batch])
        partials.append(Partial.decode(partial.encode(digest), digest))
    levels = [aggregator.lay_out(aggregator.add(*partials), study.cells, packing.blocks)]
    for starts in row.tree_starts():
        levels.append(aggregator.sum_up(levels[-1], starts))

    # Noise, once
    noisy = add_noise_once(public, np.concatenate(levels), packing, plan.design, plan.constant_time)
    noisy = NoisyTable.decode(noisy.encode(digest), digest)

    # Release
    return row.unblind([column.release(ledger, noisy, packing, range(plan.design.nodes))])
