"""The whole protocol in order, in one process, with every message encoded and decoded.

Read this to learn what happens: `play` names the stages, and each stage stands below it, in the
order in which they take place. It is the reference: every distributed run gives the same counts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.channel import hand_over
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.joint_opening import (
    column_parties,
    connect,
    meet,
    open_tables,
    row_parties,
    shake_hands,
)
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
from xstat_ray.noise.bits import SEED_BYTES
from xstat_ray.noise.covert import CovertCheck
from xstat_ray.noise.draw import Dealing
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.places import Place
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.aggregator import draw_share
from xstat_ray.roles.join import Joined
from xstat_ray.roles.opening import checked_key

Table = Path | str
FRESH: Mapping[str, bytes] = {}
"""No seeds: each party draws fresh secret bytes."""


def play(
    plan: Plan,
    *,
    row_table: Table | Mapping[str, Table],
    column_table: Table | Mapping[str, Table],
    ledger: Place,
    seeds: Mapping[str, bytes] = FRESH,
) -> Coefficients:
    """Play all parties and the aggregator, one after the other.

    Args:
        plan: the study with its key size, packing and shards.
        row_table: the row party's table; where the study names several, each one's by name.
        column_table: the column party's table; where the study names several, each one's by name.
        ledger: ledger, here of all parties.
        seeds: each party's 32 secret bytes from which it draws, of the `row` party or each one by
            name, and of the `column` party or each one by name; by default fresh ones.

    Returns:
        Noisy counts and sums (nodes, slots) of all measured levels, each in declared order.
    """
    study = plan.study
    rows = row_parties(study, row_table, ledger, seeds)
    columns = column_parties(study, column_table, ledger, seeds)

    first = rows[0]
    publics = agree(plan, first, columns)
    meet(rows, columns)
    connect(columns)
    exchange_persons(first, columns, *rows[1:])
    draw_noise(plan, first, columns[0])

    # The rows of each row party are counted by themselves; what is under one key is one table.
    aggregators = [
        [Aggregator(public, most, plan.design.cells) for public in publics]
        for most in (study.rows_per_flag_of(row.row_party) for row in rows)
    ]
    counted = [
        count(plan, row, columns, of_row) for row, of_row in zip(rows, aggregators, strict=True)
    ]
    wholes = [
        overlay(plan, first, aggregator, *of_key)
        for aggregator, *of_key in zip(aggregators[0], *counted, strict=True)
    ]
    if study.opens_jointly:
        return open_tables(plan, rows, columns, aggregators[0], wholes)
    return open_table(plan, first, columns[0], aggregators[0][0], wholes[0])


def agree(plan: Plan, row: RowParty, columns: Sequence[ColumnParty]) -> list[PublicKey]:
    """Play the handshakes, and the key holders' proofs of their keys; returns the public keys.

    The row party, or the first, has a link with each column party; what is said on one of them is
    no other column party's business.
    """
    publics = []
    for link, column in zip(row.links, columns, strict=True):
        shake_hands(link, column)

        # Key. Column party -> everybody: the public key, and a proof that masks under it hide
        # everything. The private key stays where it is made.
        column.generate_key(plan.key_bits, plan.constant_time)
        proven = column.public_key()
        link.accept_key(proven)
        publics.append(checked_key(proven))
    return publics


def exchange_persons(row: RowParty, columns: Sequence[ColumnParty], *others: RowParty) -> None:
    """Play intake and ID exchange, after which each link has keys for both ends' persons."""
    # Intake. Each party, for itself: read the table, leave people out, bound contributions.
    for one in (row, *others):
        one.intake()
    for column in columns:
        column.intake()

    ends = [
        (end, column.links[number])
        for number, one in enumerate((row, *others))
        for end, column in zip(one.links, columns, strict=True)
    ]
    for of_row, of_column in ends:
        # Transfers. Each end -> the other: an offer, then choices; both then know the bins.
        row_offer = of_row.offer_columns()
        column_offer = of_column.offer_columns()
        row_choices = of_row.choose_columns(column_offer)
        column_choices = of_column.choose_columns(row_offer)
        of_row.accept_choices(column_choices)
        bins = of_column.accept_choices(row_choices).bins

        # Each end -> the other: its persons of every bin, hidden. Both evaluate: person keys.
        for number in range(bins):
            row_matrix = of_row.hide(number)
            of_row.evaluate(of_column.hide(number), number)
            of_column.evaluate(row_matrix, number)


def draw_noise(plan: Plan, row: RowParty, column: ColumnParty) -> None:
    """Play the draw of the noise, after which each party has a share and nobody the noise.

    Args:
        plan: the study and its noise.
        row: the row party, after the handshake.
        column: the column party.
    """
    if plan.noise is not None:
        # Deal. Aggregator -> each party, sealed: a seed for every set of coins.
        sets = plan.study.privacy.checked
        secret = os.urandom(SEED_BYTES)
        session = row.session()
        digest = plan.study.digest
        dealing = Dealing(plan.noise, session, sets, seed=secret, study_digest=digest)
        of_row_party = dealing.export_seeds("row")
        of_column_party = dealing.export_seeds("column")
        row.accept_deal(hand_over(row.dealing_key(), {"seed": of_row_party}))
        column.accept_deal(hand_over(column.dealing_key(), {"seed": of_column_party}))

        for number in dealing.numbers:
            # Aggregator -> column party, sealed: the corrections of the part.
            deal = dealing.deal(number).encode(digest)
            sealed = hand_over(column.dealing_key(), {"deal": deal})

            # Openings. Each party -> the other, sealed, round after round.
            of_row: bytes | None = row.begin_noise(number)
            of_column: bytes | None = column.begin_noise(number, sealed)
            turn = 0
            while of_row is not None and of_column is not None:
                next_of_row = row.advance_noise(number, turn, of_column)
                of_column = column.advance_noise(number, turn, of_row)
                of_row = next_of_row
                turn += 1

        if sets > 1:
            check_sets(row, column, dealing.check)

    # Each party, for itself: keeps its share. Of Gaussian noise each draws one now, and where noise
    # is off shares are zero.
    row.keep_noise()
    column.keep_noise()


def check_sets(row: RowParty, column: ColumnParty, aggregator: CovertCheck) -> None:
    """Play the covert check: all sets of coins but one, which nobody chose, are computed again.

    Args:
        row: the row party, which has drawn all sets.
        column: the column party.
        aggregator: the aggregator's side, which has dealt all sets.
    """
    # Commitments. Each role -> both others (party to party sealed, here and below): to a nonce, and
    # to its seed and messages of every set.
    of_row = row.commit_noise()
    of_column = column.commit_noise()
    of_aggregator = aggregator.commit()

    # Toss. Each role -> both others, once it has their commitments: the nonce. The three nonces
    # tell which set is kept.
    row_toss = row.toss_noise(of_column.sealed, of_aggregator)
    column_toss = column.toss_noise(of_row.sealed, of_aggregator)
    toss = aggregator.toss({"row": of_row.plain, "column": of_column.plain})

    # Sets. Each role -> the parties: its seeds and digests of all other sets.
    row_sets = row.open_sets(column_toss.sealed, toss)
    column_sets = column.open_sets(row_toss.sealed, toss)
    sets = aggregator.open({"row": row_toss.plain, "column": column_toss.plain})

    # Each party, for itself: computes them again; a role that departed is named.
    row.check_sets(column_sets, sets)
    column.check_sets(row_sets, sets)


def count(
    plan: Plan, row: RowParty, columns: Sequence[ColumnParty], aggregators: Sequence[Aggregator]
) -> list[list[Partial]]:
    """Play what is sent to the aggregator, and its join.

    Args:
        plan: the study and its shards.
        row: a row party.
        columns: the column parties in the order of the study.
        aggregators: the aggregator with each one's public key.

    Returns:
        For each column party every batch's encrypted counts, under its key.
    """
    digest = plan.study.digest

    # Padding. Each party, for itself: how many dummies it sends, where the study asks for any.
    row.prepare(plan.grid, row.draw_dummies(plan.grid))
    for column in columns:
        column.prepare(plan.grid, column.draw_dummies(plan.grid))
    flags = send_flags(plan, row, columns)

    # De-identify and join. Row party -> aggregator: every shard's rows, (tags, blinded cell). A row
    # counts for the first column party whose flags it meets.
    joined: list[list[list[Joined]]] = [[[] for _ in of_party] for of_party in flags]
    for shard in plan.grid.shards:
        batch = shard.batch
        rows = Rows.decode(row.emit(shard).encode(digest), digest)
        met = [of_party[batch] for of_party in flags]
        for number, aggregator in enumerate(aggregators):
            joined[number][batch].append(aggregator.join(rows, *met[: number + 1]))

    # Row bound. Aggregator, for itself: a flag that met too many rows of its batch counts nowhere.
    return [
        [
            Partial.decode(aggregator.bound(*joined_of, flags_of).encode(digest), digest)
            for joined_of, flags_of in zip(joined_with, of_party, strict=True)
        ]
        for aggregator, joined_with, of_party in zip(aggregators, joined, flags, strict=True)
    ]


def send_flags(plan: Plan, row: RowParty, columns: Sequence[ColumnParty]) -> list[list[Flags]]:
    """Play what column parties send for the rows of a row party."""
    digest = plan.study.digest
    how: tuple[Any, ...] = (plan.packing, *([row.row_party] if plan.study.row.parties else []))

    # De-identify. Each column party -> aggregator: every batch's flags, (tag, encrypted slot).
    return [
        [
            Flags.decode(column.emit(batch, 0, range(size), *how).encode(digest), digest)
            for batch, size in enumerate(column.sizes_for(row.row_party))
        ]
        for column in columns
    ]


def overlay(
    plan: Plan, row: RowParty, aggregator: Aggregator, *partials: Sequence[Partial]
) -> NDArray[np.uint8]:
    """Play the overlay of all batches of each row party, and the sums of areas, still encrypted.

    Returns:
        (nodes, blocks, width) encrypted counts and sums of all measured levels.
    """
    digest = plan.study.digest
    counts = aggregator.unite(*(aggregator.add(*of_row) for of_row in partials))
    levels = [aggregator.lay_out(counts, plan.design.cells, plan.packing.blocks)]

    # Row party -> aggregator: the sizes of the row tree's nodes; with padding all are equal, and
    # nothing is sent.
    starts = plan.design.starts
    if starts is None:
        view = row.view()
        sent = [Tree(view=view, starts=level).encode(digest) for level in row.tree_starts()]
        starts = [Tree.decode(tree, digest).starts for tree in sent]

    # Aggregator, for itself: sums of consecutive nodes.
    for of_level in starts:
        levels.append(aggregator.sum_up(levels[-1], of_level))
    return np.concatenate(levels)


def open_table(
    plan: Plan,
    row: RowParty,
    column: ColumnParty,
    aggregator: Aggregator,
    whole: NDArray[np.uint8],
) -> Coefficients:
    """Play the opening, which nobody can do alone, of `whole` (nodes, blocks, width).

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
