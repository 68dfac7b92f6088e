"""The whole protocol in order, in one process, with every message encoded and decoded.

Read this to learn what happens. It is the reference: every distributed run gives the same counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.channel import hand_over
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import (
    Coefficients,
    Flags,
    MaskedTable,
    Masks,
    Partial,
    RerandomisedTable,
    Rows,
    Tree,
)
from xstat_ray.model.study import Role
from xstat_ray.noise.bits import SEED_BYTES, Attempt
from xstat_ray.noise.dealing import Dealer
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.aggregator import draw_share
from xstat_ray.roles.join import Joined
from xstat_ray.roles.opening import checked_key

FRESH: Mapping[Role, bytes] = {}
"""No seeds: each party draws fresh secret bytes."""


def play(
    plan: Plan,
    *,
    row_table: Path | str,
    column_table: Path | str,
    ledger: Path,
    seeds: Mapping[Role, bytes] = FRESH,
) -> Coefficients:
    """Play both parties and the aggregator, one after the other.

    Args:
        plan: the study with its key size, packing and shards.
        row_table: the row party's table.
        column_table: the column party's table.
        ledger: budget file, here of both parties.
        seeds: each party's 32 secret bytes from which it draws; by default fresh ones.

    Returns:
        Noisy counts and sums (nodes, slots) of all measured levels, each in declared order.
    """
    digest = plan.study.digest
    packing = plan.packing
    row = RowParty(plan.study, Source(row_table, ledger=ledger), seed=seeds.get("row"))
    column = ColumnParty(plan.study, Source(column_table, ledger=ledger), seed=seeds.get("column"))

    # Handshake. Row party <-> column party: hellos, then proofs that both derived the same keys.
    row_hello = row.hello()
    row_confirmation = row.agree(column.hello())
    row.confirm(column.agree(row_hello))
    column.confirm(row_confirmation)

    # Key. Column party -> everybody: the public key, and a proof that masks under it hide
    # everything. The private key stays where it is made.
    column.generate_key(plan.key_bits, plan.constant_time)
    proven = column.public_key()
    public = checked_key(proven)
    row.accept_key(proven)

    # Intake. Each party, for itself: read the table, leave people out, bound contributions.
    row.intake()
    column.intake()

    # ID exchange. Each party -> the other: an offer, then choices; both then know the bins.
    row_offer = row.offer_columns()
    column_offer = column.offer_columns()
    row_choices = row.choose_columns(column_offer)
    column_choices = column.choose_columns(row_offer)
    row.accept_choices(column_choices)
    bins = column.accept_choices(row_choices).bins

    # Each party -> the other: its persons of every bin, hidden. Both evaluate: person keys.
    for number in range(bins):
        row_matrix = row.hide(number)
        row.evaluate(column.hide(number), number)
        column.evaluate(row_matrix, number)

    # Padding. Each party, for itself: how many dummies it sends, where the study asks for any.
    row.prepare(plan.grid, row.draw_dummies(plan.grid))
    flags_of_batch = column.prepare(plan.grid, column.draw_dummies(plan.grid))

    # Noise. Both parties, with what the aggregator deals: each has a share then.
    draw_noise(plan, row, column)

    # De-identify. Column party -> aggregator: every batch's flags, (tag, encrypted slot).
    flags = [
        Flags.decode(column.emit(batch, 0, range(size), packing).encode(digest), digest)
        for batch, size in enumerate(flags_of_batch)
    ]

    # De-identify and join. Row party -> aggregator: every shard's rows, (tag, blinded cell).
    aggregator = Aggregator(public, plan.study.rows_per_flag, plan.design.cells)
    joined = list[list[Joined]]([] for _ in flags)
    for shard in plan.grid.shards:
        rows = Rows.decode(row.emit(shard).encode(digest), digest)
        joined[shard.batch].append(aggregator.join(rows, flags[shard.batch]))

    # Row bound. Aggregator, for itself: a flag that met too many rows of its batch counts nowhere.
    partials = []
    for of_batch, flags_of in zip(joined, flags, strict=True):
        partial = aggregator.bound(*of_batch, flags_of)
        partials.append(Partial.decode(partial.encode(digest), digest))

    # Overlay. Row party -> aggregator: the sizes of the row tree's nodes; with padding all are
    # equal, and nothing is sent. Sums, still encrypted.
    levels = [aggregator.lay_out(aggregator.add(*partials), plan.design.cells, packing.blocks)]
    starts = plan.design.starts
    if starts is None:
        view = row.view()
        sent = [Tree(view=view, starts=level).encode(digest) for level in row.tree_starts()]
        starts = [Tree.decode(tree, digest).starts for tree in sent]
    for of_level in starts:
        levels.append(aggregator.sum_up(levels[-1], of_level))

    return open_table(plan, row, column, aggregator, np.concatenate(levels))


def draw_noise(plan: Plan, row: RowParty, column: ColumnParty) -> None:
    """Play the draw of the noise, after which each party has a share and nobody the noise.

    Args:
        plan: the study and its noise.
        row: the row party, after the handshake.
        column: the column party.
    """
    if plan.noise is not None:
        # Deal. Aggregator -> each party, sealed: a seed.
        attempt = Attempt(bytes.fromhex(row.session()), 0)
        dealer = Dealer(plan.noise, attempt, os.urandom(SEED_BYTES))
        row.accept_deal(hand_over(row.dealing_key(), {"seed": dealer.export_seed("row")}))
        column.accept_deal(hand_over(column.dealing_key(), {"seed": dealer.export_seed("column")}))

        for part in plan.noise.parts:
            # Aggregator -> column party, sealed: the corrections of the part.
            deal = dealer.deal(part.number).encode(plan.study.digest)
            sealed = hand_over(column.dealing_key(), {"deal": deal})

            # Openings. Each party -> the other, sealed, round after round.
            of_row: bytes | None = row.begin_noise(part.number)
            of_column: bytes | None = column.begin_noise(part.number, sealed)
            while of_row is not None and of_column is not None:
                next_of_row = row.advance_noise(part.number, of_column)
                of_column = column.advance_noise(part.number, of_row)
                of_row = next_of_row

    # Each party, for itself: keeps its share. Of Gaussian noise each draws one now, and where noise
    # is off shares are zero.
    row.keep_noise()
    column.keep_noise()


def open_table(
    plan: Plan,
    row: RowParty,
    column: ColumnParty,
    aggregator: Aggregator,
    whole: NDArray[np.uint8],
) -> Coefficients:
    """Play the opening, which nobody can do alone.

    Args:
        plan: the study with its key size, packing and shards.
        row: the row party, after the handshake, with the key.
        column: the column party.
        aggregator: has the table.
        whole: (nodes, blocks, width) encrypted counts and sums of all measured levels.

    Returns:
        See `play`.
    """
    digest = plan.study.digest
    nodes = range(plan.design.shown)

    # Aggregator, for itself: randomises every ciphertext afresh, and adds its share of the noise,
    # where it has one.
    share = draw_share(plan.design, plan.study.slots)
    table = aggregator.rerandomise(whole, plan.packing, share, plan.constant_time)

    # Masks. Row party -> aggregator: an encrypted uniform number for every ciphertext, with the
    # party's share of the noise in it.
    noise = row.noise_of(nodes, plan.packing)
    masks, receipt = row.mask_table(nodes, noise, plan.packing, plan.table_ciphertexts)
    masked = aggregator.put_masks(table, [Masks.decode(masks.encode(digest), digest)])

    # Approval. Aggregator -> row party: the table without and with masks; aggregator -> key
    # holder: with masks. Row party: debits its data set -> key holder, sealed: consent to open it.
    table = RerandomisedTable.decode(table.encode(digest), digest)
    masked = MaskedTable.decode(masked.encode(digest), digest)
    approval = row.approve(table, masked, [receipt])

    # Opening. Key holder: debits its data set, decrypts, adds its share of the noise -> row party,
    # sealed: masked numbers. Row party: takes its masks off, puts the nodes into declared order.
    permit = column.admit(masked, approval, plan.packing)
    noise = column.noise_of(nodes, plan.packing)
    opened = [column.open_part(masked, permit, nodes, noise)]
    coefficients = row.unblind(opened, plan.packing)

    # Check. Row party -> key holder, sealed, after publication: the seed of its masks. Key holder:
    # what was published is what it opened.
    shown = row.show_mask(coefficients.release)
    column.check_published(approval, opened, shown, coefficients, plan.packing)
    return coefficients
