"""What several parties of a side do together, in one process; a part of `protocol.play`.

Each column party has a table under its own key. None of them, nor any other role, is to see what a
single one counted: the sum over all is opened, with noise that is in it once. The rows of all row
parties are counted in one table, in one secret order of cells. Each has links of its own with all
column parties, and what the aggregator sees of one link has nothing in common with what it sees of
another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Coefficients, MaskedTable, Masks, RerandomisedTable
from xstat_ray.model.parties import ONLY, ONLY_ROW
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.places import Place
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.aggregator import draw_share
from xstat_ray.roles.link import Link


def row_parties(
    study: Study,
    table: Path | str | Mapping[str, Path | str],
    ledger: Place,
    seeds: Mapping[str, bytes],
) -> list[RowParty]:
    """Give each row party its table, in the order of the study; see `protocol.play`."""
    tables = table if isinstance(table, Mapping) else {ONLY_ROW: table}
    return [
        RowParty(study, Source(tables[name], ledger=ledger), seed=seeds.get(name), name=name)
        for name in (terms.name for terms in study.row_parties)
    ]


def column_parties(
    study: Study,
    table: Path | str | Mapping[str, Path | str],
    ledger: Place,
    seeds: Mapping[str, bytes],
) -> list[ColumnParty]:
    """Give each column party its table, in the order of the study; see `protocol.play`."""
    tables = table if isinstance(table, Mapping) else {ONLY: table}
    return [
        ColumnParty(study, Source(tables[name], ledger=ledger), seed=seeds.get(name), party=name)
        for name in (terms.name for terms in study.column_parties)
    ]


class Opened(NamedTuple):
    """Tables of several column parties that were opened together."""

    approvals: Sequence[bytes]
    """What the row party sent each column party before the opening."""
    sums: Sequence[bytes]
    """The masked sums that the first column party sent the row party."""
    coefficients: Coefficients
    """What is published."""


def shake_hands(row: Link, column: Link) -> None:
    """Play the handshake at both ends of a link."""
    # Handshake. Row party <-> column party: hellos, then proofs that both derived the same keys.
    row_hello = row.hello()
    row_confirmation = row.agree(column.hello())
    row.confirm(column.agree(row_hello))
    column.confirm(row_confirmation)


def meet(rows: Sequence[RowParty], columns: Sequence[ColumnParty]) -> None:
    """Play the handshakes of all row parties but the first, which has gone through its own.

    Args:
        rows: the row parties, in the order of the study.
        columns: the column parties, likewise.
    """
    first, *others = rows
    for other in others:
        name = other.row_party
        for link, column in zip(other.links, columns, strict=True):
            shake_hands(link, column.link(name))

        # Handshake. First row party <-> other: hellos, then proofs of the same keys.
        hello = first.row_channel_hello(name)
        confirmation = first.row_channel_agree(name, other.row_channel_hello(name))
        first.row_channel_confirm(name, other.row_channel_agree(name, hello))
        other.row_channel_confirm(name, confirmation)

        # Order. First row party -> other, sealed: the secret order of cells, in which both send
        # their rows. Other -> first, sealed: the names of its sessions, which the release binds.
        other.accept_order(first.share_order(name))
        first.accept_sessions(name, other.tell_sessions())


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
    rows: Sequence[RowParty],
    columns: Sequence[ColumnParty],
    aggregators: Sequence[Aggregator],
    wholes: Sequence[NDArray[np.uint8]],
) -> Coefficients:
    """Play the opening, which nobody can do alone, of the tables of several column parties.

    Args:
        plan: the study and its packing.
        rows: the row parties, in the order of the study. The first does what the row party does
            where there is one.
        columns: the column parties, in the order of the study.
        aggregators: the aggregator with each one's public key.
        wholes: (nodes, blocks, width) encrypted counts under each key.

    Returns:
        See `protocol.play`.
    """
    row = rows[0]
    tables = hide(plan, row, aggregators, wholes)

    # Approval. Aggregator -> row party: all tables without and with masks; aggregator -> each
    # column party: its own with masks. Row party: debits its data set, once -> each column party,
    # sealed: consent to open all of them.
    approvals = row.approve_tables(tables.plain, tables.masked, tables.receipts)
    consents = consent(rows)

    # Admission. Each column party: debits its data set. All but the first -> row party, sealed:
    # that they did.
    permits = [
        column.admit(table, approval, plan.packing, *of_others)
        for column, table, approval, of_others in zip(
            columns, tables.masked, approvals, consents, strict=True
        )
    ]
    tell_debits(rows, columns, permits)
    told = zip(columns[1:], permits[1:], strict=True)
    row.accept_debits([column.tell_debit(permit) for column, permit in told])

    # Row party: takes the sum of its masks off, puts the nodes into declared order.
    sums = [add_up(plan, columns, tables.masked, permits)]
    coefficients = row.unblind(sums, plan.packing)
    check_opened(plan, row, columns, Opened(approvals, sums, coefficients))
    show_debits(rows, columns, approvals)
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


def consent(rows: Sequence[RowParty]) -> list[list[bytes]]:
    """Play the consent of all row parties but the first, which has approved the tables.

    Returns:
        For each column party what each of them sends it.
    """
    # Consent. First row party -> other, sealed: what it approved. Other: debits its data set ->
    # each column party, sealed: consent to the same.
    first, *others = rows
    given = [other.consent(first.tell_terms(other.row_party)) for other in others]
    return [[of_row[number] for of_row in given] for number in range(len(first.links))]


def tell_debits(
    rows: Sequence[RowParty], columns: Sequence[ColumnParty], permits: Sequence[bytes]
) -> None:
    """Play what the row parties but the first are told of the column parties' debits."""
    # Admission. Each column party -> each row party, sealed: that it debited its data set.
    told = [
        column.tell_debit_to_others(permit) for column, permit in zip(columns, permits, strict=True)
    ]
    for number, other in enumerate(rows[1:]):
        other.accept_all_debits([of_column[number] for of_column in told])


def show_debits(
    rows: Sequence[RowParty], columns: Sequence[ColumnParty], approvals: Sequence[bytes]
) -> None:
    """Play what the row parties but the first tell after publication."""
    # Check. Each row party -> each column party, sealed: that its ledger holds the debit.
    shown = [other.show_debit() for other in rows[1:]]
    for number, (column, approval) in enumerate(zip(columns, approvals, strict=True)):
        column.accept_row_debits(approval, [of_row[number] for of_row in shown])
