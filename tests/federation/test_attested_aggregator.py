"""Nothing is sealed for an aggregator that has not shown what it runs, whatever else it shows.

Each attack is an aggregator that holds the pinned key and shows other evidence than its own.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.case import COUNTS, Case, counts, study
from tests.federation.attacks import NOISY, log_of, refused
from tests.federation.domains import RUN, Domains
from tests.federation.test_nitro import PCRS, ROOT, payload, sign
from tests.sizes import every_other, first, thorough
from xstat_ray.crypto.channel import pack_fields
from xstat_ray.errors import AttestationError, InputError, MessageError, PendingError
from xstat_ray.federation import aggregator_evidence, attestation
from xstat_ray.federation.attestation import Claim, Provider
from xstat_ray.federation.attestation_settings import AttestationSettings, Demanded
from xstat_ray.federation.audit import Log
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Header, Opened, open_message, seal
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.identity import Identity, Peers
from xstat_ray.publication.release import read
from xstat_ray.util.software_digest import software_digest

pytestmark = pytest.mark.usefixtures("quick_key")
BEFORE = {"hello", "attest", "challenge", "evidence"}
"""Kinds of messages that tell nothing of a table."""
REGISTERS = {0: PCRS[0], 1: PCRS[1]}


class Enclave(Provider):
    """Gives attestation documents by a test's own authority."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes

    def evidence(self, claim: Claim) -> bytes:
        told = {"nonce": claim.nonce, "user_data": claim.binding, "timestamp": now_ms()}
        return sign(payload(**told | self.changes))


@dataclass(frozen=True)
class ShownByEnclave:
    """Stands for the settings of what an aggregator in an enclave shows."""

    changes: dict[str, Any] = field(default_factory=dict)

    def provider(self, identity: Identity) -> Provider:
        return Enclave(**self.changes)


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture(params=["software", "nitro"])
def domains(request: pytest.FixtureRequest, tmp_path: Path) -> Domains:
    made = Domains(tmp_path, NOISY, Case(tmp_path).tables)
    if request.param == "nitro":
        with_enclave(made)
    return made


def with_enclave(domains: Domains, **changes: Any) -> None:
    """Put the aggregator into an enclave, whose image both parties pin."""
    demanded = Demanded("nitro", root=ROOT, pcrs=REGISTERS)
    domains.attestation = AttestationSettings(aggregator=demanded)
    domains.shown = ShownByEnclave(changes)


def of(domains: Domains, sender: str = "", receiver: str = "") -> Iterator[Opened]:
    """Read the messages of a run, or those of some streams."""
    peers = Peers({name: identity.public for name, identity in domains.identities.items()})
    for path in domains.messages():
        name = "/".join(path.parts[-2:])
        if name.startswith(sender) and path.parts[-2].endswith(receiver):
            yield open_message(path.read_bytes(), name, peers)


def nothing_has_left(domains: Domains) -> None:
    """No message is out that tells of a table, and no party has read its own."""
    assert {message.header.kind for message in of(domains)} <= BEFORE
    for party in ("row", "column"):
        assert not (domains.state(party) / "input").exists()


def only_challenges_have_left(domains: Domains) -> None:
    """The aggregator has got the first message of each party and no other."""
    got = domains.exchange.glob(f"{RUN}/*-aggregator/*")
    assert {path.name for path in got} == {"000000.msg"}


def answer(
    run: DomainRun, provider: Provider, party: str, nonce: bytes, changes: dict[str, Any]
) -> bytes:
    """Make evidence as docs/format.md says, with changes."""
    told = {
        "session": bytes.fromhex(run.mailbox.session_with(party)),
        "study": run.plan.study.digest,
        "key": run.identity.public,
        "measurement": software_digest(),
        "run": run.name.encode(),
        "nonce": nonce,
    } | changes
    bound = [told[name] for name in ("session", "study", "key", "measurement", "run")]
    binding = hashlib.sha256(b"xstat-ray aggregator binding\0" + b"".join(bound)).digest()
    claim = Claim("aggregator", told["nonce"], binding, told["measurement"])
    return pack_fields({"measurement": claim.measurement, "evidence": provider.evidence(claim)})


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the aggregator answer challenges with other evidence."""

    def patch(**changes: Any) -> None:
        monkeypatch.setattr(
            aggregator_evidence,
            "_answer",
            lambda *given: answer(*given, changes),
        )

    return patch


# Order


def test_the_first_message_to_the_aggregator_is_a_challenge_and_the_next_follows_its_evidence(
    domains, answering
):
    answering()
    domains.run()
    for party in ("row", "column"):
        kinds = [message.header.kind for message in of(domains, party, "-aggregator")]
        assert kinds[0] == "challenge" and kinds.count("challenge") == 1 and len(kinds) > 1
        log = log_of(domains, party)
        (attested,) = [
            line
            for line in log
            if line["event"] == "attested" and line["facts"]["peer"] == "aggregator"
        ]
        sent = [
            line["number"]
            for line in log
            if line["event"] == "sent" and line["facts"]["peer"] == "aggregator"
        ]
        assert sent[0] < attested["number"] < sent[1]
        enclave = attested["facts"]["provider"] == "nitro"
        assert attested["facts"]["measurement"] == software_digest().hex()
        assert attested["facts"]["pcrs"] == (
            {str(index): value.hex() for index, value in REGISTERS.items()} if enclave else {}
        )
        assert not (domains.state(party) / "nonce").exists()


def test_the_nonces_of_the_parties_are_fresh(domains, tmp_path):
    other = Domains(tmp_path / "other", NOISY, domains.sources)
    other.attestation = domains.attestation
    nonces = []
    for run in (domains, other):
        run.run(until=("aggregator", "attest"))
        nonces += [message.payload for message in of(run, receiver="-aggregator")]
    assert len(set(nonces)) == 4 and {len(nonce) for nonce in nonces} == {32}


# Wrong evidence

ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "another key": ({"key": os.urandom(32)}, "made for another handshake"),
    "another handshake": ({"session": os.urandom(32)}, "made for another handshake"),
    "another study": ({"study": os.urandom(32)}, "made for another handshake"),
    "another run": ({"run": b"earlier"}, "made for another handshake"),
    "another nonce": ({"nonce": os.urandom(32)}, "made for another handshake"),
    "another measurement": ({"measurement": bytes(32)}, "other software than was agreed on"),
    "no measurement": ({"measurement": b""}, "other software than was agreed on"),
}


@pytest.mark.parametrize("attack", every_other(3, list(ATTACKS)))
def test_evidence_of_something_else_is_refused_and_nothing_has_left(domains, answering, attack):
    changes, reason = ATTACKS[attack]
    answering(**changes)
    refused(domains, rf"aggregator-\w+/000000.msg is refused: .*{reason}", "row", AttestationError)
    assert log_of(domains, "row")[-1]["facts"]["kind"] == "evidence"
    nothing_has_left(domains)
    # Nor does trying again help.
    for party in ("row", "column"):
        with pytest.raises(AttestationError, match=reason):
            domains.step(party, "handshake")
        with pytest.raises(InputError, match="handshake is not over"):
            domains.step(party, "exchange")
        with pytest.raises(InputError, match="handshake is not over"):
            domains.step(party, "emit")
    nothing_has_left(domains)


@thorough
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_the_attacks_change_is_all_that_they_are_refused_for(
    domains, answering, attack, monkeypatch
):
    """The planted leak: a party that does not verify sends its rows to whoever holds the key."""
    verifier = type(domains.attestation.aggregator.verifier(Peers({})))
    monkeypatch.setattr(verifier, "verify", lambda self, evidence, claim: None)
    answering(**ATTACKS[attack][0])
    domains.run(until=("aggregator", "all"))
    assert {message.header.kind for message in of(domains, "row", "-aggregator")} > {"rows"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pcrs": PCRS | {0: PCRS[1]}}, "PCR0 is not the one"),
        ({"pcrs": PCRS | {1: PCRS[0]}}, "PCR1 is not the one"),
        ({"pcrs": {0: bytes(48)}}, "debug mode"),
        ({"timestamp": now_ms() - 90_000_000}, "has expired"),
        ({"timestamp": now_ms() + 90_000_000}, "in the future"),
        ({"user_data": None}, "another handshake"),
        ({"nonce": None}, "another handshake"),
    ],
)
def test_another_image_or_an_older_document_is_refused(tmp_path, changes, reason):
    domains = Domains(tmp_path, NOISY, Case(tmp_path).tables)
    with_enclave(domains, **changes)
    refused(domains, reason, "row", AttestationError)
    nothing_has_left(domains)


def test_a_statement_is_no_document_and_a_document_no_statement(domains):
    in_enclave = isinstance(domains.shown, ShownByEnclave)
    other = Demanded() if in_enclave else Demanded("nitro", root=ROOT, pcrs=REGISTERS)
    domains.attestation = AttestationSettings(aggregator=other)
    refused(domains, "evidence is malformed|document is malformed", "row", AttestationError)
    nothing_has_left(domains)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"measurement": bytes(32)}, "other software than was agreed on"),
        ({"files": bytes(32)}, "installed files are not those"),
    ],
)
def test_pins_of_the_aggregator_are_not_those_of_the_other_party(tmp_path, changes, reason):
    domains = Domains(tmp_path, NOISY, Case(tmp_path).tables)
    domains.attestation = AttestationSettings(aggregator=Demanded(**changes))
    refused(domains, reason, "row", AttestationError)
    assert any(line["event"] == "attested" for line in log_of(domains, "row"))
    nothing_has_left(domains)


def test_expired_evidence_is_refused(tmp_path, monkeypatch):
    domains = Domains(tmp_path, NOISY, Case(tmp_path).tables)
    domains.run(until=("aggregator", "attest"))
    with monkeypatch.context() as patch:
        long_ago = time.time() - 100_000
        patch.setattr(attestation.time, "time", lambda: long_ago)
        domains.step("aggregator", "attest")
    refused(domains, "evidence has expired", "row", AttestationError)
    nothing_has_left(domains)


@pytest.mark.parametrize("whose", ["of an earlier run", "for the other party"])
def test_evidence_that_was_good_elsewhere_is_refused(domains, tmp_path, monkeypatch, whose):
    """Replayed by the aggregator under its signature."""
    if whose == "of an earlier run":
        source = Domains(tmp_path / "earlier", NOISY, domains.sources)
        source.attestation = domains.attestation
        source.shown = domains.shown
        for name in domains.identities:
            pem = (domains.private(name) / "identity.pem").read_bytes()
            (source.private(name) / "identity.pem").write_bytes(pem)
        source.identities = domains.identities
        source.run(until=("aggregator", "all"))
        (old,) = [message.payload for message in of(source, "aggregator-column")]
        monkeypatch.setattr(aggregator_evidence, "_answer", lambda *_: old)
    else:
        kept = list[bytes]()
        make = aggregator_evidence._answer

        def first(*arguments: Any) -> bytes:
            kept.append(make(*arguments))
            return kept[0]

        monkeypatch.setattr(aggregator_evidence, "_answer", first)
    with pytest.raises(AttestationError, match="made for another handshake"):
        domains.run()
    only_challenges_have_left(domains)


# No evidence


def test_without_evidence_the_parties_wait_and_nothing_has_left(domains):
    domains.run(until=("aggregator", "attest"))
    for party in ("row", "column"):
        with pytest.raises(PendingError, match=rf"aggregator-{party}/000000.msg \(evidence\)"):
            domains.step(party, "handshake")
        for step in ("exchange", "emit"):
            with pytest.raises(InputError, match="handshake is not over"):
                domains.step(party, step)
    nothing_has_left(domains)


@pytest.mark.parametrize("kind", ["challenge", "evidence"])
@pytest.mark.parametrize(
    "signed", first(1, [True, False]), ids=["signed by a stranger", "unsigned"]
)
def test_a_new_payload_in_the_exchange(domains, tmp_path, kind, signed):
    domains.run(until=("aggregator", "attest"))
    if kind == "evidence":
        domains.step("aggregator", "attest")
    name = "row-aggregator" if kind == "challenge" else "aggregator-row"
    (opened,) = of(domains, name)
    path = domains.exchange / RUN / opened.header.name
    content = bytes(len(opened.payload))
    whole = path.read_bytes()
    path.write_bytes(
        seal(opened.header, content, Identity.create(tmp_path / "stranger.pem"))
        if signed
        else whole[: -len(content)] + content
    )
    receiver = "aggregator" if kind == "challenge" else "row"
    refused(domains, "not signed by" if signed else "payload was altered", receiver)
    only_challenges_have_left(domains)


def test_a_challenge_of_another_handshake_is_not_answered(domains):
    """Only the holder of a party's key can make one; the first challenge names the handshake."""
    domains.run(until=("aggregator", "attest"))
    (opened,) = of(domains, "column-aggregator")
    head = opened.header
    other = Header(**vars(head) | {"session": "4" * 64})
    path = domains.exchange / RUN / head.name
    path.write_bytes(seal(other, opened.payload, domains.identities["column"]))
    with pytest.raises(MessageError, match="belongs to another handshake"):
        domains.step("aggregator", "attest")


# The mailbox


@pytest.mark.parametrize("kind", ["rows", "flags", "tree"])
def test_the_mailbox_seals_nothing_before_the_evidence_was_verified(domains, kind):
    """Whatever a step does: the other party's evidence is not enough."""
    domains.run(until=("aggregator", "attest"))
    config = domains.config("row", "handshake")
    with DomainRun("row", config.settings, config.plan()) as run:
        assert run.log.attested("column") and not run.log.attested("aggregator")
        before = domains.messages()
        with pytest.raises(AttestationError, match="before its evidence was verified"):
            run.mailbox.send("aggregator", kind, lambda: pytest.fail("it was made"))
        assert domains.messages() == before
        run.log.add("attested", peer="aggregator")
        run.mailbox.send("aggregator", kind, b"sealed now")
    assert len(domains.messages()) == len(before) + 1


# Killed and run again


class Dead(BaseException):
    """Stands for the death of a process."""


@contextmanager
def killed_at(point: int) -> Iterator[None]:
    """Kill the process before its write number `point`, counted from 0, to log, exchange or disk."""
    writes = itertools.count()

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **options: Any) -> Any:
            if next(writes) == point:
                raise Dead
            return call(*arguments, **options)

        return write

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Log, "add", dying(Log.add))
        patch.setattr(Exchange, "put", dying(Exchange.put))
        patch.setattr(aggregator_evidence, "write_whole", dying(aggregator_evidence.write_whole))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        yield


@thorough
def test_killed_at_every_write_and_run_again(tmp_path, monkeypatch):
    before = Domains(tmp_path / "before", study(), Case(tmp_path).tables)
    with monkeypatch.context() as patch:

        def not_yet(*_: object) -> None:
            raise PendingError("not yet")

        patch.setattr("xstat_ray.federation.party.demand_evidence", not_yet)
        before.run(until=("aggregator", "attest"))
    assert {message.header.kind for message in of(before)} == {"hello", "attest"}
    for point in itertools.count():
        domains = Domains(
            shutil.copytree(before.folder, tmp_path / f"{point}"), study(), before.sources
        )
        killed = False
        try:
            with killed_at(point):
                domains.run(until=("row", "exchange"))
        except Dead:
            killed = True
        handed_out = domains.contents()
        domains.run(until=("row", "exchange"))
        # What anybody may have read before stays as it is, the nonces above all.
        assert domains.contents().items() >= handed_out.items(), point
        for party in ("row", "column"):
            events = [
                line["event"]
                for line in log_of(domains, party)
                if line["facts"].get("peer") == "aggregator"
            ]
            assert sorted(events) == ["attested", "received", "sent"]
            assert not (domains.state(party) / "nonce").exists()
        if not killed:
            break
    # Nonce, message and log of each challenge and answer, its acceptance, the evidence's, the end.
    assert point >= 20
    domains.run()
    assert counts(read(domains.out)) == COUNTS


def test_evidence_that_was_accepted_stays_so_however_old_it_is(domains, monkeypatch):
    domains.run(until=("aggregator", "attest"))
    domains.step("aggregator", "attest")
    accept = Log.add

    def die(self: Log, event: str, **facts: Any) -> Any:
        if event == "received" and facts["kind"] == "evidence":
            raise Dead
        return accept(self, event, **facts)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "add", die)
        for party in ("row", "column"):
            with suppress(Dead):
                domains.step(party, "handshake")
    tomorrow = time.time() + 100_000
    monkeypatch.setattr(attestation.time, "time", lambda: tomorrow)
    domains.run(until=("row", "publish"))


def test_what_is_finished_needs_no_evidence_any_more(domains):
    """As after a run was removed from the exchange."""
    domains.run()
    shutil.rmtree(domains.exchange)
    for domain, step in (("row", "handshake"), ("column", "handshake"), ("aggregator", "all")):
        domains.step(domain, step)
    assert not domains.messages()


def test_an_answer_is_given_once(domains):
    domains.run(until=("aggregator", "attest"))
    domains.step("aggregator", "attest")
    before = domains.contents()
    domains.step("aggregator", "attest")
    with pytest.raises(PendingError):
        domains.step("aggregator", "all")
    assert domains.contents() == before
