"""Lies that a domain signs: refused for the reason that fits, or not provided against."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.case import COUNTS, Case, study
from tests.federation.attacks import DIGEST, NOISY, invert_ciphertexts, log_of, refused
from tests.federation.domains import Domains
from tests.sizes import every_other, first, thorough
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import AttestationError, MessageError, PendingError
from xstat_ray.federation import attestation
from xstat_ray.federation import release as published
from xstat_ray.federation.aggregate import AggregatorSteps
from xstat_ray.federation.attestation_settings import AttestationSettings, Demanded
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.federation.release import PublisherSteps
from xstat_ray.model.encoding import Message
from xstat_ray.model.messages import (
    Flags,
    MaskedTable,
    Masks,
    RerandomisedTable,
    Rows,
    Tree,
)
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import ColumnParty, RowParty


@pytest.fixture
def domains(quick_key: PrivateKey, tmp_path: Path) -> Domains:
    return Domains(tmp_path, NOISY, Case(tmp_path).tables)


Change = Callable[[bytes], Any]
"""From the payload that a domain made to another one, perhaps with other numbers in its header."""


@pytest.fixture
def tamper(monkeypatch: pytest.MonkeyPatch) -> Callable[[Domain, str, Change], None]:
    """Make a domain send something else than its software made, under its signature."""

    def patch(sender: Domain, kind: str, change: Change) -> None:
        send = Mailbox.send

        def sending(self, receiver, what, payload, **place):
            if (self.domain, what) == (sender, kind):
                changed = change(payload if isinstance(payload, bytes) else payload())
                payload, other = changed if isinstance(changed, tuple) else (changed, {})
                place |= other
            return send(self, receiver, what, payload, **place)

        monkeypatch.setattr(Mailbox, "send", sending)

    return patch


def hello(start: int, value: bytes) -> Change:
    """Give one of the hello's fields another value."""
    return lambda payload: payload[:start] + value + payload[start + 32 :]


def table(kind: type[Message], **changes: Callable[[Any], Any]) -> Change:
    """Make columns of a table anew from the old ones."""

    def change(payload: bytes) -> bytes:
        message = kind.decode(payload, DIGEST)
        return replace(
            message, **{name: make(getattr(message, name)) for name, make in changes.items()}
        ).encode(DIGEST)

    return change


def with_number(number: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """Put this number in the place of the first ciphertext."""

    def make(ciphertexts: NDArray[np.uint8]) -> NDArray[np.uint8]:
        changed = ciphertexts.copy()
        changed[0, 0] = np.frombuffer(int(number).to_bytes(changed.shape[2], "little"), np.uint8)
        return changed

    return make


def facts(**changes: object) -> Change:
    return lambda payload: canonical(json.loads(payload) | changes)


P25519 = 2**255 - 19
LOW_ORDER = [
    *(number.to_bytes(32, "little") for number in (0, 1, P25519 - 1, P25519, P25519 + 1)),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
]


def shorter(ciphertexts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return ciphertexts[:-1].copy()


def narrower(ciphertexts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return ciphertexts[:, :, :-1].copy()


def shorter_as_its_header_says(payload: bytes) -> tuple[bytes, dict[str, int]]:
    return table(MaskedTable, ciphertexts=shorter)(payload), {"rows": 2}


def doubled(ciphertexts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put the first node in the place of the second one."""
    changed = ciphertexts.copy()
    changed[1] = changed[0]
    return changed


def other_provider(payload: bytes) -> bytes:
    return payload.replace(b'"provider":"software"', b'"provider":"softwarf"')


AGGREGATOR = "aggregator"
UNMASKED = "does not have the row party's masks on it"
TABLE_SIZE = "size of the study's table"
TOO_MANY = "as many as its header says"
OUT_OF_RANGE = "not a ciphertext: out of range"
NO_DEBIT = "did not debit what the study costs"


@pytest.mark.parametrize(
    ("sender", "kind", "change", "reason", "receiver"),
    every_other(
        4,
        [
            *(("row", "hello", hello(17, public), "low order", "column") for public in LOW_ORDER),
            ("row", "hello", hello(49, bytes(32)), "different studies", "column"),
            ("column", "hello", hello(81, bytes(32)), "different software", "row"),
            (
                "row",
                "hello",
                lambda p: p[:16] + b"\1" + p[17:],
                "both parties play the column party",
                "column",
            ),
            ("row", "hello", lambda p: p[:-1], "not a hello", "column"),
            (
                "row",
                "attest",
                lambda p: p[:-1] + bytes([p[-1] ^ 1]),
                "did not confirm the handshake",
                "column",
            ),
            ("row", "attest", lambda p: p[:-8], "malformed|confirm", "column"),
            ("column", "attest", other_provider, "evidence is malformed", "row"),
            ("row", "offer", lambda p: p[::-1], "altered or is not from the counterpart", "column"),
            (
                "row",
                "choices",
                lambda p: p[::-1],
                "altered or is not from the counterpart",
                "column",
            ),
            (
                "row",
                "matrix",
                lambda p: p[::-1],
                "altered or is not from the counterpart",
                "column",
            ),
            ("row", "challenge", lambda p: p[:-1], "a nonce of 32 bytes", AGGREGATOR),
            ("column", "challenge", lambda p: p + b"\0", "a nonce of 32 bytes", AGGREGATOR),
            (AGGREGATOR, "evidence", lambda p: p[1:], "payload is malformed", "row"),
            (AGGREGATOR, "evidence", other_provider, "evidence is malformed", "row"),
            ("column", "key", lambda p: p[: len(p) // 2], "wrong size", AGGREGATOR),
            (
                "column",
                "key",
                lambda p: p + p[: len(p) // 2],
                "wrong size|not in the group|prime factor|not the n-th power",
                AGGREGATOR,
            ),
            (
                "column",
                "key",
                lambda p: bytes([p[0] & 254]) + p[1:],
                "not a product of two primes",
                AGGREGATOR,
            ),
            ("column", "flags", table(Flags, ciphertexts=with_number(0)), OUT_OF_RANGE, AGGREGATOR),
            (
                "column",
                "flags",
                table(Flags, tags=lambda t: t[::-1].copy()),
                "tags are not sorted",
                AGGREGATOR,
            ),
            (
                "column",
                "flags",
                table(Flags, ciphertexts=narrower),
                "flags of another shape",
                AGGREGATOR,
            ),
            ("column", "flags", lambda p: (p, {"rows": 99}), TOO_MANY, AGGREGATOR),
            (
                "row",
                "rows",
                table(Rows, cells=lambda c: c + np.uint32(2)),
                "rows outside their shard",
                AGGREGATOR,
            ),
            ("row", "rows", table(Rows, shard=lambda s: s + 1), "shard by shard", AGGREGATOR),
            ("row", "rows", lambda p: (p, {"rows": 99}), TOO_MANY, AGGREGATOR),
            (
                "row",
                "tree",
                table(Tree, starts=lambda s: s + 1),
                "sizes of the row tree",
                AGGREGATOR,
            ),
            ("row", "masks", table(Masks, ciphertexts=with_number(0)), OUT_OF_RANGE, AGGREGATOR),
            (
                "row",
                "masks",
                table(Masks, ciphertexts=narrower),
                "masks of another shape",
                AGGREGATOR,
            ),
            (
                "row",
                "masks",
                table(Masks, first=lambda f: f + 1),
                "its part of the table",
                AGGREGATOR,
            ),
            (AGGREGATOR, "masked", table(MaskedTable, ciphertexts=doubled), UNMASKED, "row"),
            (
                AGGREGATOR,
                "masked",
                table(MaskedTable, ciphertexts=with_number(0)),
                OUT_OF_RANGE,
                "row",
            ),
            (AGGREGATOR, "masked", table(MaskedTable, ciphertexts=shorter), TABLE_SIZE, "row"),
            (AGGREGATOR, "masked", shorter_as_its_header_says, TABLE_SIZE, "row"),
            (
                AGGREGATOR,
                "rerandomised",
                table(RerandomisedTable, ciphertexts=doubled),
                UNMASKED,
                "row",
            ),
            (
                "row",
                "approval",
                lambda p: p[::-1],
                "altered or is not from the counterpart",
                "column",
            ),
            (
                "column",
                "opened",
                lambda p: p[::-1],
                "altered or is not from the counterpart",
                "row",
            ),
            ("column", "facts", facts(debited=None), NO_DEBIT, "row"),
            ("column", "facts", facts(debited={"epsilon": "1/10"}), NO_DEBIT, "row"),
            ("column", "facts", lambda p: b"{}", "payload is malformed", "row"),
            (AGGREGATOR, "facts", facts(release="00" * 16), "not the one that was opened", "row"),
        ],
    ),
)
def test_what_a_domain_signs_is_checked_too(
    domains, tamper, sender, kind, change, reason, receiver
):
    tamper(sender, kind, change)
    error = AttestationError if change is other_provider else MessageError
    refused(domains, reason, receiver, error)
    # The budget is spent only where the row party had seen a good table.
    assert debited(domains, "row") == (kind in ("facts", "opened", "approval"))


def debited(domains: Domains, party: str) -> bool:
    """Whether a party's budget was touched."""
    ledger = domains.ledgers[party]
    return ledger.exists() and Ledger(ledger).spent(f"small/{party}") > 0


@thorough
def test_a_party_that_lies_under_its_own_name_is_believed(quick_key, tamper, tmp_path):
    """No check can find this lie: each flag counts minus one, and the counts are negative.

    Noise is other than zero with a probability of 1e-7; without any, there would be no room for
    negative counts.
    """
    hardly_noisy = study(noise="laplace", privacy={"epsilon": 18, "cap": 18})
    domains = Domains(tmp_path, hardly_noisy, Case(tmp_path).tables)
    tamper(
        "column",
        "flags",
        lambda payload: invert_ciphertexts(payload, quick_key.public, hardly_noisy.digest),
    )
    domains.run()
    noisy = pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()
    assert noisy == [-count for count in COUNTS.values()]


def test_an_aggregator_that_lies_about_its_counts_is_believed(quick_key, monkeypatch, tmp_path):
    exact = study(privacy={"mechanism": "flat"})
    domains = Domains(tmp_path, exact, Case(tmp_path).tables)
    count = AggregatorSteps._count

    def counted_twice(self):
        (table,) = count(self)
        numbers = from_rows(table.ciphertexts.reshape(-1, quick_key.public.width))
        squares = to_rows(
            [number**2 % quick_key.public.n2 for number in numbers], quick_key.public.width
        )
        return [replace(table, ciphertexts=squares.reshape(table.ciphertexts.shape))]

    monkeypatch.setattr(AggregatorSteps, "_count", counted_twice)
    domains.run()
    noisy = pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()
    assert noisy == [2 * count for count in COUNTS.values()]


@pytest.mark.parametrize("receiver", first(1, ["row", "column"]))
def test_an_aggregator_that_shows_the_parties_different_tables(domains, monkeypatch, receiver):
    send = Mailbox.send

    def sending(self, to, kind, payload, **place):
        if (to, kind) == (receiver, "masked"):
            payload = table(MaskedTable, ciphertexts=doubled)(payload())
        return send(self, to, kind, payload, **place)

    monkeypatch.setattr(Mailbox, "send", sending)
    reason = UNMASKED if receiver == "row" else "approved another table than the aggregator's"
    refused(domains, reason, receiver)
    assert not debited(domains, receiver)


@thorough
def test_a_row_party_that_publishes_other_figures_is_found_out(domains, monkeypatch):
    publish = PublisherSteps._publish

    def lying(self, coefficients):
        return publish(self, replace(coefficients, values=coefficients.values + 1))

    monkeypatch.setattr(PublisherSteps, "_publish", lying)
    with pytest.raises(MessageError, match="published other tables than follow from this"):
        domains.run()
    assert log_of(domains, "column")[-1]["event"] == "refused"
    assert "finished" not in [entry["event"] for entry in log_of(domains, "row")]


@thorough
def test_a_row_party_that_publishes_other_smoothed_cells_is_found_out(tmp_path, monkeypatch):
    declared = study(noise="laplace", privacy={"mechanism": "tree", "smooth": True})
    domains = Domains(tmp_path, declared, Case(tmp_path).tables)
    right = published.publish

    def lying(plan, coefficients):
        tables = right(plan, coefficients)
        names = tables.cells.column_names
        other = pc.add(tables.cells["smoothed"], 1)
        cells = tables.cells.set_column(names.index("smoothed"), "smoothed", other)
        return tables._replace(cells=cells)

    monkeypatch.setattr(published, "publish", lying)
    with pytest.raises(MessageError, match="published other tables than follow from this"):
        domains.run()


def test_a_ciphertext_that_is_not_coprime_to_the_modulus(domains, tamper, quick_key):
    tamper("column", "flags", table(Flags, ciphertexts=with_number(quick_key.public.n)))
    refused(domains, "not coprime to the modulus", "aggregator")


@pytest.mark.parametrize("party", [RowParty, ColumnParty])
@pytest.mark.parametrize("kind", ["offer", "choices"])
@pytest.mark.parametrize(
    "point", first(1, [bytes(32), b"\1" + bytes(31), b"\xff" * 32, bytes(31) + b"\x80"])
)
def test_points_that_are_none(domains, monkeypatch, party, kind, point):
    """Sealed and signed as they should be; a point is bad."""
    seal = party._seal

    def sealed(self, purpose, message):
        if purpose == kind:
            (name,) = message.ITEMS
            points = getattr(message, name).copy()
            points[-1] = np.frombuffer(point, np.uint8)
            message = replace(message, **{name: points})
        return seal(self, purpose, message)

    monkeypatch.setattr(party, "_seal", sealed)
    refused(domains, "is refused: .*(identity|canonical encoding)", party.other)
    assert log_of(domains, party.other)[-1]["facts"]["kind"] == kind


@pytest.mark.parametrize("party", [RowParty, ColumnParty])
@pytest.mark.parametrize(
    ("changes", "reason"),
    first(
        1,
        [
            ({"persons": 255}, "fewer than 256"),
            ({"persons": 1 << 29}, "more than"),
            ({"persons": 300}, "not rounded"),
        ],
    ),
)
def test_an_offer_that_is_none(domains, monkeypatch, party, changes, reason):
    lie_of(monkeypatch, party, "offer", **changes)
    refused(domains, reason, party.other)


@pytest.mark.parametrize("party", [RowParty, ColumnParty])
def test_another_matrix_than_the_bins(domains, monkeypatch, party):
    lie_of(monkeypatch, party, "matrix 0", bin=1)
    refused(domains, "matrix of another bin", party.other)


@pytest.mark.parametrize("party", [RowParty, ColumnParty])
def test_a_matrix_of_another_size(domains, monkeypatch, party):
    lie_of(monkeypatch, party, "matrix 0", columns=np.zeros((8, 4), np.uint64))
    refused(domains, "matrix", party.other)


def lie_of(monkeypatch, party, kind, **changes):
    """Have a party seal and sign a message with other content than the protocol gives."""
    seal = party._seal

    def sealed(self, purpose, message):
        return seal(self, purpose, replace(message, **changes) if purpose == kind else message)

    monkeypatch.setattr(party, "_seal", sealed)


@thorough
def test_numbers_of_another_part(domains, monkeypatch):
    """Sealed and signed as they should be, for another place in the table."""
    lie_of(monkeypatch, ColumnParty, "opened", first=1)
    refused(domains, "decrypted number|not those of its part of the table", "row")


@thorough
def test_numbers_of_another_release(domains, monkeypatch):
    lie_of(monkeypatch, ColumnParty, "opened", release="00" * 16)
    refused(domains, "another release than was approved", "row")


@thorough
def test_an_approval_of_another_release(domains, monkeypatch):
    """Nobody is told the id under which a release is debited."""
    lie_of(monkeypatch, RowParty, "approval", release="00" * 16)
    refused(domains, "approval is of another release", "column")
    assert not debited(domains, "column")


@thorough
def test_other_masks_than_the_row_party_was_bound_to(domains, monkeypatch):
    lie_of(monkeypatch, RowParty, "mask", seed=np.zeros((1, 32), np.uint8))
    with pytest.raises(MessageError, match="not the one that was committed to"):
        domains.run()
    assert log_of(domains, "column")[-1]["event"] == "refused"


def test_expired_evidence(domains, monkeypatch):
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr(attestation.time, "time", lambda: now - 100_000)
        for party in ("row", "column"):
            with pytest.raises(PendingError):
                domains.step(party, "handshake")
    refused(domains, "evidence has expired", "row", AttestationError)


def test_another_measurement_than_was_agreed_on(domains):
    domains.attestation = AttestationSettings(other=Demanded(measurement=bytes(32)))
    refused(domains, "other software than was agreed on", "row", AttestationError)


def test_other_files_than_were_agreed_on(domains):
    domains.attestation = AttestationSettings(other=Demanded(files=bytes(32)))
    refused(domains, "installed files are not those", "row", AttestationError)


def test_evidence_of_another_kind(domains):
    domains.attestation = AttestationSettings(other=Demanded("nitro", pcrs={0: bytes(48)}))
    refused(domains, "attestation document is malformed", "row", AttestationError)


def test_no_shared_key_is_kept_before_the_counterpart_was_verified(domains):
    domains.attestation = AttestationSettings(other=Demanded(files=bytes(32)))
    refused(domains, "installed files", "row", AttestationError)
    for party in ("row", "column"):
        assert not (domains.state(party) / "secrets").exists()
