"""One domain's mailbox: sends to the others and receives from them, through the exchange and by its log.

A message is sent once: what an interrupted step handed out is recognised by its own signature and
stays as it is. A message is accepted once, in order, from its pinned sender, and is the same
whenever it is read again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from xstat_ray.errors import MessageError, PendingError, ProtocolError
from xstat_ray.federation import sealed
from xstat_ray.federation.audit import Log
from xstat_ray.federation.envelope import Header, Opened, message_name, open_message, seal
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.identity import Domain, Identity, Peers
from xstat_ray.federation.sealed import SEALED

_POLL_SECONDS = 0.05
T = TypeVar("T")


@dataclass(frozen=True)
class Binding:
    """What every message of a run is bound to."""

    study: str
    plan: str
    run: str


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
        """`patience` is how many seconds a missing message is waited for."""
        self._domain = domain
        self._exchange = exchange
        self._identity = identity
        self._binding = binding
        self._peers = Peers({**peers.keys, domain: identity.public})
        self.log = log
        self._patience = patience
        self.session = next((entry.facts["session"] for entry in log.of("session")), "")
        """Digest of the handshake, empty before it."""
        self._index: dict[tuple[str, str, str, int], dict[str, Any]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        for event in ("sent", "received"):
            for entry in log.of(event):
                self._remember(event, entry.facts)

    def begin_session(self, session: str) -> None:
        """From here on every message must be of this handshake.

        Raises:
            ProtocolError: another one has begun.
        """
        if not self.session:
            self.log.add("session", session=session)
            self.session = session
        elif session != self.session:
            raise ProtocolError("the hellos are not those of the handshake that had begun")

    # Sending

    def has_sent(self, receiver: Domain, kind: str, part: int = 0) -> bool:
        """Whether this message has been handed out, be it by a step that ended before it could say so."""
        if self._known("sent", receiver, kind, part) is not None:
            return True
        name = message_name(self._domain, receiver, self._count("sent", receiver))
        found = self._exchange.get(name)
        if found is None:
            return False
        try:
            header, _, digest = open_message(found, name, self._peers)
        except MessageError:
            return False
        expected = (*self._bound(kind), kind, part)
        if (
            header.study,
            header.plan,
            header.run,
            header.session,
            header.kind,
            header.part,
        ) != expected:
            return False
        self._note("sent", receiver, header, digest)
        return True

    def unsent(self, receiver: Domain, kind: str, parts: int) -> range:
        """The parts of a kind that are still to be handed out.

        They go in order, so these are the last ones.
        """
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

        A payload may be given as a function that makes it.
        """
        if self.has_sent(receiver, kind, part):
            return
        content = payload if isinstance(payload, bytes) else payload()
        if kind in SEALED:
            content = sealed.seal(self._peers.keys[receiver], kind, content)
        sequence = self._count("sent", receiver)
        header = Header(
            *self._bound(kind), self._domain, receiver, sequence, kind, part, parts, first, rows
        )  # fmt: skip
        data = seal(header, content, self._identity)
        self._exchange.put(header.name, data)
        opened = open_message(data, header.name, self._peers)
        self._note("sent", receiver, opened.header, opened.digest)

    # Receiving

    @contextmanager
    def receiving(self, sender: Domain, kind: str, part: int = 0) -> Iterator[Opened]:
        """Take the next message of a stream, which must be this one.

        It is accepted if the block ends without error.

        Raises:
            MessageError: it is refused: by the envelope, or by the block with a ProtocolError.
            PendingError: it has not come in time.
        """
        known = self._known("received", sender, kind, part)
        sequence = self._count("received", sender) if known is None else int(known["sequence"])
        name = message_name(sender, self._domain, sequence)
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
            raise error if isinstance(error, MessageError) else MessageError(name, reason) from None
        if known is None:
            self._note("received", sender, opened.header, opened.digest)

    def collect(self, sender: Domain, kind: str, read: Callable[[Opened], T]) -> Iterator[T]:
        """`read` applied to all messages of a kind, in order.

        Each is accepted if `read` raises nothing.

        Raises:
            MessageError, PendingError: as `receiving`.
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
        known = self.session
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
        deadline = time.monotonic() + self._patience
        while (data := self._exchange.get(name)) is None:
            if time.monotonic() >= deadline:
                raise PendingError(
                    f"message {name} ({kind}) has not come yet. The same command goes on once it has"
                )
            time.sleep(_POLL_SECONDS)
        return data

    # The log

    def publish_log(self) -> None:
        """Put a copy of the log where the others can read it."""
        self._exchange.put(log_name(self._domain), self.log.content())

    def log_of(self, domain: Domain) -> bytes | None:
        """Another domain's log as that domain last published it, unchecked."""
        return self._exchange.get(log_name(domain))

    def _bound(self, kind: str) -> tuple[str, str, str, str]:
        own = self._binding
        return own.study, own.plan, own.run, "" if kind == "hello" else self.session

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


def log_name(domain: Domain) -> str:
    """Where a domain's log lies in the exchange."""
    return f"logs/{domain}.jsonl"
