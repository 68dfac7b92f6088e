"""The aggregator shows each party what it runs, before that party seals anything for it.

A party sends a fresh nonce, the challenge. The aggregator answers with evidence that is bound to
this nonce, to the handshake, the study and the run, and to the key to which the parties seal what
is for the aggregator. A party's mailbox seals nothing for it before the party's log tells that the
evidence holds.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial

from xstat_ray.crypto.channel import pack_fields
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.attestation import Claim, Provider, Verifier
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import fields_of
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.roster import columns_of
from xstat_ray.roles.opening import session_of_all
from xstat_ray.util.files import write_whole
from xstat_ray.util.software_digest import software_digest

NONCE = "nonce"
"""File with the nonce of a party's challenge; it is removed once the evidence was verified."""
NONCE_BYTES = 32


def demand_evidence(run: DomainRun, verifier: Verifier) -> None:
    """Ask the aggregator for evidence and verify it, once in a run.

    The nonce is on disk before the challenge leaves. A run that is resumed after the evidence was
    accepted keeps it, however old it is by then.

    Args:
        run: a party's part in a run, after the handshake.
        verifier: what the party demands of the aggregator.

    Raises:
        AttestationError: the evidence does not hold; nothing was sealed for the aggregator.
        MessageError: the aggregator's message is not what it should be.
        PendingError: the evidence has not come in time.
    """
    mailbox = run.mailbox
    path = run.folder / NONCE
    if not (run.log.attested("aggregator") or path.exists()):
        write_whole(path, os.urandom(NONCE_BYTES), mode=0o600)
    mailbox.send("aggregator", "challenge", path.read_bytes)
    with mailbox.receiving("aggregator", "evidence") as message:
        if not run.log.attested("aggregator"):
            fields = fields_of(message.payload, "measurement", "evidence")
            key = run.peers.keys["aggregator"]
            session = mailbox.session_with("aggregator")
            claim = _claim(run, session, key, path.read_bytes(), fields["measurement"])
            verifier.verify(fields["evidence"], claim)
            run.log.add("attested", peer="aggregator", **verifier.facts(claim))
    path.unlink(missing_ok=True)


def show_evidence(run: DomainRun, provider: Provider) -> None:
    """Answer the challenges of all parties; each is answered once in a run.

    Args:
        run: the aggregator's part in a run, whose handshake begins with the first challenge.
        provider: makes the evidence.

    Raises:
        InputError: the environment gives no evidence.
        MessageError: a party's message is not what it should be.
        PendingError: a challenge has not come in time.
    """
    if run.log.finished:
        return
    for party in _in_order(run):
        with run.mailbox.receiving(party, "challenge") as message:
            if len(message.payload) != NONCE_BYTES:
                raise ProtocolError("a challenge is a nonce of 32 bytes")
            _begin(run, party, message.header.session)
        answer = partial(_answer, run, provider, party, message.payload)
        run.mailbox.send(party, "evidence", answer)


def _in_order(run: DomainRun) -> tuple[Domain, ...]:
    """List the parties in the order in which they are answered.

    What the row party has agreed on with several column parties follows from what each of these
    tells, so it is answered last.
    """
    columns = columns_of(run.plan.study)
    return (*columns, "row") if len(columns) > 1 else ("row", *columns)


def _begin(run: DomainRun, party: Domain, session: str) -> None:
    """Bind what comes from a party to its handshake.

    Raises:
        ProtocolError: the row party's handshakes are not those of the column parties.
    """
    mailbox = run.mailbox
    columns = columns_of(run.plan.study)
    if len(columns) == 1:
        mailbox.begin_session(session)
        return
    if party == "row" and session != session_of_all([mailbox.session_with(c) for c in columns]):
        raise ProtocolError("the row party's handshakes are not those of the column parties")
    mailbox.begin_session(session, party)


def _answer(run: DomainRun, provider: Provider, party: Domain, nonce: bytes) -> bytes:
    session = run.mailbox.session_with(party)
    claim = _claim(run, session, run.identity.public, nonce, software_digest())
    evidence = provider.evidence(claim)
    return pack_fields({"measurement": claim.measurement, "evidence": evidence})


def _claim(run: DomainRun, session: str, key: bytes, nonce: bytes, measurement: bytes) -> Claim:
    """Make the claim that the aggregator with this key runs this software."""
    bound = b"".join(
        [
            bytes.fromhex(session),
            run.plan.study.digest,
            key,
            measurement,
            run.name.encode(),
        ]
    )
    binding = hashlib.sha256(b"xstat-ray aggregator binding\0" + bound).digest()
    return Claim("aggregator", nonce, binding, measurement)
