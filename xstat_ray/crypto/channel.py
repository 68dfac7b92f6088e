"""Party to party: messages that pass through the driver sealed, and secrets handed to a replica.

The channel uses AES-128-GCM under keys that only the two parties share; the hand-over uses HPKE
(RFC 9180) to a key that the receiving replica made for this one purpose.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from xstat_ray.crypto.derive import derive
from xstat_ray.errors import ProtocolError
from xstat_ray.util.secrecy import Secret

_NONCE = 12
_OVERHEAD = _NONCE + 16
_PART = 1 << 30
"""Bytes of a long message that are encrypted at a time."""
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_PURPOSE = b"xstat-ray v1 hand-over to a replica"


class Channel(Secret):
    """One direction of authenticated encryption between the parties."""

    def __init__(self, shared: bytes, sender: str) -> None:
        self._aead = AESGCM(derive(shared, f"channel from {sender}"))

    def seal(self, message: bytes, purpose: str) -> bytes:
        """Encrypt; `purpose` is authenticated and must be the same at the other end."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, message, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt.

        Raises:
            ProtocolError: altered, truncated, for another purpose, or not from the counterpart.
        """
        try:
            behind = memoryview(sealed)[_NONCE:]
            return self._aead.decrypt(sealed[:_NONCE], behind, purpose.encode())
        except (InvalidTag, ValueError):
            raise ProtocolError(
                f"a sealed message ({purpose}) was altered or is not from the counterpart"
            ) from None

    def seal_long(self, message: bytes, purpose: str) -> bytes:
        """Encrypt a message of any length, in parts, as a cipher's has a limit of two gigabytes."""
        starts = range(0, max(1, len(message)), _PART)
        return b"".join(
            self.seal(message[start : start + _PART], f"{purpose}, {start} of {len(message)}")
            for start in starts
        )

    def open_long(self, sealed: bytes, purpose: str) -> bytes:
        """Decrypt what `seal_long` gave; see `open`."""
        step = _PART + _OVERHEAD
        parts = [sealed[start : start + step] for start in range(0, len(sealed), step)]
        size = len(sealed) - _OVERHEAD * len(parts)
        return b"".join(
            self.open(part, f"{purpose}, {number * _PART} of {size}")
            for number, part in enumerate(parts)
        )


class HandOver(Secret):
    """The receiving end of a hand-over: made by a new replica, used once."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    @property
    def offer(self) -> bytes:
        """Public key (32 bytes) that the sender seals to."""
        return self._private.public_key().public_bytes_raw()

    def open(self, sealed: bytes) -> dict[str, bytes]:
        """The secrets that were handed over.

        Raises:
            ProtocolError: not sealed to this offer.
        """
        try:
            return unpack_fields(_SUITE.decrypt(sealed, self._private, _PURPOSE))
        except (InvalidTag, ValueError):
            raise ProtocolError("the secrets handed over were not sealed to this replica") from None


def hand_over(offer: bytes, secrets: Mapping[str, bytes]) -> bytes:
    """Seal named secrets to the replica that made `offer`."""
    return _SUITE.encrypt(pack_fields(secrets), X25519PublicKey.from_public_bytes(offer), _PURPOSE)


def pack_fields(fields: Mapping[str, bytes]) -> bytes:
    """Named byte strings as one: name length, name, value length, value.

    Lengths are 8 bytes little-endian.
    """
    parts = [part for name, value in fields.items() for part in (name.encode(), value)]
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def unpack_fields(data: bytes) -> dict[str, bytes]:
    """Reverse `pack_fields`."""
    parts = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        parts.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return {name.decode(): value for name, value in zip(parts[::2], parts[1::2], strict=True)}
