"""The envelope of the files that cross between domains, as docs/format.md specifies it.

A message is a head, which is signed, and a payload, whose digest the head holds. Opening a message
checks all that can be checked without knowing what the payload means; a refusal names the message
and the reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Set
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.errors import MessageError, ProtocolError
from xstat_ray.federation.identity import DOMAINS, SIGNATURE_BYTES, Domain, Identity, Peers

MAGIC = b"xstatray"
VERSION = 2
MAX_HEADER_BYTES = 4096
MAX_PARTS = 1 << 24
_FIXED = len(MAGIC) + 8
_SIGNED_AS = b"xstat-ray envelope\0"
_HEX64 = re.compile("[0-9a-f]{64}")
_KIND = re.compile("[a-z]{1,20}")
_RUN = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Header:
    """What a message tells about its payload; all of it is signed."""

    study: str
    """Digest of the study, in hex."""
    plan: str
    """Digest, in hex, of what the domains must set alike beside the study: key size, slots,
    shards."""
    run: str
    """Name of the run, agreed on beforehand."""
    session: str
    """Digest of the handshake, in hex; empty in a hello, which comes before it."""
    sender: Domain
    receiver: Domain
    sequence: int
    """Place in the stream from this sender to this receiver, from 0."""
    kind: str
    part: int
    """Number of this message among those of its kind in the stream, from 0."""
    parts: int
    """Messages of this kind in the stream."""
    first: int
    """Number of the first row among the sender's, where a kind comes in consecutive parts."""
    rows: int
    """Rows of the payload."""
    size: int = 0
    """Bytes of the payload, set by `seal`."""
    sha256: str = ""
    """SHA-256 of the payload in hex, set by `seal`."""

    @property
    def name(self) -> str:
        """Name of the message in files, logs and errors."""
        return message_name(self.sender, self.receiver, self.sequence)

    def encode(self) -> bytes:
        """Encode the header in canonical JSON."""
        return canonical(asdict(self))


class Opened(NamedTuple):
    """A message whose signature and digest are right."""

    header: Header
    payload: bytes
    digest: str
    """SHA-256, in hex, of the head with its signature, by which logs name the message."""


def message_name(sender: Domain, receiver: Domain, sequence: int) -> str:
    """Path of a message below the folder of its run.

    A dash of a column party's name is written as a dot, so that no two streams have one folder.
    """
    ends = "-".join(name.replace("-", ".") for name in (sender, receiver))
    return f"{ends}/{sequence:06d}.msg"


def canonical(value: object) -> bytes:
    """Encode a value in the one JSON form that is signed: sorted names, no blanks, ASCII."""
    return json.dumps(
        value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False
    ).encode()


def is_run_name(run: str) -> bool:
    """Whether `run` may name a run: letters, digits, dot, dash and underscore, at most 64."""
    return _RUN.fullmatch(run) is not None


def seal(header: Header, payload: bytes, identity: Identity) -> bytes:
    """Make the file of a message, signed by `identity`."""
    header = replace(header, size=len(payload), sha256=hashlib.sha256(payload).hexdigest())
    text = header.encode()
    head = MAGIC + VERSION.to_bytes(4, "little") + len(text).to_bytes(4, "little") + text
    return head + identity.sign(_SIGNED_AS + head) + payload


def open_message(data: bytes, name: str, peers: Peers) -> Opened:
    """Check a file that claims to be message `name`.

    Args:
        data: the file.
        name: where it was found, which its header must confirm.
        peers: the pinned keys.

    Raises:
        MessageError: the file is no message of this version, or is malformed, cut off, altered,
            misplaced or not signed by its sender.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise MessageError(name, "it is not a message")
    version = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "little")
    if version != VERSION:
        raise MessageError(name, f"its version is {version}, and this software knows {VERSION}")
    length = int.from_bytes(data[len(MAGIC) + 4 : _FIXED], "little")
    start = _FIXED + length + SIGNATURE_BYTES
    if length > MAX_HEADER_BYTES or len(data) < start:
        raise MessageError(name, "it is cut off or its header is too long")
    header = _header(data[_FIXED : _FIXED + length], name, peers)
    head = data[: _FIXED + length]
    signature = data[_FIXED + length : start]
    if not peers.signed(header.sender, _SIGNED_AS + head, signature):
        raise MessageError(name, f"it is not signed by the {header.sender} domain's pinned key")
    if header.name != name:
        raise MessageError(name, f"it is {header.name}, in another's place")
    if len(data) - start != header.size:
        raise MessageError(
            name, f"its payload has {len(data) - start} bytes instead of {header.size}"
        )
    payload = data[start:]
    if hashlib.sha256(payload).hexdigest() != header.sha256:
        raise MessageError(name, "its payload was altered")
    return Opened(header, payload, hashlib.sha256(data[:start]).hexdigest())


def _header(text: bytes, name: str, peers: Peers) -> Header:
    known = {*DOMAINS, *peers.keys}
    try:
        header = Header(**json.loads(text))
        well_formed = _well_formed(asdict(header), known) and header.encode() == text
    except (ValueError, TypeError, RecursionError):
        raise MessageError(name, "its header is malformed") from None
    if not well_formed:
        raise MessageError(name, "its header is malformed")
    return header


def fields_of(payload: bytes, *names: str) -> dict[str, bytes]:
    """Unpack the byte strings of a payload, which has exactly these names.

    Raises:
        ProtocolError: the payload is malformed.
    """
    try:
        unpacked = unpack_fields(payload)
    except (ValueError, OverflowError):
        raise ProtocolError("its payload is malformed") from None
    if tuple(unpacked) != names:
        raise ProtocolError("its payload is malformed")
    return unpacked


def _well_formed(raw: dict[str, Any], known_domains: Set[Domain]) -> bool:
    numbers = {field.name for field in fields(Header) if field.type == "int"}
    typed = all(type(value) is (int if key in numbers else str) for key, value in raw.items())
    if not typed or any(not 0 <= raw[key] < 1 << 53 for key in numbers):
        return False
    digests = [
        raw["study"],
        raw["plan"],
        raw["sha256"],
        *([raw["session"]] if raw["session"] else []),
    ]
    ends = raw["sender"], raw["receiver"]
    known = known_domains >= {*ends} and ends[0] != ends[1]
    placed = raw["part"] < raw["parts"] <= MAX_PARTS and raw["sequence"] <= MAX_PARTS
    named = is_run_name(raw["run"]) and _KIND.fullmatch(raw["kind"]) is not None
    return known and placed and named and all(_HEX64.fullmatch(digest) for digest in digests)
