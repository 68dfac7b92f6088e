"""The opening where there are several column parties, in one process; a part of `protocol.play`.

Each column party has a table under its own key. None of them, nor any other role, is to see what a
single one counted: the sum over all is opened, with noise that is in it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.messages import Coefficients, MaskedTable, Masks, RerandomisedTable
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.aggregator import draw_share


class Opened(NamedTuple):
    """Tables of several column parties that were opened together."""

    approvals: Sequence[bytes]
    """What the row party sent each column party before the opening."""
    sums: Sequence[bytes]
    """The masked sums that the first column party sent the row party."""
    coefficients: Coefficients
    """What is published."""


def connect(columns: Sequence[ColumnParty]) -> None:
    """Play the handshakes of the first column party with each other one.

    On the channels that come of them what the others decrypt goes to the first, unseen by the row
    party and the aggregator.
    """
    first, *others = columns
    for other in others:
        # Handshake. First column party <-> other: hellos, then proofs of the same keys.
        name = other.party
        hello = first.channel_hello(name)
        confirmation = first.channel_agree(name, other.channel_hello(name))
        first.channel_confirm(name, other.channel_agree(name, hello))
        other.channel_confirm(name, confirmation)


class HiddenTables(NamedTuple):
    """The tables under all keys, in the order of the study."""

    plain: Sequence[RerandomisedTable]
    """Everything but the masks."""
    masked: Sequence[MaskedTable]
    """The same with the row party's masks."""
    receipts: Sequence[Sequence[bytes]]
    """What the row party keeps of its masks."""


def open_tables(
    plan: Plan,
    row: RowParty,
    columns: Sequence[ColumnParty],
    aggregators: Sequence[Aggregator],
    wholes: Sequence[NDArray[np.uint8]],
) -> Coefficients:
    """Play the opening, which nobody can do alone, of the tables of several column parties.

    Args:
        plan: the study and its packing.
        row: the row party.
        columns: the column parties, in the order of the study.
        aggregators: the aggregator with each one's public key.
        wholes: (nodes, blocks, width) encrypted counts under each key.

    Returns:
        See `protocol.play`.
    """
    tables = hide(plan, row, aggregators, wholes)

    # Approval. Aggregator -> row party: all tables without and with masks; aggregator -> each
    # column party: its own with masks. Row party: debits its data set, once -> each column party,
    # sealed: consent to open all of them.
    approvals = row.approve_tables(tables.plain, tables.masked, tables.receipts)

    # Admission. Each column party: debits its data set. All but the first -> row party, sealed:
    # that they did.
    permits = [
        column.admit(table, approval, plan.packing)
        for column, table, approval in zip(columns, tables.masked, approvals, strict=True)
    ]
    told = zip(columns[1:], permits[1:], strict=True)
    row.accept_debits([column.tell_debit(permit) for column, permit in told])

    # Row party: takes the sum of its masks off, puts the nodes into declared order.
    sums = [add_up(plan, columns, tables.masked, permits)]
    coefficients = row.unblind(sums, plan.packing)
    check_opened(plan, row, columns, Opened(approvals, sums, coefficients))
    return coefficients


def hide(
    plan: Plan,
    row: RowParty,
    aggregators: Sequence[Aggregator],
    wholes: Sequence[NDArray[np.uint8]],
) -> HiddenTables:
    """Play the masks, under every key; see `open_tables`."""
    digest = plan.study.digest
    nodes = range(plan.design.shown)

    # Aggregator, for itself: randomises every ciphertext afresh; its share of the noise, where it
    # has one, goes into the first table.
    first = draw_share(plan.design, plan.study.slots)
    shares = [first, *[None] * (len(aggregators) - 1)]
    tables = [
        aggregator.rerandomise(whole, plan.packing, share, plan.constant_time)
        for aggregator, whole, share in zip(aggregators, wholes, shares, strict=True)
    ]

    # Masks. Row party -> aggregator: for every ciphertext under every key an encrypted number that
    # is uniform modulo B; the party's share of the noise is in those under the first key.
    noise = row.noise_of(nodes, plan.packing)
    made = row.mask_tables(nodes, noise, plan.packing, plan.table_ciphertexts)
    masked = [
        aggregator.put_masks(table, [Masks.decode(of_key.masks.encode(digest), digest)])
        for aggregator, table, of_key in zip(aggregators, tables, made, strict=True)
    ]
    return HiddenTables(
        [RerandomisedTable.decode(table.encode(digest), digest) for table in tables],
        [MaskedTable.decode(table.encode(digest), digest) for table in masked],
        [[of_key.receipt] for of_key in made],
    )


def add_up(
    plan: Plan,
    columns: Sequence[ColumnParty],
    masked: Sequence[MaskedTable],
    permits: Sequence[bytes],
) -> bytes:
    """Play what the column parties open, of which the row party gets the sum alone.

    Args:
        plan: the study and its packing.
        columns: the column parties, in the order of the study.
        masked: each one's table.
        permits: what each one's `admit` gave.
    """
    nodes = range(plan.design.shown)
    first, *others = columns

    # Opening. Each column party but the first: decrypts its table -> first column party, sealed:
    # numbers modulo B, still masked. First column party: decrypts its own, adds all of them and its
    # share of the noise -> row party, sealed: masked sums.
    residues = [
        column.open_residues(table, permit, nodes)
        for column, table, permit in zip(others, masked[1:], permits[1:], strict=True)
    ]
    noise = first.noise_of(nodes, plan.packing)
    return first.add_residues(masked[0], permits[0], nodes, noise, residues)


def check_opened(plan: Plan, row: RowParty, columns: Sequence[ColumnParty], opened: Opened) -> None:
    """Play what the column parties check after publication.

    Args:
        plan: the study and its packing.
        row: the row party.
        columns: the column parties, in the order of the study.
        opened: what was sent and what came of it.
    """
    # Check. Row party -> each column party, sealed: the seed of the sums of its masks. First column
    # party -> each other one, sealed: the masked sums. Each: what was published is what came of
    # them.
    first, *others = columns
    seen = [opened.sums, *(first.show_sums(other.party, opened.sums) for other in others)]
    shown = row.show_masks(opened.coefficients.release)
    for column, approval, sums, mask in zip(columns, opened.approvals, seen, shown, strict=True):
        column.check_published(approval, sums, mask, opened.coefficients, plan.packing)
