"""The opening of a table: nobody alone, one table a session, and what was opened is published."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.case import Case, study, use_key
from tests.roles.pair import agreed_pair
from tests.sizes import thorough
from xstat_ray.crypto import masking
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.channel import pack_fields
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey, PublicEncryptor
from xstat_ray.errors import BudgetError, ProtocolError
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Coefficients, MaskedTable, RerandomisedTable
from xstat_ray.noise.shares import pack_shares
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.protocol import draw_noise
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.noise_share import SHARE
from xstat_ray.roles.opening import checked_key, release_id, table_digest
from xstat_ray.roles.row_opening import Masked

STUDY = study(noise="laplace", areas=[f"area {number}" for number in range(6)], privacy={"cap": 2})
VALUES = np.arange(12).reshape(6, 2) - 3
"""What is counted in these tests."""


@dataclass
class Opening:
    """Both parties with a table between them, none of it opened."""

    plan: Plan
    key: PrivateKey
    row: RowParty
    column: ColumnParty
    ledger: Path

    def table(self) -> RerandomisedTable:
        """A table as an aggregator makes it, of known values; another one each time."""
        packing = self.plan.packing
        zero = packing.pack(np.zeros((1, 2), np.int64))[0]
        n = self.key.public.n
        plain = [(number - zero) % n for number in packing.pack(VALUES)]
        ciphertexts = PublicEncryptor(self.key.public, 6).encrypt(plain)
        return RerandomisedTable(ciphertexts=ciphertexts.reshape(6, 1, -1))

    def masks(self) -> list[Masked]:
        """The row party's masks, in two parts."""
        packing = self.plan.packing
        return [
            self.row.mask_table(part, self.row.noise_of(part, packing), packing, 6)
            for part in (range(2), range(2, 6))
        ]

    def noisy(self) -> list[tuple[int, ...]]:
        """What is opened: the values with the noise that both parties have drawn, sorted."""
        low, high = self.row._noise + self.column._noise
        return sorted(map(tuple, (VALUES + low + (high << 32)).tolist()))

    def masked(self, table: RerandomisedTable, masks: list[Masked]) -> MaskedTable:
        """The table with these masks on it."""
        aggregator = Aggregator(self.key.public, 1, 6)
        return aggregator.put_masks(table, [made.masks for made in masks])

    def approve(self, table: RerandomisedTable, masked: MaskedTable, masks: list[Masked]) -> bytes:
        """Ask the row party for its approval."""
        return self.row.approve(table, masked, [made.receipt for made in masks])

    def approved(self) -> tuple[MaskedTable, bytes]:
        """A masked table, and the approval of it."""
        table = self.table()
        masks = self.masks()
        masked = self.masked(table, masks)
        return masked, self.approve(table, masked, masks)

    def opened(self) -> tuple[bytes, list[bytes]]:
        """The approval of a table, and the parts in which it was opened."""
        masked, approval = self.approved()
        permit = self.column.admit(masked, approval, self.plan.packing)
        parts = (range(1), range(1, 6))
        return approval, [self.open(masked, permit, part) for part in parts]

    def open(self, masked: MaskedTable, permit: bytes, part: range) -> bytes:
        """Have the key holder open a part."""
        noise = self.column.noise_of(part, self.plan.packing)
        return self.column.open_part(masked, permit, part, noise)

    def check(self, approval: bytes, opened: list[bytes], published: Coefficients) -> None:
        """Have the key holder check a publication."""
        shown = self.row.show_mask(published.release)
        self.column.check_published(approval, opened, shown, published, self.plan.packing)


@pytest.fixture(scope="module")
def key():
    return generate(2048)


@pytest.fixture
def opening(key, tmp_path, monkeypatch):
    use_key(key, monkeypatch.setattr)
    case = Case(tmp_path)
    row, column = agreed_pair(STUDY, case.tables["row"], case.tables["column"])
    for party in (row, column):
        party._source = Source(case.tables[party.role], ledger=case.ledger)
    column.generate_key(2048)
    row.accept_key(column.public_key())
    plan = make_plan(STUDY, key_bits=2048)
    draw_noise(plan, row, column)
    return Opening(plan, key, row, column, case.ledger)


def test_what_is_unmasked_is_what_was_in_the_table(opening):
    approval, opened = opening.opened()
    coefficients = opening.row.unblind(opened, opening.plan.packing)
    assert sorted(map(tuple, coefficients.values.tolist())) == opening.noisy()
    opening.check(approval, opened, coefficients)


def test_the_release_id_is_formed_by_both_from_session_and_table(opening):
    masked, approval = opening.approved()
    permit = opening.column.admit(masked, approval, opening.plan.packing)
    digest = table_digest(masked, STUDY)
    expected = release_id(opening.row.session(), digest)
    assert opening.row.session() == opening.column.session() and len(expected) == 32
    sealed = opening.open(masked, permit, range(6))
    assert opening.row.unmask(sealed, opening.plan.packing).release == expected
    for role in ("row", "column"):
        entries = Ledger(opening.ledger).history(f"small/{role}")
        assert [entry.release for entry in entries if entry.kind == "debit"] == [expected]
    assert release_id("00" * 32, digest) != expected != release_id(opening.row.session(), bytes(32))


def test_the_key_holder_decrypts_numbers_that_tell_nothing(opening):
    """Uniform numbers take all bits of n; what is packed takes a few."""
    masked, _ = opening.approved()
    key = opening.key
    seen = key.decrypt(masked.ciphertexts.reshape(6, -1))
    assert min(number.bit_length() for number in seen) > 1900
    of_aggregator = opening.masks()[0].masks.ciphertexts.reshape(2, -1)
    masks = masking.mask_numbers(opening.row._mask_seed, key.public.n, range(2))
    left = masking.subtract(key.decrypt(of_aggregator), masks, key.public.n)
    share = pack_shares(opening.row._noise[:, :2], opening.plan.packing)
    assert left == [number % key.public.n for number in share]


@thorough
def test_all_parts_of_an_environment_are_masked_by_the_same_tables(opening, monkeypatch):
    made = []
    honest = masking.ResidueProducts
    monkeypatch.setattr(masking, "ResidueProducts", lambda *a: made.append(a) or honest(*a))
    monkeypatch.setattr(masking, "base_count", lambda _: 1)
    masks = opening.masks()
    assert len(made) == (1 if kernel().tables else 0)
    numbers = [opening.key.decrypt(part.masks.ciphertexts[:, 0]) for part in masks]
    n = opening.key.public.n
    expected = masking.mask_numbers(opening.row._mask_seed, n, range(6))
    share = pack_shares(opening.row._noise, opening.plan.packing)
    assert [*numbers[0], *numbers[1]] == masking.add(expected, share, n)


# What the row party does not approve


def other_masks(opening, table, masks):
    """The first mask is left out: the key holder would read the counts of one cell."""
    masked = opening.masked(table, masks)
    changed = masked.ciphertexts.copy()
    changed[0] = table.ciphertexts[0]
    return table, MaskedTable(ciphertexts=changed), masks


def other_table(opening, table, masks):
    """The table that is shown is not the one under the masks."""
    return opening.table(), opening.masked(table, masks), masks


def one_more(opening, table, masks):
    """Something is added to a cell after the masks."""
    masked = opening.masked(table, masks)
    changed = masked.ciphertexts.copy()
    public = opening.key.public
    (number,) = from_rows(changed[3])
    changed[3] = to_rows([number * (1 + public.n) % public.n2], public.width)
    return table, MaskedTable(ciphertexts=changed), masks


def half_the_masks(opening, table, masks):
    """The aggregator keeps a receipt back."""
    return table, opening.masked(table, masks), masks[:1]


def other_order(opening, table, masks):
    """The receipts come in another order."""
    return table, opening.masked(table, masks), masks[::-1]


def shorter(opening, table, masks):
    """A node is missing in both tables."""
    masked = opening.masked(table, masks)
    cut = [replace(t, ciphertexts=t.ciphertexts[:-1].copy()) for t in (table, masked)]
    return *cut, masks


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (other_masks, "does not have the row party's masks on it"),
        (other_table, "does not have the row party's masks on it"),
        (one_more, "does not have the row party's masks on it"),
        (half_the_masks, "not those of the masks of the whole table"),
        (other_order, "not those of the masks of the whole table"),
        (shorter, "size of the study's table"),
    ],
)
def test_the_row_party_approves_nothing_but_its_masks_on_the_table_it_saw(opening, attack, reason):
    with pytest.raises(ProtocolError, match=reason):
        opening.approve(*attack(opening, opening.table(), opening.masks()))


def test_masks_of_an_earlier_session_are_no_masks_of_this_one(opening, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    case = Case(other)
    row, _ = agreed_pair(STUDY, case.tables["row"], case.tables["column"])
    row.accept_key(opening.column.public_key())
    row._noise = opening.row._noise
    masks = replace(opening, row=row).masks()
    table = opening.table()
    with pytest.raises(ProtocolError, match="receipt of masks.* altered"):
        opening.approve(table, opening.masked(table, masks), masks)
    mine = opening.masks()
    with pytest.raises(ProtocolError, match="does not have the row party's masks"):
        opening.approve(table, opening.masked(table, masks), mine)


def write_share(folder, party, session=None):
    """Keep a share of the noise as a party does that has a folder when it is drawn."""
    content = io.BytesIO()
    np.save(content, party._noise)
    kept = {"session": (session or party.session()).encode(), "share": content.getvalue()}
    (folder / SHARE).write_bytes(pack_fields(kept))


def test_a_share_of_another_session_is_not_taken(opening, tmp_path):
    write_share(tmp_path, opening.row, session="ab" * 32)
    opening.row.save(tmp_path)
    row = RowParty(STUDY, opening.row._source)
    row.load(tmp_path)
    with pytest.raises(ProtocolError, match="the noise has not been drawn"):
        row.noise_of(range(1), opening.plan.packing)


@pytest.mark.parametrize("folder", [None, "private"])
def test_one_table_a_session_is_approved_and_opened(opening, tmp_path, folder):
    if folder:
        for party in (opening.row, opening.column):
            party.save(tmp_path / party.role)
            write_share(tmp_path / party.role, party)
    first, approval = opening.approved()
    packing = opening.plan.packing
    opening.column.admit(first, approval, packing)
    if folder:
        # The parties are killed and start again.
        row = RowParty(STUDY, opening.row._source)
        row.load(tmp_path / "row")
        column = ColumnParty(STUDY, opening.column._source)
        column.load(tmp_path / "column")
        opening = replace(opening, row=row, column=column)
    with pytest.raises(ProtocolError, match="another table was approved before in this session"):
        opening.approved()
    # Even a row party that approves two has one opened.
    opening.row._settled.clear()
    opening.row._folder = None
    opening.row._source = Source(tmp_path, ledger=tmp_path / "other ledger")
    second, consent = opening.approved()
    with pytest.raises(ProtocolError, match="another table was admitted before in this session"):
        opening.column.admit(second, consent, packing)
    opening.column.admit(first, approval, packing)
    assert Ledger(opening.ledger).spent("small/row") == 1
    assert Ledger(opening.ledger).spent("small/column") == 1


# What the key holder does not open


def test_without_an_approval_nothing_is_opened(opening, monkeypatch):
    monkeypatch.setattr(PrivateKey, "decrypt", lambda *_: pytest.fail("decrypted"))
    masked, approval = opening.approved()
    other = opening.masked(opening.table(), opening.masks())
    packing = opening.plan.packing
    for table, consent, reason in (
        (masked, b"", "approval.* was altered"),
        (masked, approval[:-1], "approval.* was altered"),
        (masked, opening.column._channel("column").seal(b"", "approval"), "was altered"),
        (other, approval, "approved another table than the aggregator's"),
    ):
        with pytest.raises(ProtocolError, match=reason):
            opening.column.admit(table, consent, packing)
    permit = opening.column.admit(masked, approval, packing)
    with pytest.raises(ProtocolError, match="not the one that was admitted"):
        opening.open(other, permit, range(6))
    with pytest.raises(ProtocolError, match="permit.* was altered"):
        opening.open(masked, approval, range(6))


def test_nothing_is_opened_that_the_ledger_does_not_pay_for(opening, monkeypatch):
    monkeypatch.setattr(PrivateKey, "decrypt", lambda *_: pytest.fail("decrypted"))
    Ledger(opening.ledger).set_cap("small/column", Fraction(1, 2))
    masked, approval = opening.approved()
    assert Ledger(opening.ledger).spent("small/row") == 1
    with pytest.raises(BudgetError, match="Nothing was decrypted"):
        opening.column.admit(masked, approval, opening.plan.packing)


def test_nothing_is_approved_that_the_row_party_does_not_pay_for(opening):
    Ledger(opening.ledger).set_cap("small/row", Fraction(1, 2))
    with pytest.raises(BudgetError, match="small/row"):
        opening.approved()
    assert Ledger(opening.ledger).spent("small/column") == 0


# What the row party does not publish, and the key holder not accept


def test_a_number_that_was_changed_after_decryption_is_refused(opening):
    """Garbage has bits above the slots, but for a chance of 2^-64."""
    _, opened = opening.opened()
    packing = opening.plan.packing
    opening.row._mask_seed = masking.draw_seed()
    with pytest.raises(ProtocolError, match="decrypted number"):
        opening.row.unblind(opened, packing)


def test_figures_other_than_those_that_were_opened_are_noticed(opening):
    approval, opened = opening.opened()
    good = opening.row.unblind(opened, opening.plan.packing)
    opening.check(approval, opened, good)
    changed = good.values.copy()
    changed[0, 0] += 1
    with pytest.raises(ProtocolError, match="other figures than were opened"):
        opening.check(approval, opened, replace(good, values=changed))
    twice = good.values.copy()
    # Noise may make two areas alike.
    twice[0] = next(area for area in twice[1:] if (area != twice[0]).any())
    with pytest.raises(ProtocolError, match="other figures than were opened"):
        opening.check(approval, opened, replace(good, values=twice))
    with pytest.raises(ProtocolError, match="another release than was opened"):
        opening.check(approval, opened, replace(good, release="00" * 16))
    opening.row._mask_seed = masking.draw_seed()
    with pytest.raises(ProtocolError, match="not the one that was committed to"):
        opening.check(approval, opened, good)


def test_a_key_without_a_proof_is_refused(opening):
    proven = opening.column.public_key()
    assert checked_key(proven) == opening.key.public
    for data in (proven[:-1], proven[:-256] + bytes(256), opening.key.public.encode()):
        with pytest.raises(ProtocolError):
            opening.row.accept_key(data)
