"""The opening of several column parties' tables: all of them consent, and the sum alone is told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.joint import NAMES, NODES, made
from tests.sizes import first
from xstat_ray.crypto import masking
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import BudgetError, ProtocolError
from xstat_ray.model.messages import Debited, JointApproval, MaskedTable
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.opening import joint_release_id, proven_key, table_digest


@pytest.fixture(scope="module")
def keys():
    """Keys with their proofs, which take longer than the rest of a test."""
    made = [generate(2048) for _ in NAMES]
    return [(key, proven_key(key)) for key in made]


@pytest.fixture
def opening(keys, tmp_path):
    return made(tmp_path, keys)


@pytest.mark.parametrize(
    ("parties", "noise"),
    first(1, [(3, "laplace"), (2, "off"), (2, "gaussian"), (3, "gaussian")]),
)
def test_what_is_unmasked_is_the_sum_of_all_parties(keys, tmp_path, parties, noise):
    opening = made(tmp_path, keys, parties, noise)
    approvals, opened = opening.opened()
    coefficients = opening.row.unblind(opened, opening.plan.packing)
    assert sorted(map(tuple, coefficients.values.tolist())) == opening.noisy()
    opening.check(approvals, opened, coefficients)


def test_the_release_id_is_formed_by_all_from_all_sessions_and_tables(opening):
    masked, approvals = opening.approved()
    opening.admit(masked, approvals)
    agreed = opening.plan.study
    digests = b"".join(table_digest(table, agreed) for table in masked)
    sessions = b"".join(bytes.fromhex(column.session()) for column in opening.columns)
    expected = joint_release_id(sessions, digests)
    datasets = {"row": "small/row", **{name: f"small/{name}" for name in NAMES}}
    for name, dataset in datasets.items():
        entries = Ledger(opening.ledgers[name]).history(dataset)
        assert [entry.release for entry in entries if entry.kind == "debit"] == [expected]
    assert len({expected, joint_release_id(sessions[::-1], digests)}) == 2


def test_reruns_spend_nothing(opening):
    masked, approvals = opening.approved()
    opening.admit(masked, approvals)
    permits = opening.admit(masked, approvals)
    for _ in range(2):
        opening.row.accept_debits(opening.debits(permits))
    assert [opening.paid(name) for name in opening.ledgers] == [1] * 4


# What the row party does not approve, and what it does not unmask


def swapped(opening, tables, masked, masks):
    """The tables of two column parties in the other order, with masks and receipts."""
    return tables[::-1], masked[::-1], masks[::-1]


def other_keys_masks(opening, tables, masked, masks):
    """The receipts of two column parties are swapped."""
    return tables, masked, [masks[1], masks[0], masks[2]]


def unmasked_cell(opening, tables, masked, masks):
    """The last column party would read one of its cells."""
    changed = masked[2].ciphertexts.copy()
    changed[0] = tables[2].ciphertexts[0]
    return tables, [*masked[:2], MaskedTable(ciphertexts=changed)], masks


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (swapped, "receipt of masks.* altered|row party's masks"),
        (other_keys_masks, "receipt of masks.* altered"),
        (unmasked_cell, "does not have the row party's masks on it"),
    ],
)
def test_the_row_party_approves_nothing_but_its_masks_on_every_table(opening, attack, reason):
    tables = opening.tables()
    masks = opening.masks()
    with pytest.raises(ProtocolError, match=reason):
        opening.approve(*attack(opening, tables, opening.masked(tables, masks), masks))
    assert opening.paid("row") == 0


def test_one_set_of_tables_a_session_is_approved(opening):
    opening.approved()
    with pytest.raises(ProtocolError, match="another table was approved before in this session"):
        opening.approved()


def test_nothing_is_unmasked_before_every_column_party_has_told_its_debit(opening):
    masked, approvals = opening.approved()
    permits = opening.admit(masked, approvals)
    sealed = opening.add(masked, permits, NODES, opening.residues(masked, permits, NODES))
    debits = opening.debits(permits)
    packing = opening.plan.packing
    with pytest.raises(ProtocolError, match="not every column party has told"):
        opening.row.unmask(sealed, packing)
    for told in ([], debits[:1]):
        with pytest.raises(ProtocolError, match="not every column party has told"):
            opening.row.accept_debits(told)
    with pytest.raises(ProtocolError, match="debited.* altered"):
        opening.row.accept_debits(debits[::-1])
    opening.row.accept_debits(debits)
    opening.row.unmask(sealed, packing)


def test_a_debit_of_another_release_is_none_of_this_one(opening):
    masked, approvals = opening.approved()
    opening.admit(masked, approvals)
    third = opening.columns[2]
    wrong = Debited("00ff" * 8, np.zeros((1, 32), np.uint8))
    told = [opening.columns[1]._seal("debited", wrong), third._seal("debited", wrong)]
    with pytest.raises(ProtocolError, match="two debited another release than was approved"):
        opening.row.accept_debits(told)


def test_the_heads_of_all_ledgers_are_recorded_by_the_row_party_and_its_own_by_all(opening):
    opening.opened()
    for name in NAMES[1:]:
        head = Ledger(opening.ledgers[name]).head()
        kept = Ledger(opening.ledgers["row"]).witnessed(f"small/{name}", "other session")
        assert list(kept) == [head]
    of_row = Ledger(opening.ledgers["row"]).history("small/row")
    assert [entry.kind for entry in of_row if entry.kind == "debit"] == ["debit"]
    for name in NAMES:
        assert len(Ledger(opening.ledgers[name]).witnessed("small/row", "other session")) == 1


# Whoever departs


@pytest.mark.parametrize("who", first(1, [1, 0, 2]))
def test_garbage_of_a_column_party_is_refused(opening, monkeypatch, who):
    """Whatever one party sends in place of its residues, uniform numbers come out of the sum."""
    honest = ColumnParty._residues
    departing = opening.columns[who]

    def garbage(self, masked, told, part):
        numbers = honest(self, masked, told, part)
        if self is not departing:
            return numbers
        return masking.mask_numbers(bytes(32), told.sum_modulus, range(len(numbers)))

    monkeypatch.setattr(ColumnParty, "_residues", garbage)
    _, opened = opening.opened()
    with pytest.raises(ProtocolError, match="larger than any packed one"):
        opening.row.unblind(opened, opening.plan.packing)


def test_a_residue_that_is_lost_or_comes_twice_is_refused(opening):
    masked, approvals = opening.approved()
    permits = opening.admit(masked, approvals)
    residues = opening.residues(masked, permits, NODES)
    for wrong in ([], residues[:1], [*residues, residues[0]]):
        with pytest.raises(ProtocolError, match="adds up what all others opened"):
            opening.add(masked, permits, NODES, wrong)
    with pytest.raises(ProtocolError, match="residues.* altered"):
        opening.add(masked, permits, NODES, residues[::-1])
    with pytest.raises(ProtocolError, match="opened other nodes"):
        opening.add(masked, permits, NODES, opening.residues(masked, permits, range(1, 3)))
    with pytest.raises(ProtocolError, match="opened other nodes"):
        opening.add(masked, permits, range(2), opening.residues(masked, permits, range(1, 3)))
    assert opening.add(masked, permits, NODES, residues)


def test_numbers_that_are_not_below_b_are_refused(opening, monkeypatch):
    masked, approvals = opening.approved()
    permits = opening.admit(masked, approvals)
    honest = ColumnParty._residues

    def larger(self, masked, told, part):
        return [told.sum_modulus + number for number in honest(self, masked, told, part)]

    monkeypatch.setattr(ColumnParty, "_residues", larger)
    with pytest.raises(ProtocolError, match="two sent numbers that are not below B"):
        opening.add(masked, permits, NODES, opening.residues(masked, permits, NODES))


def test_only_the_first_column_party_adds_up(opening):
    masked, approvals = opening.approved()
    permits = opening.admit(masked, approvals)
    residues = opening.residues(masked, permits, NODES)
    second = opening.columns[1]
    opening.row._noise, second._noise = second._noise, opening.row._noise
    with pytest.raises(ProtocolError, match="the first column party adds up"):
        second.add_residues(
            masked[1], permits[1], NODES, second.noise_of(NODES, opening.plan.packing), residues
        )
    with pytest.raises(ProtocolError, match="nothing to tell each other"):
        second.channel_hello("three")


def test_a_row_party_that_shows_column_parties_different_approvals_gets_nothing(opening):
    """A commitment to other masks for the second: what it opens is not added up."""
    masked, approvals = opening.approved()
    second = opening.columns[1]
    told = second._open("approval", approvals[1], JointApproval)
    lie = replace(told, commitment="11" * 32)
    approvals[1] = opening.row.link("two")._seal("approval", lie)
    permits = opening.admit(masked, approvals)
    with pytest.raises(ProtocolError, match="two opened another release"):
        opening.add(masked, permits, NODES, opening.residues(masked, permits, NODES))


@pytest.mark.parametrize("field", ["sessions", "tables", "release", "fewer"])
def test_an_approval_that_is_not_of_these_sessions_and_tables_is_refused(opening, field):
    masked, approvals = opening.approved()
    third = opening.columns[2]
    told = third._open("approval", approvals[2], JointApproval)
    if field == "release":
        lie = replace(told, release="00ff" * 8)
    elif field == "fewer":
        lie = replace(told, sessions=told.sessions[:2], tables=told.tables[:2])
    else:
        changed = getattr(told, field).copy()
        changed[0, 0] ^= 1
        lie = replace(told, **{field: changed})
    sealed = opening.row.link("three")._seal("approval", lie)
    with pytest.raises(ProtocolError, match="approval is of another release"):
        third.admit(masked[2], sealed, opening.plan.packing)
    with pytest.raises(ProtocolError, match="approval.* altered"):
        third.admit(masked[2], approvals[1], opening.plan.packing)
    with pytest.raises(ProtocolError, match="approved another table than the aggregator's"):
        third.admit(masked[1], approvals[2], opening.plan.packing)


@pytest.mark.parametrize("refusing", first(1, [2, 0, 1]))
def test_the_refusal_of_one_ledger_ends_the_release_before_anything_is_opened(
    opening, monkeypatch, refusing
):
    monkeypatch.setattr(PrivateKey, "decrypt", lambda *_: pytest.fail("decrypted"))
    name = NAMES[refusing]
    Ledger(opening.ledgers[name]).set_cap(f"small/{name}", Fraction(1, 2))
    masked, approvals = opening.approved()
    assert opening.paid("row") == 1
    with pytest.raises(BudgetError, match="Nothing was decrypted"):
        opening.admit(masked, approvals)
    assert [opening.paid(other) for other in NAMES] == [1] * refusing + [0] * (3 - refusing)


def test_the_row_partys_ledger_comes_first(opening):
    Ledger(opening.ledgers["row"]).set_cap("small/row", Fraction(1, 2))
    with pytest.raises(BudgetError, match="small/row"):
        opening.approved()
    assert [opening.paid(name) for name in NAMES] == [0, 0, 0]


# What every column party checks in the end


@pytest.mark.parametrize("who", first(2, [0, 2, 1]))
def test_other_figures_than_were_opened_are_found_by_every_column_party(opening, who):
    approvals, opened = opening.opened()
    published = opening.row.unblind(opened, opening.plan.packing)
    shown = opening.row.show_masks(published.release)[who]
    column = opening.columns[who]
    seen = opening.first.show_sums(column.party, opened) if who else opened
    packing = opening.plan.packing
    column.check_published(approvals[who], seen, shown, published, packing)
    values = published.values.copy()
    values[0, 0] += 1
    with pytest.raises(ProtocolError, match="published other figures"):
        changed = replace(published, values=values)
        column.check_published(approvals[who], seen, shown, changed, packing)
    opening.row._mask_seed = bytes(32)
    shown = opening.row.show_masks(published.release)[who]
    with pytest.raises(ProtocolError, match="not the one that was committed to"):
        column.check_published(approvals[who], seen, shown, published, packing)


def test_all_can_be_killed_and_start_again(opening, tmp_path):
    masked, approvals = opening.approved()
    permits = opening.admit(masked, approvals)
    shares = opening.row._noise, opening.first._noise
    folders = {party: tmp_path / party for party in ("row", *NAMES)}
    opening.row.save(folders["row"])
    for column in opening.columns:
        column.save(folders[column.party])
    agreed = opening.plan.study
    row = RowParty(agreed, opening.row._source)
    columns = [ColumnParty(agreed, c._source, party=c.party) for c in opening.columns]
    row.load(folders["row"])
    for column in columns:
        column.load(folders[column.party])
    row._noise, columns[0]._noise = shares
    again = replace(opening, row=row, columns=columns)
    residues = opening.residues(masked, permits, NODES)
    assert again.admit(masked, approvals)
    sealed = again.add(masked, permits, NODES, residues)
    row._settled = opening.row._settled
    row.accept_debits(again.debits(permits))
    values = row.unblind([sealed], opening.plan.packing).values
    assert sorted(map(tuple, values.tolist())) == again.noisy()
