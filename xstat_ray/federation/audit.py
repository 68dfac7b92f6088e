"""A domain's log of a run: what it received, sent, refused and debited.

Lines are signed, chained by their hashes, and only appended. The log is also the domain's memory: a
step that is run again asks it what was accepted and what was handed out. It holds names and digests
of messages, no content.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.identity import Domain, Identity, Peers
from xstat_ray.util.files import unwritable

EVENTS = (
    "opened",
    "session",
    "attested",
    "sent",
    "received",
    "refused",
    "shown",
    "drawn",
    "departed",
    "noise",
    "approved",
    "debited",
    "admitted",
    "published",
    "checked",
    "finished",
)
_SIGNED_AS = b"xstat-ray log\0"
_START = "0" * 64
_FIELDS = {
    "number": int,
    "at": str,
    "domain": str,
    "event": str,
    "facts": dict,
    "previous": str,
    "signature": str,
}


@dataclass(frozen=True)
class Entry:
    """One line of a log."""

    number: int
    at: str
    """Time, UTC, ISO 8601, to the minute: finer ones would hint at sizes."""
    domain: Domain
    event: str
    facts: dict[str, Any]
    previous: str
    """SHA-256 of the line before, hexadecimal; zeros in the first."""


class Log:
    """The log of one domain and run, in one file."""

    def __init__(self, path: Path, domain: Domain, identity: Identity) -> None:
        """Open a log, or begin one.

        A last line that a crash cut off is removed: what it tells had not happened yet.

        Raises:
            InputError: the file cannot be used, or is not this domain's log.
        """
        self._path = path
        self._domain = domain
        self._identity = identity
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):
                os.ftruncate(self._file, len(whole))
            os.lseek(self._file, 0, os.SEEK_END)
        except OSError as error:
            raise unwritable(path.parent, error) from None
        try:
            self.entries = read_log(whole, domain, Peers({domain: identity.public}))
        except ProtocolError as error:
            os.close(self._file)
            remedy = "Restore it; a run cannot go on without its log"
            raise InputError(str(error), file=str(path), remedy=remedy) from None
        self._last = _hash(whole.splitlines()[-1]) if whole else _START

    def add(self, event: str, **facts: Any) -> Entry:
        """Append a line durably.

        Raises:
            InputError: the disk is full.
        """
        assert event in EVENTS
        number = len(self.entries)
        at = dt.datetime.now(dt.UTC).isoformat(timespec="minutes")
        raw: dict[str, Any] = {
            "number": number,
            "at": at,
            "domain": self._domain,
            "event": event,
            "facts": facts,
        }
        raw["previous"] = self._last
        signature = self._identity.sign(_SIGNED_AS + canonical(raw)).hex()
        line = canonical(raw | {"signature": signature})
        try:
            os.write(self._file, line + b"\n")
            os.fsync(self._file)
        except OSError as error:
            raise unwritable(self._path.parent, error) from None
        self._last = _hash(line)
        entry = Entry(number, at, self._domain, event, facts, raw["previous"])
        self.entries.append(entry)
        return entry

    def of(self, event: str) -> Iterator[Entry]:
        """Entries of one event, oldest first."""
        return (entry for entry in self.entries if entry.event == event)

    def attested(self, peer: Domain) -> bool:
        """Whether this domain has verified the evidence of another."""
        return any(entry.facts["peer"] == peer for entry in self.of("attested"))

    @property
    def finished(self) -> bool:
        """Whether this domain's part of the run is over."""
        return any(self.of("finished"))

    def content(self) -> bytes:
        """Content of the file as it stands."""
        return self._path.read_bytes()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_log(content: bytes, domain: Domain, peers: Peers) -> list[Entry]:
    """Check and read a log.

    Args:
        content: the file.
        domain: the domain whose log it must be.
        peers: the pinned keys.

    Raises:
        ProtocolError: a line is malformed, altered, left out, moved, or not signed by the domain's
            pinned key.
    """
    entries = list[Entry]()
    last = _START
    if content and not content.endswith(b"\n"):
        raise ProtocolError(f"the log of the {domain} domain is cut off")
    for number, line in enumerate(content.splitlines()):
        entries.append(_entry(line, number, domain, last, peers))
        last = _hash(line)
    return entries


def _entry(line: bytes, number: int, domain: Domain, last: str, peers: Peers) -> Entry:
    where = f"line {number + 1} of the log of the {domain} domain"
    try:
        raw = json.loads(line)
        typed = (
            isinstance(raw, dict) and {key: type(value) for key, value in raw.items()} == _FIELDS
        )
        if not typed or canonical(raw) != line or raw["event"] not in EVENTS:
            raise ValueError
        signature = bytes.fromhex(raw.pop("signature"))
    except (ValueError, TypeError, RecursionError):
        raise ProtocolError(f"{where} is malformed") from None
    if not peers.signed(domain, _SIGNED_AS + canonical(raw), signature):
        raise ProtocolError(f"{where} is not signed by that domain's key")
    if raw["number"] != number or raw["previous"] != last or raw["domain"] != domain:
        raise ProtocolError(f"{where} does not follow the line before it")
    return Entry(**raw)


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
