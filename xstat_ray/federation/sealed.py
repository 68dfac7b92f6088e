"""Messages that only their receiver can read, sealed (HPKE, RFC 9180) to the domain's pinned key.

Messages to the aggregator must be closed to the parties: both have the tag key, so a party that saw
the other's tags would know who is in both tables. The key holder must see neither the masks nor the
table without them, which it could decrypt; nor may a party see what is dealt to the other. Messages
from party to party are sealed under the keys of their handshake.

A point of Ed25519 is one of Curve25519 in another form (RFC 7748, section 4.1): with
u = (1 + y) / (1 - y) the pinned signing key of a domain is also its X25519 key, and its private
half follows from the same seed (RFC 8032, 5.1.5).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from xstat_ray.errors import ProtocolError
from xstat_ray.federation.identity import Identity

SEALED = frozenset({"tree", "rows", "flags", "masks", "rerandomised", "dealt", "corrections"})
"""Kinds of messages that are sealed."""
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_FIELD = 2**255 - 19


def seal(receiver: bytes, kind: str, message: bytes) -> bytes:
    """Seal a message to a domain.

    Args:
        receiver: the domain's pinned Ed25519 key.
        kind: kind of the message; a message of another kind does not open.
        message: its payload.

    Returns:
        The sealed payload, 48 bytes longer than the payload.

    Raises:
        ProtocolError: nothing can be sealed to this key.
    """
    try:
        return bytes(
            _SUITE.encrypt(
                message, X25519PublicKey.from_public_bytes(agreement_key(receiver)), _info(kind)
            )
        )
    except ValueError:
        raise ProtocolError("messages cannot be sealed to the receiver's pinned key") from None


def unseal(identity: Identity, kind: str, sealed: bytes) -> bytes:
    """Open a message that was sealed to this domain.

    Raises:
        ProtocolError: the message was not sealed to this domain, or is of another kind.
    """
    try:
        return bytes(_SUITE.decrypt(sealed, identity.agreement_key(), _info(kind)))
    except (InvalidTag, ValueError):
        raise ProtocolError("its payload is not sealed to this domain") from None


def agreement_key(signing: bytes) -> bytes:
    """Derive the X25519 key (32 bytes) of a domain from its Ed25519 key (32 bytes).

    Raises:
        ValueError: the key is the neutral point.
    """
    y = int.from_bytes(signing, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, -1, _FIELD) % _FIELD).to_bytes(32, "little")


def _info(kind: str) -> bytes:
    return f"xstat-ray v1 sealed {kind}".encode()
