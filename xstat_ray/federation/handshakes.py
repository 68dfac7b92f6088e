"""The handshakes of a party: with each party of the other side, and among parties of its own.

Each row party has one with each column party. The first column party has one with each other one,
on whose channel residues go, and the first row party with each other one, on whose channel the
order of cells and the names of sessions go. At both ends evidence is verified before a shared key
is used.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from xstat_ray.crypto.channel import pack_fields
from xstat_ray.crypto.handshake import Hello
from xstat_ray.federation.attestation import Attestation, Claim
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import fields_of
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.roster import columns_of, publisher_of, rows_of
from xstat_ray.model.study import Role
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.link import Link
from xstat_ray.roles.opening import session_of_all
from xstat_ray.roles.party import Party
from xstat_ray.roles.session import SECRETS, session_of
from xstat_ray.runtime.executor import Executor, Instance
from xstat_ray.runtime.links import LinkExecutor

WAITING = "handshake"
"""Folder in the private folder with the secrets of handshakes that are not over."""


class End(NamedTuple):
    """This party's end of a handshake."""

    peer: Domain
    """The domain at the other end."""
    leads: bool
    """Whether this end's hello comes first in the name of the session."""
    hello: Callable[[], bytes]
    agree: Callable[[bytes], bytes]
    """Takes the other end's hello; returns the confirmation."""
    confirm: Callable[[bytes], None]


def links_of(run: DomainRun, role: Role, executor: Executor) -> dict[Domain, LinkExecutor]:
    """List this party's links by the domain at the other end, in the order of the study."""
    study = run.plan.study
    columns = columns_of(study)

    def link(row: Domain, column: Domain) -> LinkExecutor:
        return LinkExecutor(executor, column, row, first=column == columns[0])

    if role == "row":
        return {name: link(run.domain, name) for name in columns}
    return {name: link(name, run.domain) for name in rows_of(study)}


def agree_on_keys(run: DomainRun, role: Role, executor: Executor, attestation: Attestation) -> None:
    """Go through all handshakes of a party, and keep the keys that come of them.

    Raises:
        AttestationError: another party's environment is not the agreed one.
        MessageError: a message of another party is not what it should be.
        PendingError: a message has not come in time.
    """
    waiting = run.folder / WAITING
    if (run.folder / SECRETS).exists():
        # A step that was killed between keeping the keys and removing what led to them.
        shutil.rmtree(waiting, ignore_errors=True)
        return
    first = executor.first(run.domain)
    _prepare(run, role, executor, waiting)
    ends = [*_ends_of_links(run, role, executor), *_ends_of_channels(run, role, executor)]
    hellos = [end.hello() for end in ends]
    for end, hello in zip(ends, hellos, strict=True):
        run.mailbox.send(end.peer, "hello", hello)
    both = zip(ends, hellos, strict=True)
    demanded = [_answer(run, end, hello, attestation) for end, hello in both]
    for end, claim in zip(ends, demanded, strict=True):
        _verify(run, end, claim, attestation)
    _tell_row_parties(run, role, executor)
    _begin_with_aggregator(run, role, executor)
    # Only now are the shared keys kept, and only kept keys are used.
    executor.get(first.call(Party.save, run.folder))
    shutil.rmtree(waiting)


def _prepare(run: DomainRun, role: Role, executor: Executor, waiting: Path) -> None:
    """Begin all handshakes, or begin them again as before the step was interrupted."""
    first = executor.first(run.domain)
    if (waiting / SECRETS).exists():
        executor.get(first.call(Party.load, waiting))
        return
    if role == "column":
        plan = run.plan
        column = executor.column[0]
        executor.get(column.call(ColumnParty.generate_key, plan.key_bits, plan.constant_time))
    executor.get(first.call(Party.save, waiting))


def _ends_of_links(run: DomainRun, role: Role, executor: Executor) -> list[End]:
    return [
        _end_of_link(peer, role, executor, link.ends[role][0])
        for peer, link in links_of(run, role, executor).items()
    ]


def _end_of_link(peer: Domain, role: Role, executor: Executor, first: Instance[Link]) -> End:
    get = executor.get
    return End(
        peer,
        leads=role == "row",
        hello=lambda: get(first.call(Link.hello)),
        agree=lambda hello: get(first.call(Link.agree, hello)),
        confirm=lambda confirmation: get(first.call(Link.confirm, confirmation)),
    )


def _ends_of_channels(run: DomainRun, role: Role, executor: Executor) -> list[End]:
    """Ends of the channels among parties of a side; each has the name of the one but the first."""
    study = run.plan.study
    leader, *others = rows_of(study) if role == "row" else columns_of(study)
    make = _end_of_row_channel if role == "row" else _end_of_channel
    if run.domain == leader:
        return [make(run.domain, name, name, executor) for name in others]
    return [make(run.domain, leader, run.domain, executor)]


def _end_of_channel(domain: Domain, peer: Domain, name: str, executor: Executor) -> End:
    """This domain's end of a channel of two column parties, of which the other has this name."""
    get = executor.get
    first = executor.column[0]
    return End(
        peer,
        leads=peer == name,
        hello=lambda: get(first.call(ColumnParty.channel_hello, name)),
        agree=lambda hello: get(first.call(ColumnParty.channel_agree, name, hello)),
        confirm=lambda confirmation: get(
            first.call(ColumnParty.channel_confirm, name, confirmation)
        ),
    )


def _end_of_row_channel(domain: Domain, peer: Domain, name: str, executor: Executor) -> End:
    """This domain's end of a channel of two row parties, likewise."""
    get = executor.get
    first = executor.rows[domain][0]
    return End(
        peer,
        leads=peer == name,
        hello=lambda: get(first.call(RowParty.row_channel_hello, name)),
        agree=lambda hello: get(first.call(RowParty.row_channel_agree, name, hello)),
        confirm=lambda confirmation: get(
            first.call(RowParty.row_channel_confirm, name, confirmation)
        ),
    )


def _answer(run: DomainRun, end: End, hello: bytes, attestation: Attestation) -> Claim:
    """Take the other end's hello, and show it what runs here; returns what it must show."""
    mailbox = run.mailbox
    with mailbox.receiving(end.peer, "hello") as message:
        mac = end.agree(message.payload)
        hellos = (hello, message.payload) if end.leads else (message.payload, hello)
        jointly = run.plan.study.opens_jointly
        mailbox.begin_session(session_of(*hellos), end.peer if jointly else None)
    mine = Hello.decode(hello)
    theirs = Hello.decode(message.payload)
    session = mailbox.session_with(end.peer)
    claim = partial(Claim.of, session=session, study=mine.study_digest, run=run.name)
    shown = claim(run.domain, nonce=theirs.nonce, measurement=mine.measurement)
    mailbox.send(
        end.peer,
        "attest",
        lambda: pack_fields(
            {"evidence": attestation.provider.evidence(shown), "confirmation": mac}
        ),
    )
    return claim(end.peer, nonce=mine.nonce, measurement=theirs.measurement)


def _verify(run: DomainRun, end: End, demanded: Claim, attestation: Attestation) -> None:
    """Verify what the other end shows."""
    verifier = attestation.verifier
    with run.mailbox.receiving(end.peer, "attest") as message:
        fields = fields_of(message.payload, "evidence", "confirmation")
        verifier.verify(fields["evidence"], demanded)
        end.confirm(fields["confirmation"])
    if not run.log.attested(end.peer):
        run.log.add("attested", peer=end.peer, **verifier.facts(demanded))


def _tell_row_parties(run: DomainRun, role: Role, executor: Executor) -> None:
    """Tell the other row parties the order of cells; they tell the first their sessions.

    Both ends have verified each other, and all that is told follows from secrets that are on disk.
    """
    leader, *others = rows_of(run.plan.study)
    if role != "row" or not others:
        return
    mailbox = run.mailbox
    get = executor.get
    party = executor.rows[run.domain][0]
    if run.domain == leader:
        for name in others:
            mailbox.send(name, "order", _order_for(name, party, executor))
        for name in others:
            with mailbox.receiving(name, "sessions") as message:
                get(party.call(RowParty.accept_sessions, name, message.payload))
        return
    mailbox.send(leader, "sessions", lambda: get(party.call(RowParty.tell_sessions)))
    with mailbox.receiving(leader, "order") as message:
        get(party.call(RowParty.accept_order, message.payload))


def _order_for(name: Domain, party: Instance[RowParty], executor: Executor) -> Callable[[], bytes]:
    """Have the order of cells sealed for another row party, if it must be sent."""
    return lambda: executor.get(party.call(RowParty.share_order, name))


def _begin_with_aggregator(run: DomainRun, role: Role, executor: Executor) -> None:
    """Bind what goes to the aggregator to all of this party's handshakes together.

    What the first row party sends it is bound to those of all parties, as the release is.
    """
    study = run.plan.study
    mailbox = run.mailbox
    if not study.opens_jointly:
        return
    if run.domain == publisher_of(study):
        party = executor.rows[run.domain][0]
        session = executor.get(party.call(RowParty.session_of_release))
    else:
        names = columns_of(study) if role == "row" else rows_of(study)
        session = session_of_all([mailbox.session_with(name) for name in names])
    mailbox.begin_session(session, "aggregator")
