"""The sealed channel between the first column party and another one.

The first column party adds up what all column parties decrypt, so the others seal it to that party.
The two agree on keys by a handshake like that of row party and column party. It compares the
digests of the study and of the software too; the name of the other party is hashed with the study's
digest, so that no message of one handshake is taken in another.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import ClassVar

from xstat_ray.crypto.channel import Channel, pack_fields, unpack_fields
from xstat_ray.crypto.handshake import Handshake, Hello, SharedSecrets
from xstat_ray.errors import ProtocolError
from xstat_ray.model.study import Role
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.software_digest import software_digest


class ResidueChannel(Secret):
    """One end of it: call `hello`, `agree` and `confirm`, in this order; then `seal` or `open`."""

    LABEL: ClassVar[bytes] = b"xstat-ray v1 residues\0"
    """Keeps handshakes for different purposes apart."""
    ENDS: ClassVar[str] = "column parties"

    def __init__(self, study_digest: bytes, party: str, *, first: bool) -> None:
        """Begin a handshake.

        Args:
            study_digest: digest of the study.
            party: name of the party that is not the first of its side.
            first: whether this is the end of the first.
        """
        # In the handshake's own words the first one has the row party's end.
        self._end: Role = "row" if first else "column"
        self._other: Role = "column" if first else "row"
        digest = sha256(self.LABEL + study_digest + party.encode()).digest()
        self._handshake: Handshake | None = Handshake(self._end, digest, software_digest())
        self._shared: SharedSecrets | None = None

    def hello(self) -> bytes:
        """Encode the opening message of the handshake.

        Raises:
            ProtocolError: the handshake is over.
        """
        if self._handshake is None:
            raise ProtocolError(f"the handshake of these {self.ENDS} is over")
        return self._handshake.hello.encode()

    def agree(self, peer: bytes) -> bytes:
        """Take the other end's hello, and return the confirmation to send back.

        Raises:
            ProtocolError: it is none, of another study, party or software, or comes too late.
        """
        if self._handshake is None:
            raise ProtocolError(f"the handshake of these {self.ENDS} is over")
        self._shared = self._handshake.agree(Hello.decode(peer))
        self._handshake = None
        return self._shared.confirm(self._end)

    def confirm(self, confirmation: bytes) -> None:
        """Check that the other end holds the same keys.

        Raises:
            ProtocolError: it does not.
        """
        self._agreed.check_confirmation(self._other, confirmation)

    def seal(self, message: bytes, purpose: str) -> bytes:
        """Encrypt for the other end."""
        return self._channel(self._end).seal(message, purpose)

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what the other end sealed.

        Raises:
            ProtocolError: altered, for another purpose, or not from the other end.
        """
        return self._channel(self._other).open(sealed, purpose)

    def export_bytes(self) -> bytes:
        """All of it, for another environment of the same party or its own folder."""
        if self._handshake is not None:
            return pack_fields({"handshake": self._handshake.export_bytes()})
        return pack_fields({"shared": self._agreed.export_bytes()})

    def restore(self, exported: bytes) -> None:
        """Take what `export_bytes` gave at the same end."""
        parts: Mapping[str, bytes] = unpack_fields(exported)
        waiting = parts.get("handshake")
        self._handshake = None if waiting is None else Handshake.from_bytes(waiting)
        self._shared = None if waiting is not None else SharedSecrets.from_bytes(parts["shared"])

    @property
    def _agreed(self) -> SharedSecrets:
        if self._shared is None:
            raise ProtocolError(f"the handshake of these {self.ENDS} has not taken place")
        return self._shared

    def _channel(self, sender: Role) -> Channel:
        return Channel(self._agreed.salt + self._agreed.tag_key, f"end of {sender}")
