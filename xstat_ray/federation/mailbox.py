"""A domain's mailbox: it sends to the others and receives from them through the exchange.

A message is sent once: what an interrupted step handed out is recognised by its signature and stays
as it is. A message is accepted once, in order, from its pinned sender, and must be unchanged when
it is read again. The mailbox finds in its log what was sent and accepted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from xstat_ray.errors import AttestationError, MessageError, PendingError, ProtocolError
from xstat_ray.federation import sealed
from xstat_ray.federation.audit import Log, read_log
from xstat_ray.federation.envelope import Header, Opened, message_name, open_message, seal
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.identity import Domain, Identity, Peers
from xstat_ray.federation.sealed import SEALED

_POLL_SECONDS = 0.05
_ALL = ""
"""Stands for all other domains."""
T = TypeVar("T")


@dataclass(frozen=True)
class Binding:
    """What the messages of a run are bound to."""

    study: str
    """Digest of the study, in hex."""
    plan: str
    """Digest of the plan, in hex."""
    run: str
    """Name of the run."""


class Mailbox:
    """The messages of one domain in one run."""

    def __init__(
        self,
        domain: Domain,
        *,
        exchange: Exchange,
        identity: Identity,
        peers: Peers,
        binding: Binding,
        log: Log,
        patience: float,
    ) -> None:
        """Open the mailbox, with what its log knows of messages sent and accepted.

        Args:
            domain: the domain whose mailbox this is.
            exchange: where the messages lie.
            identity: key that signs what this domain sends.
            peers: pinned keys of the other domains.
            binding: what all messages must be bound to.
            log: this domain's log of the run.
            patience: seconds to wait for a message that is missing.
        """
        self.domain = domain
        self._exchange = exchange
        self._identity = identity
        self._binding = binding
        self._peers = Peers({**peers.keys, domain: identity.public})
        self.log = log
        self._patience = patience
        self._sessions: dict[Domain, str] = {
            entry.facts.get("peer", _ALL): entry.facts["session"] for entry in log.of("session")
        }
        """Digest of the handshake by the other domain, or under `_ALL` of the only handshake."""
        self._index: dict[tuple[str, str, str, int], dict[str, Any]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        for event in ("sent", "received"):
            for entry in log.of(event):
                self._remember(event, entry.facts)

    def session_with(self, peer: Domain) -> str:
        """Name the session to which messages from and to a domain are bound; empty before it."""
        return self._sessions.get(peer) or self._sessions.get(_ALL, "")

    def begin_session(self, session: str, peer: Domain | None = None) -> None:
        """Bind all further messages to a handshake.

        Args:
            session: name of the session.
            peer: the domain whose messages are bound; None is every domain, where there is one
                handshake.

        Raises:
            ProtocolError: another handshake has begun.
        """
        place = _ALL if peer is None else peer
        known = self._sessions.get(place)
        if known is None:
            self.log.add("session", session=session, **({} if peer is None else {"peer": peer}))
            self._sessions[place] = session
        elif session != known:
            raise ProtocolError("the hellos are not those of the handshake that had begun")

    # Sending

    def has_sent(self, receiver: Domain, kind: str, part: int = 0) -> bool:
        """Whether a message was handed out, perhaps by a step that ended before it logged that."""
        if self._known("sent", receiver, kind, part) is not None:
            return True
        name = message_name(self.domain, receiver, self._count("sent", receiver))
        found = self._exchange.get(name)
        if found is None:
            return False
        try:
            header, _, digest = open_message(found, name, self._peers)
        except MessageError:
            return False
        bound = (header.study, header.plan, header.run, header.session)
        if (*bound, header.kind, header.part) != (*self._bound(receiver, kind), kind, part):
            return False
        self._note("sent", receiver, header, digest)
        return True

    def unsent(self, receiver: Domain, kind: str, parts: int) -> range:
        """Parts of a kind that are still to be handed out; as they go in order, the last ones."""
        first = next(
            (part for part in range(parts) if not self.has_sent(receiver, kind, part)), parts
        )
        return range(first, parts)

    def send(
        self,
        receiver: Domain,
        kind: str,
        payload: bytes | Callable[[], bytes],
        *,
        part: int = 0,
        parts: int = 1,
        first: int = 0,
        rows: int = 0,
    ) -> None:
        """Hand out a message, unless that has been done.

        Args:
            receiver: the domain that the message is for.
            kind: kind of the message.
            payload: content, or a function that makes it if the message must be sent.
            part: number of this message among those of its kind, from 0.
            parts: messages of this kind.
            first: number of the payload's first row among the sender's.
            rows: rows of the payload.

        Raises:
            AttestationError: the message would be sealed for an aggregator whose evidence has not
                been verified.
            InputError: the exchange cannot be written to.
        """
        if self.has_sent(receiver, kind, part):
            return
        if kind in SEALED and receiver == "aggregator" and not self.log.attested(receiver):
            raise AttestationError(
                "nothing is sealed for the aggregator before its evidence was verified"
            )
        content = payload if isinstance(payload, bytes) else payload()
        if kind in SEALED:
            content = sealed.seal(self._peers.keys[receiver], kind, content)
        sequence = self._count("sent", receiver)
        bound = (*self._bound(receiver, kind), self.domain, receiver, sequence)
        header = Header(*bound, kind, part, parts, first, rows)
        data = seal(header, content, self._identity)
        self._exchange.put(header.name, data)
        opened = open_message(data, header.name, self._peers)
        self._note("sent", receiver, opened.header, opened.digest)

    def sent_again(self, receiver: Domain, kind: str, part: int) -> bytes:
        """Read back the payload of a message that was handed out.

        Raises:
            MessageError: the exchange holds another message in its place, or none.
        """
        known = self._known("sent", receiver, kind, part)
        sequence = 0 if known is None else int(known["sequence"])
        name = message_name(self.domain, receiver, sequence)
        opened = open_message(self._exchange.get(name) or b"", name, self._peers)
        if known is None or opened.digest != known["message"]:
            raise MessageError(name, "it is not the one that was handed out")
        return opened.payload

    # Receiving

    @contextmanager
    def receiving(self, sender: Domain, kind: str, part: int = 0) -> Iterator[Opened]:
        """Open the next message of a stream, which must be this one.

        The message is accepted if the block under this context manager ends without error.

        Raises:
            AttestationError: so did the block.
            MessageError: the message is refused, by its envelope or by another ProtocolError in
                the block.
            PendingError: the message has not come in time.
        """
        known = self._known("received", sender, kind, part)
        sequence = self._count("received", sender) if known is None else int(known["sequence"])
        name = message_name(sender, self.domain, sequence)
        data = self._wait(name, kind)
        try:
            opened = open_message(data, name, self._peers)
            self._check(opened, kind, part)
            if known is not None and known["message"] != opened.digest:
                raise MessageError(name, "it is not the one that was accepted before")
            yield self._unsealed(opened) if kind in SEALED else opened
        except ProtocolError as error:
            reason = error.reason if isinstance(error, MessageError) else str(error)
            self.log.add("refused", peer=sender, sequence=sequence, kind=kind, reason=reason)
            raise _refusal(error, name) from None
        if known is None:
            self._note("received", sender, opened.header, opened.digest)

    def collect(self, sender: Domain, kind: str, read: Callable[[Opened], T]) -> Iterator[T]:
        """Apply `read` to all messages of a kind, in order; each is accepted if `read` returns.

        Raises:
            MessageError: a message is refused, by its envelope or by a ProtocolError of `read`.
            PendingError: a message has not come in time.
        """
        part = 0
        parts = 1
        while part < parts:
            with self.receiving(sender, kind, part) as opened:
                if part and opened.header.parts != parts:
                    raise ProtocolError(
                        f"it says that there are {opened.header.parts} of its kind, not {parts}"
                    )
                result = read(opened)
            yield result
            part = part + 1
            parts = opened.header.parts

    def _unsealed(self, opened: Opened) -> Opened:
        return opened._replace(
            payload=sealed.unseal(self._identity, opened.header.kind, opened.payload)
        )

    def _check(self, opened: Opened, kind: str, part: int) -> None:
        header = opened.header
        known = self.session_with(header.sender)
        if header.kind == "hello":
            known = ""
        elif not known:
            known = header.session
        wanted = [
            (header.study, self._binding.study, "belongs to another study"),
            (header.run, self._binding.run, "belongs to another run"),
            (
                header.plan,
                self._binding.plan,
                "belongs to another plan: set crypto and shards alike everywhere",
            ),
            (header.session, known, "belongs to another handshake"),
            (header.kind, kind, f"is a {header.kind} message and it is the turn of {kind}"),
            (header.part, part, f"is part {header.part} and it is the turn of part {part}"),
        ]
        for found, expected, reason in wanted:
            if found != expected:
                raise MessageError(header.name, f"it {reason}")

    def _wait(self, name: str, kind: str) -> bytes:
        missing = f"message {name} ({kind}) has not come yet"
        return self._poll(lambda: self._exchange.get(name), missing)

    def _poll(self, look: Callable[[], T | None], missing: str) -> T:
        """Look until there is something, for as long as this mailbox waits."""
        deadline = time.monotonic() + self._patience
        pause = _POLL_SECONDS
        while (found := look()) is None:
            if time.monotonic() >= deadline:
                raise PendingError(f"{missing}. The same command goes on once it has")
            time.sleep(pause)
            pause = min(2 * pause, self._exchange.longest_pause)
        return found

    # The log

    def publish_log(self) -> None:
        """Put a copy of the log where the others can read it."""
        self._exchange.put(log_name(self.domain), self.log.content())

    def log_with(self, domain: Domain, event: str) -> bytes:
        """Wait for another domain's log that has an event, as that domain last published it.

        Raises:
            PendingError: the event has not come in time.
            ProtocolError: the log was altered, or is not that domain's.
        """

        def look() -> bytes | None:
            content = self._exchange.get(log_name(domain))
            entries = read_log(content or b"", domain, self._peers)
            return content if any(entry.event == event for entry in entries) else None

        return self._poll(look, f"the {domain} domain has not {event}")

    def _bound(self, peer: Domain, kind: str) -> tuple[str, str, str, str]:
        binding = self._binding
        session = "" if kind == "hello" else self.session_with(peer)
        return binding.study, binding.plan, binding.run, session

    def _known(self, event: str, peer: Domain, kind: str, part: int) -> dict[str, Any] | None:
        return self._index.get((event, peer, kind, part))

    def _count(self, event: str, peer: Domain) -> int:
        return self._counts[event, peer]

    def _remember(self, event: str, facts: dict[str, Any]) -> None:
        self._index[event, facts["peer"], facts["kind"], facts["part"]] = facts
        self._counts[event, facts["peer"]] += 1

    def _note(self, event: str, peer: Domain, header: Header, digest: str) -> None:
        place = {
            "sequence": header.sequence,
            "kind": header.kind,
            "part": header.part,
            "parts": header.parts,
        }
        self._remember(event, self.log.add(event, peer=peer, **place, message=digest).facts)


def _refusal(error: ProtocolError, name: str) -> ProtocolError:
    """Make an error that names the message, of the kind that its reader can act on."""
    if isinstance(error, MessageError):
        return error
    refusal = MessageError(name, str(error))
    return AttestationError(str(refusal)) if isinstance(error, AttestationError) else refusal


def log_name(domain: Domain) -> str:
    """Path of a domain's log below the folder of its run."""
    return f"logs/{domain}.jsonl"
