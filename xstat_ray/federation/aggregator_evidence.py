"""The aggregator shows each party what it runs, before that party seals anything for it.

A party sends a fresh nonce, the challenge. The aggregator answers with evidence that is bound to
this nonce, to the handshake, the study and the run, and to the key to which the parties seal what
is for the aggregator. A party's mailbox seals nothing for it before the party's log tells that the
evidence holds.

Where the study names row parties a column party's challenge also has the names of its sessions with
all of them, so that the aggregator knows of each that both ends are of one handshake.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import partial

from xstat_ray.crypto.channel import pack_fields
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.attestation import Claim, Provider, Verifier
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened, fields_of
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.roster import columns_of, rows_of
from xstat_ray.roles.opening import joint_session, session_of_all
from xstat_ray.util.files import write_whole
from xstat_ray.util.software_digest import software_digest

NONCE = "nonce"
"""File with the nonce of a party's challenge; it is removed once the evidence was verified."""
NONCE_BYTES = 32
_SESSION_BYTES = 32


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
    mailbox.send("aggregator", "challenge", lambda: path.read_bytes() + _sessions(run))
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
    told = dict[Domain, list[str]]()
    for party in _in_order(run):
        with run.mailbox.receiving(party, "challenge") as message:
            nonce, sessions = _read(run, party, message)
            _begin(run, party, message.header.session, told | {party: sessions})
        told[party] = sessions
        run.mailbox.send(party, "evidence", partial(_answer, run, provider, party, nonce))


def told_sessions(run: DomainRun, column: Domain) -> list[str]:
    """Name the sessions of a column party with all row parties, as its challenge tells them.

    Raises:
        MessageError: it is not the challenge that was answered.
    """
    with run.mailbox.receiving(column, "challenge") as message:
        _, sessions = _read(run, column, message)
    return sessions


def _sessions(run: DomainRun) -> bytes:
    """What a challenge has behind its nonce: a column party's sessions with row parties."""
    study = run.plan.study
    if not study.row.parties or run.domain not in columns_of(study):
        return b""
    sessions = [run.mailbox.session_with(name) for name in rows_of(study)]
    return b"".join(map(bytes.fromhex, sessions))


def _read(run: DomainRun, party: Domain, message: Opened) -> tuple[bytes, list[str]]:
    """Read a challenge: the nonce, and the party's sessions with the other side, if it tells them.

    Of several sessions the one to which its message is bound must be made.
    """
    study = run.plan.study
    payload = message.payload
    if not study.row.parties or party not in columns_of(study):
        if len(payload) != NONCE_BYTES:
            raise ProtocolError("a challenge is a nonce of 32 bytes")
        return payload, [message.header.session]
    ends = range(NONCE_BYTES, len(payload), _SESSION_BYTES)
    sessions = [payload[start : start + _SESSION_BYTES].hex() for start in ends]
    if len(payload) != NONCE_BYTES + len(rows_of(study)) * _SESSION_BYTES:
        raise ProtocolError("its challenge tells another number of sessions than of row parties")
    if session_of_all(sessions) != message.header.session:
        raise ProtocolError("its challenge tells other sessions than it is bound to")
    return payload[:NONCE_BYTES], sessions


def _in_order(run: DomainRun) -> tuple[Domain, ...]:
    """List the parties in the order in which they are answered.

    What row parties have agreed on follows from what the column parties tell, so they are answered
    last, and the first of them, whose session is of all, behind the others.
    """
    study = run.plan.study
    first, *others = rows_of(study)
    columns = columns_of(study)
    return (*columns, *others, first) if study.opens_jointly else (first, *columns)


def _begin(run: DomainRun, party: Domain, session: str, told: Mapping[Domain, list[str]]) -> None:
    """Bind what comes from a party to its handshakes.

    Args:
        run: the aggregator's part in a run.
        party: the party.
        session: to which its challenge is bound.
        told: sessions with all row parties, as the column parties told them.

    Raises:
        ProtocolError: a row party's handshakes are not those of the column parties.
    """
    study = run.plan.study
    if not study.opens_jointly:
        run.mailbox.begin_session(session)
        return
    rows = rows_of(study)
    if party in rows:
        of_columns = [told[name] for name in columns_of(study)]
        place = rows.index(party)
        expected = session_of_all([sessions[place] for sessions in of_columns])
        if place == 0:
            expected = joint_session(bytes.fromhex("".join(map("".join, of_columns))))
        if session != expected:
            raise ProtocolError(
                f"the handshakes of the row party {party} are not those of the column parties"
            )
    run.mailbox.begin_session(session, party)


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
