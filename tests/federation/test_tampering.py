"""Attacks by name: on the files of the exchange, and by a domain that signs what it should not.

Each is refused with the reason that fits, it is in the log, and nothing is published.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from gmpy2 import invert
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.case import COUNTS, Case, study
from tests.federation.domains import RUN, Domains
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.group import PERSON_DST, hash_to_group
from xstat_ray.errors import MessageError, PendingError
from xstat_ray.federation import attestation, sealed
from xstat_ray.federation.envelope import Header, canonical, open_message, seal
from xstat_ray.federation.identity import Identity, Peers
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.federation.sealed import SEALED, unseal
from xstat_ray.model.messages import Coefficients, Flags, NoisyTable, Rows, Tree
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import ColumnParty, RowParty

NOISY = study(noise="laplace", privacy={"mechanism": "tree"})
DIGEST = NOISY.digest


@pytest.fixture
def domains(quick_key, tmp_path):
    return Domains(tmp_path, NOISY, Case(tmp_path).tables)


def log_of(domains, domain):
    return [
        json.loads(line) for line in (domains.state(domain) / "log.jsonl").read_text().splitlines()
    ]


def refused(domains, reason, receiver):
    """The run ends with the refusal; it is in the receiver's log and nothing is published."""
    with pytest.raises(MessageError, match=reason):
        domains.run()
    assert log_of(domains, receiver)[-1]["event"] == "refused"
    assert not domains.out.exists()


# Whoever may write to the exchange


@pytest.fixture(scope="module")
def whole(finished):
    """All messages of a run by name, and the pinned keys."""
    messages = {"/".join(path.parts[-2:]): path.read_bytes() for path in finished.messages()}
    return messages, Peers(
        {name: identity.public for name, identity in finished.identities.items()}
    )


OTHER = {str: st.text(max_size=70), int: st.integers(-1, 2**60)}
FIELDS = sorted(asdict(Header(*[""] * 4, "row", "column", 0, "", 0, 1, 0, 0)))


@pytest.mark.parametrize("field", FIELDS)
@given(data=st.data())
@settings(max_examples=25)
def test_any_other_value_of_any_field_of_any_message_is_refused(whole, field, data):
    messages, peers = whole
    name = data.draw(st.sampled_from(sorted(messages)))
    content = messages[name]
    length = int.from_bytes(content[12:16], "little")
    header = json.loads(content[16 : 16 + length])
    header[field] = data.draw(
        OTHER[type(header[field])].filter(lambda value: value != header[field])
    )
    text = canonical(header)
    changed = content[:12] + len(text).to_bytes(4, "little") + text + content[16 + length :]
    with pytest.raises(MessageError):
        open_message(changed, name, peers)


@given(data=st.data())
@settings(max_examples=60)
def test_any_other_payload_of_any_message_is_refused(whole, data):
    messages, peers = whole
    name = data.draw(st.sampled_from(sorted(messages)))
    content = bytearray(messages[name])
    start = 80 + int.from_bytes(content[12:16], "little")
    content[data.draw(st.integers(start, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MessageError, match="payload was altered"):
        open_message(bytes(content), name, peers)


def message_of(domains, sender, receiver, kind):
    peers = Peers({name: identity.public for name, identity in domains.identities.items()})
    for path in domains.messages():
        name = "/".join(path.parts[-2:])
        if name.startswith(f"{sender}-{receiver}/"):
            opened = open_message(path.read_bytes(), name, peers)
            if opened.header.kind == kind:
                return path, opened
    raise AssertionError(f"no {kind} message")


def swap_ciphertexts(payload, public):
    flags = Flags.decode(payload, DIGEST)
    return replace(flags, ciphertexts=flags.ciphertexts[::-1].copy()).encode(DIGEST)


def invert_ciphertexts(payload, public, digest=DIGEST):
    """Each flag counts minus one."""
    flags = Flags.decode(payload, digest)
    inverse = [
        invert(number, public.n2)
        for number in from_rows(flags.ciphertexts.reshape(-1, public.width))
    ]
    return replace(
        flags, ciphertexts=to_rows(inverse, public.width).reshape(flags.ciphertexts.shape)
    ).encode(digest)


@pytest.mark.parametrize(
    ("sender", "receiver", "kind", "change", "until"),
    [
        ("column", "aggregator", "flags", swap_ciphertexts, ("aggregator", "all")),
        ("column", "aggregator", "flags", invert_ciphertexts, ("aggregator", "all")),
        ("row", "aggregator", "rows", lambda payload, public: payload[:-1], ("aggregator", "all")),
        (
            "aggregator",
            "column",
            "noisy",
            lambda payload, public: payload + b"\0",
            ("column", "decrypt"),
        ),
        (
            "column",
            "row",
            "coefficients",
            lambda payload, public: bytes(len(payload)),
            ("row", "unblind"),
        ),
        (
            "column",
            "row",
            "facts",
            lambda payload, public: payload.replace(b'"1"', b'"2"'),
            ("row", "publish"),
        ),
    ],
)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed by a stranger"])
def test_a_payload_exchanged_in_the_exchange(
    domains, quick_key, sender, receiver, kind, change, until, signed, tmp_path
):
    domains.run(until=until)
    path, opened = message_of(domains, sender, receiver, kind)
    stranger = Identity.create(tmp_path / "stranger.pem")
    content = path.read_bytes()
    payload = opened.payload
    if kind in SEALED:
        # Not even somebody who knows what is in it gets another content accepted.
        known = unseal(domains.identities[receiver], kind, payload)
        payload = sealed.seal(
            domains.identities[receiver].public, kind, change(known, quick_key.public)
        )
    else:
        payload = change(payload, quick_key.public)
    path.write_bytes(
        seal(opened.header, payload, stranger)
        if signed
        else content[: -len(opened.payload)] + payload
    )
    refused(domains, "not signed by" if signed else "payload", receiver)


@pytest.mark.parametrize(
    ("sender", "kind"), [("row", "tree"), ("row", "rows"), ("column", "flags")]
)
def test_what_the_parties_must_not_read_is_accepted_only_sealed(domains, monkeypatch, sender, kind):
    seal_to = sealed.seal
    monkeypatch.setattr(
        sealed,
        "seal",
        lambda to, what, payload: payload if what == kind else seal_to(to, what, payload),
    )
    refused(domains, rf"message {sender}-aggregator/.* not sealed to this domain", "aggregator")


def test_a_message_of_an_earlier_run_is_refused(domains, tmp_path):
    earlier = Domains(tmp_path / "earlier", NOISY, domains.sources)
    earlier.identities = domains.identities
    for name in domains.identities:
        (earlier.private(name) / "identity.pem").write_bytes(
            (domains.private(name) / "identity.pem").read_bytes()
        )
    earlier.run()
    domains.run(until=("aggregator", "all"))
    path, _ = message_of(domains, "row", "aggregator", "rows")
    path.write_bytes((earlier.exchange / RUN / "row-aggregator" / path.name).read_bytes())
    refused(domains, "belongs to another handshake", "aggregator")


def test_a_replayed_message_of_rows_is_refused(domains):
    domains.run(until=("aggregator", "all"))
    first, second = sorted((domains.exchange / RUN / "row-aggregator").glob("*"))[1:3]
    second.write_bytes(first.read_bytes())
    refused(domains, "in another's place", "aggregator")


# A domain that signs what it should not


@pytest.fixture
def tamper(monkeypatch):
    """Make a domain send something else than its software made, under its own signature."""

    def patch(sender, kind, change):
        send = Mailbox.send

        def sending(self, receiver, what, payload, **place):
            if (self._domain, what) == (sender, kind):
                changed = change(payload if isinstance(payload, bytes) else payload())
                payload, other = changed if isinstance(changed, tuple) else (changed, {})
                place |= other
            return send(self, receiver, what, payload, **place)

        monkeypatch.setattr(Mailbox, "send", sending)

    return patch


def hello(start, value):
    """Another value of one of the hello's fields."""
    return lambda payload: payload[:start] + value + payload[start + 32 :]


def table(kind, **changes):
    """Another column of a table, made from the old one."""

    def change(payload):
        message = kind.decode(payload, DIGEST)
        return replace(
            message, **{name: make(getattr(message, name)) for name, make in changes.items()}
        ).encode(DIGEST)

    return change


def with_number(number):
    """The first ciphertext is this number."""

    def make(ciphertexts):
        changed = ciphertexts.copy()
        changed[0, 0] = np.frombuffer(int(number).to_bytes(changed.shape[2], "little"), np.uint8)
        return changed

    return make


def facts(**changes):
    return lambda payload: canonical(json.loads(payload) | changes)


P25519 = 2**255 - 19
LOW_ORDER = [bytes(32), (1).to_bytes(32, "little"), (P25519 - 1).to_bytes(32, "little"), P25519.to_bytes(32, "little"), (P25519 + 1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")]  # fmt: skip


@pytest.mark.parametrize(
    ("sender", "kind", "change", "reason", "receiver"),
    [
        *(("row", "hello", hello(17, public), "low order", "column") for public in LOW_ORDER),
        ("row", "hello", hello(49, bytes(32)), "different studies", "column"),
        ("column", "hello", hello(81, bytes(32)), "different software", "row"),
        ("row", "hello", lambda p: p[:16] + b"\1" + p[17:], "both parties play the column party", "column"),
        ("row", "hello", lambda p: p[:-1], "not a hello", "column"),
        ("row", "attest", lambda p: p[:-1] + bytes([p[-1] ^ 1]), "did not confirm the handshake", "column"),
        ("row", "attest", lambda p: p[:-8], "malformed|confirm", "column"),
        ("column", "attest", lambda p: p.replace(b'"provider":"software"', b'"provider":"softwarf"'), "evidence is malformed", "row"),
        ("row", "blinded", lambda p: p[::-1], "altered or is not from the counterpart", "column"),
        ("column", "key", lambda p: p[: len(p) // 2], "wrong size", "aggregator"),
        ("column", "key", lambda p: p + p[: len(p) // 2], "wrong size|not in the group", "aggregator"),
        ("column", "key", lambda p: bytes([p[0] & 254]) + p[1:], "not a product of two primes", "aggregator"),
        ("column", "flags", table(Flags, ciphertexts=with_number(0)), "not a ciphertext: out of range", "aggregator"),
        ("column", "flags", table(Flags, tags=lambda t: t[::-1].copy()), "tags are not sorted", "aggregator"),
        ("column", "flags", table(Flags, ciphertexts=lambda c: c[:, :, :-1].copy()), "flags of another shape", "aggregator"),
        ("column", "flags", lambda p: (p, {"rows": 99}), "as many as its header says", "aggregator"),
        ("row", "rows", table(Rows, cells=lambda c: c + np.uint32(2)), "rows outside their shard", "aggregator"),
        ("row", "rows", table(Rows, shard=lambda s: s + 1), "shard by shard", "aggregator"),
        ("row", "rows", lambda p: (p, {"rows": 99}), "as many as its header says", "aggregator"),
        ("row", "tree", table(Tree, starts=lambda s: s + 1), "sizes of the row tree", "aggregator"),
        ("aggregator", "noisy", table(NoisyTable, ciphertexts=with_number(0)), "not a ciphertext: out of range", "column"),
        ("aggregator", "noisy", table(NoisyTable, ciphertexts=lambda c: c[:-1].copy()), "header says", "column"),
        ("aggregator", "noisy", lambda p: (table(NoisyTable, ciphertexts=lambda c: c[:-1].copy())(p), {"rows": 2}), "size of the study's table", "column"),
        ("column", "facts", facts(debited=None), "did not debit what the study costs", "row"),
        ("column", "facts", facts(debited={"epsilon": "1/10"}), "did not debit what the study costs", "row"),
        ("column", "facts", lambda p: b"{}", "payload is malformed", "row"),
        ("aggregator", "facts", facts(release="00" * 16), "not the one that was decrypted", "row"),
    ],
)  # fmt: skip
def test_what_a_domain_signs_is_checked_too(
    domains, tamper, sender, kind, change, reason, receiver
):
    tamper(sender, kind, change)
    refused(domains, reason, receiver)
    debited = (
        domains.options.ledger.exists() and Ledger(domains.options.ledger).spent("small/row") > 0
    )
    # The budget is spent only where the key holder had a good table.
    assert debited == (kind == "facts")


def test_a_party_that_lies_under_its_own_name_is_believed(quick_key, tamper, tmp_path):
    """What is not provided: the column party's flags count minus one each, and the counts are negative.

    Noise is other than zero with a probability of 1e-16; without any, there would be no room for
    negative counts.
    """
    hardly_noisy = study(noise="laplace", privacy={"epsilon": 40, "cap": 40})
    domains = Domains(tmp_path, hardly_noisy, Case(tmp_path).tables)
    tamper(
        "column",
        "flags",
        lambda payload: invert_ciphertexts(payload, quick_key.public, hardly_noisy.digest),
    )
    domains.run()
    noisy = pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()
    assert noisy == [-count for count in COUNTS.values()]


def test_an_aggregator_that_lies_about_its_counts_is_believed(quick_key, tamper, tmp_path):
    exact = study(privacy={"mechanism": "flat"})
    domains = Domains(tmp_path, exact, Case(tmp_path).tables)

    def doubled(payload):
        table = NoisyTable.decode(payload, exact.digest)
        numbers = from_rows(table.ciphertexts.reshape(-1, quick_key.public.width))
        squares = to_rows(
            [number**2 % quick_key.public.n2 for number in numbers], quick_key.public.width
        )
        return replace(table, ciphertexts=squares.reshape(table.ciphertexts.shape)).encode(
            exact.digest
        )

    tamper("aggregator", "noisy", doubled)
    domains.run()
    noisy = pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()
    assert noisy == [2 * count for count in COUNTS.values()]


def test_a_ciphertext_that_is_not_coprime_to_the_modulus(domains, tamper, quick_key):
    tamper("column", "flags", table(Flags, ciphertexts=with_number(quick_key.public.n)))
    refused(domains, "not coprime to the modulus", "aggregator")


@pytest.mark.parametrize(("party", "method"), [(RowParty, "blind"), (ColumnParty, "evaluate")])
@pytest.mark.parametrize(
    ("point", "reason"),
    [
        (bytes(32), "is the identity"),
        (b"\1" + bytes(31), "canonical encoding"),
        (b"\xff" * 32, "canonical encoding"),
        (bytes(31) + b"\x80", "canonical encoding"),
    ],
)
def test_points_that_are_none(domains, monkeypatch, party, method, point, reason):
    """Sealed and signed as they should be; the last of four is bad."""
    kind, name = (
        ("blinded", "row-column/000002.msg")
        if method == "blind"
        else ("evaluated", "column-row/000003.msg")
    )

    def points(self, *arguments):
        part = arguments[-1]
        own = hash_to_group([b"%d" % number for number in part], PERSON_DST)
        own[-1] = np.frombuffer(point, np.uint8)
        return self._seal(own, f"{kind} {part}")

    monkeypatch.setattr(party, method, points)
    refused(domains, f"message {name} is refused: row 3 .*{reason}", party.other)
    last = log_of(domains, party.other)[-1]["facts"]
    assert (last["kind"], last["sequence"]) == (kind, int(name[-10:-4])) and last[
        "reason"
    ].startswith("row 3 is ")


def test_coefficients_of_another_part(domains, monkeypatch):
    """Sealed and signed as they should be, for another place in the table."""

    def release(self, table, packing, part):
        shifted = Coefficients("00" * 16, part.start + 1, np.zeros((len(part), 2), np.int64))
        return self._channel("column").seal(shifted.encode(DIGEST), "coefficients")

    monkeypatch.setattr(ColumnParty, "release", release)
    refused(domains, "not those of its part of the table", "row")


def test_expired_evidence(domains, monkeypatch):
    with monkeypatch.context() as patch:
        now = time.time()
        patch.setattr(attestation.time, "time", lambda: now - 100_000)
        for party in ("row", "column"):
            with pytest.raises(PendingError):
                domains.step(party, "handshake")
    refused(domains, "evidence has expired", "row")


def test_another_measurement_than_was_agreed_on(domains):
    domains.attestation = replace(domains.attestation, measurement=bytes(32))
    refused(domains, "other software than was agreed on", "row")


def test_other_files_than_were_agreed_on(domains):
    domains.attestation = replace(domains.attestation, files=bytes(32))
    refused(domains, "installed files are not those", "row")


def test_evidence_of_another_kind(domains):
    domains.attestation = replace(domains.attestation, expect="nitro", pcrs={0: bytes(48)})
    refused(domains, "attestation document is malformed", "row")


def test_no_shared_key_is_kept_before_the_counterpart_was_verified(domains):
    domains.attestation = replace(domains.attestation, files=bytes(32))
    refused(domains, "installed files", "row")
    for party in ("row", "column"):
        assert not (domains.state(party) / "secrets").exists()
