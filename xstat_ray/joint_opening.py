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
    digest = plan.study.digest
    nodes = range(plan.design.shown)
    packing = plan.packing

    # Aggregator, for itself: randomises every ciphertext afresh; its share of the noise, where it
    # has one, goes into the first table.
    first = draw_share(plan.design, plan.study.slots)
    shares = [first, *[None] * (len(columns) - 1)]
    tables = [
        aggregator.rerandomise(whole, packing, share, plan.constant_time)
        for aggregator, whole, share in zip(aggregators, wholes, shares, strict=True)
    ]

    # Masks. Row party -> aggregator: for every ciphertext under every key an encrypted number that
    # is uniform modulo B; the party's share of the noise is in those under the first key.
    noise = row.noise_of(nodes, packing)
    made = row.mask_tables(nodes, noise, packing, plan.table_ciphertexts)
    masked = [
        aggregator.put_masks(table, [Masks.decode(of_key.masks.encode(digest), digest)])
        for aggregator, table, of_key in zip(aggregators, tables, made, strict=True)
    ]

    # Approval. Aggregator -> row party: all tables without and with masks; aggregator -> each
    # column party: its own with masks. Row party: debits its data set, once -> each column party,
    # sealed: consent to open all of them.
    tables = [RerandomisedTable.decode(table.encode(digest), digest) for table in tables]
    masked = [MaskedTable.decode(table.encode(digest), digest) for table in masked]
    approvals = row.approve_tables(tables, masked, [[of_key.receipt] for of_key in made])

    # Admission. Each column party: debits its data set. All but the first -> row party, sealed:
    # that they did.
    permits = [
        column.admit(table, approval, packing)
        for column, table, approval in zip(columns, masked, approvals, strict=True)
    ]
    told = zip(columns[1:], permits[1:], strict=True)
    row.accept_debits([column.tell_debit(permit) for column, permit in told])

    # Opening. Each column party but the first: decrypts its table -> first column party, sealed:
    # numbers modulo B, still masked. First column party: decrypts its own, adds all of them and its
    # share of the noise -> row party, sealed: masked sums. Row party: takes the sum of its masks
    # off, puts the nodes into declared order.
    others = zip(columns[1:], masked[1:], permits[1:], strict=True)
    residues = [column.open_residues(table, permit, nodes) for column, table, permit in others]
    noise = columns[0].noise_of(nodes, packing)
    opened = [columns[0].add_residues(masked[0], permits[0], nodes, noise, residues)]
    coefficients = row.unblind(opened, packing)

    check_opened(plan, row, columns, Opened(approvals, opened, coefficients))
    return coefficients


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
