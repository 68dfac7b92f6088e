"""The handshake of the two parties.

X25519 (RFC 7748), then HKDF-SHA256 (RFC 5869) over a transcript of both hellos. Its secrets are
those of one view: tables that are shown again are shown after another handshake, so that nothing
links the two.

It compares what the parties believe they run and gives both the same secrets, which no third party
has. It does not prove who the peer is: that is the business of the channel the hellos travel on.
`SharedSecrets.confirm` proves that the peer derived the same keys from the same transcript.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, fields

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from xstat_ray.errors import ProtocolError
from xstat_ray.model.study import Role
from xstat_ray.util.secrecy import Secret

_MAGIC = b"xstat-ray hello\x01"
_ROLES: tuple[Role, Role] = ("row", "column")
_FIELD_BYTES = 32
_VIEW = b"xstat-ray v2 view\0"


@dataclass(frozen=True)
class Hello:
    """What one party sends the other.

    Every field but the role is 32 bytes, and all of it is public.

    Raises:
        ProtocolError: a field has another length, or the role is unknown.
    """

    role: Role
    public: bytes
    """X25519 public key, fresh for this handshake."""
    study_digest: bytes
    measurement: bytes
    """Digest of the software that the party's environment runs."""
    nonce: bytes

    def __post_init__(self) -> None:
        if self.role not in _ROLES:
            raise ProtocolError("a hello names no known role")
        if any(len(value) != _FIELD_BYTES for value in self._values()):
            raise ProtocolError(f"a field of a hello is not {_FIELD_BYTES} bytes")

    def encode(self) -> bytes:
        """Encode in 145 bytes: name (15), version, role (0 row, 1 column), the other fields."""
        return b"".join([_MAGIC, bytes([_ROLES.index(self.role)]), *self._values()])

    @classmethod
    def decode(cls, data: bytes) -> Hello:
        """Read a hello back.

        Raises:
            ProtocolError: another message, another version or an unknown role.
        """
        head = len(_MAGIC) + 1
        if (
            len(data) != head + 4 * _FIELD_BYTES
            or not data.startswith(_MAGIC)
            or data[head - 1] >= len(_ROLES)
        ):
            raise ProtocolError("not a hello of this version")
        values = (
            data[start : start + _FIELD_BYTES] for start in range(head, len(data), _FIELD_BYTES)
        )
        return cls(_ROLES[data[head - 1]], *values)

    def _values(self) -> list[bytes]:
        return [getattr(self, field.name) for field in fields(self) if field.name != "role"]


class SharedSecrets(Secret):
    """What the parties share, and the aggregator never has."""

    __slots__ = ("_confirmation_key", "_transcript", "salt", "tag_key", "view")

    def __init__(
        self, salt: bytes, tag_key: bytes, confirmation_key: bytes, transcript: bytes
    ) -> None:
        self.salt = salt
        """32 bytes, hashed in front of every id."""
        self.tag_key = tag_key
        """K, 16 bytes: the AES-128 key of the tags."""
        self.view = hashlib.sha256(_VIEW + transcript).hexdigest()[:32]
        """Public name of the one view that is shown under these secrets, 32 hexadecimal digits."""
        self._confirmation_key = confirmation_key
        self._transcript = transcript

    def export_bytes(self) -> bytes:
        """The secrets in the clear (112 bytes), for the party's own replicas and nobody else."""
        return self.salt + self.tag_key + self._confirmation_key + self._transcript

    @classmethod
    def from_bytes(cls, data: bytes) -> SharedSecrets:
        """Rebuild from `export_bytes`.

        Raises:
            ValueError: not 112 bytes.
        """
        if len(data) != 112:
            raise ValueError("exported secrets are 112 bytes")
        return cls(data[:32], data[32:48], data[48:80], data[80:])

    def confirm(self, role: Role) -> bytes:
        """Prove that `role` holds these secrets: HMAC-SHA256 of role and transcript, 32 bytes."""
        return hmac.digest(
            self._confirmation_key, role.encode() + b"\0" + self._transcript, "sha256"
        )

    def check_confirmation(self, peer_role: Role, mac: bytes) -> None:
        """Check what the peer's `confirm` gave.

        Raises:
            ProtocolError: the peer holds other secrets, saw other hellos or has another role.
        """
        if not hmac.compare_digest(self.confirm(peer_role), mac):
            raise ProtocolError("the peer did not confirm the handshake")


class Handshake(Secret):
    """One party's side of one handshake, with its private key."""

    __slots__ = ("_hello", "_private")

    def __init__(self, role: Role, study_digest: bytes, measurement: bytes) -> None:
        self._private = X25519PrivateKey.generate()
        public = self._private.public_key().public_bytes_raw()
        self._hello = Hello(
            role, public, study_digest, measurement, nonce=secrets.token_bytes(_FIELD_BYTES)
        )

    @property
    def hello(self) -> Hello:
        """What to send to the peer."""
        return self._hello

    def export_bytes(self) -> bytes:
        """The private key and the hello (177 bytes), for the party's folder while it waits."""
        return self._private.private_bytes_raw() + self._hello.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Handshake:
        """Rebuild from `export_bytes`.

        Raises:
            ProtocolError: something else.
        """
        handshake = cls.__new__(cls)
        handshake._hello = Hello.decode(data[_FIELD_BYTES:])
        handshake._private = X25519PrivateKey.from_private_bytes(data[:_FIELD_BYTES])
        return handshake

    def agree(self, peer: Hello) -> SharedSecrets:
        """The secrets shared with the sender of `peer`.

        Raises:
            ProtocolError: the peer plays the same role, runs another study or other software, sent
                our own key back, or sent a key of low order.
        """
        ours = self._hello
        if peer.role == ours.role:
            raise ProtocolError(f"both parties play the {ours.role} party")
        if peer.study_digest != ours.study_digest:
            raise ProtocolError("the parties run different studies")
        if peer.measurement != ours.measurement:
            raise ProtocolError("the parties run different software")
        if peer.public == ours.public:
            raise ProtocolError("the peer sent our own public key back")
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(peer.public))
        except ValueError:  # the shared secret is all zero (RFC 7748, section 6.1)
            raise ProtocolError("the peer's public key has low order") from None
        return _derive(shared, *((ours, peer) if ours.role == "row" else (peer, ours)))


def _derive(shared: bytes, row: Hello, column: Hello) -> SharedSecrets:
    transcript = hashlib.sha256(row.encode() + column.encode()).digest()
    expand = HKDF(algorithm=SHA256(), length=80, salt=transcript, info=b"xstat-ray v1 handshake")
    keys = expand.derive(shared)
    return SharedSecrets(keys[:32], keys[32:48], keys[48:], transcript)
