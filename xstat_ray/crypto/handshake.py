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
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from xstat_ray.errors import ProtocolError
from xstat_ray.model.study import Role
from xstat_ray.util.secrecy import Secret

_MAGIC = b"xstat-ray hello\x02"
_ROLES: tuple[Role, Role] = ("row", "column")
_FIELD_BYTES = 32
_MOST_BYTES = 2048
"""Most bytes of the list of libraries."""
_LIBRARY = re.compile(r"[A-Za-z0-9 ._+/-]{1,80}=[A-Za-z0-9 ._+-]{1,80}")
_VIEW = b"xstat-ray v2 view\0"


@dataclass(frozen=True)
class Hello:
    """What one party sends the other.

    Every field but the role and the libraries is 32 bytes, and all of it is public.

    Raises:
        ProtocolError: a field has another length, the role is unknown, or a library or its version
            has characters that no name has.
    """

    role: Role
    public: bytes
    """X25519 public key, fresh for this handshake."""
    study_digest: bytes
    measurement: bytes
    """Digest of the software that the party's environment runs."""
    nonce: bytes
    libraries: Mapping[str, str] = field(default_factory=dict)
    """Versions of what the normal forms of ids, periods and cells rest on, by name."""

    def __post_init__(self) -> None:
        if self.role not in _ROLES:
            raise ProtocolError("a hello names no known role")
        if any(len(value) != _FIELD_BYTES for value in self._values()):
            raise ProtocolError(f"a field of a hello is not {_FIELD_BYTES} bytes")
        lines = self._lines()
        if len("\n".join(lines)) > _MOST_BYTES or not all(map(_LIBRARY.fullmatch, lines)):
            raise ProtocolError("the libraries of a hello are not names and versions")

    def encode(self) -> bytes:
        """Encode: name (15), version, role (0 row, 1 column), four fields, and the libraries.

        Of these come the number of bytes (2, little-endian) and a line NAME=VERSION for each, in
        the order of the names.
        """
        listed = "\n".join(self._lines()).encode()
        head = [_MAGIC, bytes([_ROLES.index(self.role)]), *self._values()]
        return b"".join([*head, len(listed).to_bytes(2, "little"), listed])

    @classmethod
    def decode(cls, data: bytes) -> Hello:
        """Read a hello back.

        Raises:
            ProtocolError: another message, another version or an unknown role.
        """
        head = len(_MAGIC) + 1
        fixed = head + 4 * _FIELD_BYTES
        listed = data[fixed + 2 :]
        if (
            len(data) < fixed + 2
            or int.from_bytes(data[fixed : fixed + 2], "little") != len(listed)
            or not data.startswith(_MAGIC)
            or data[head - 1] >= len(_ROLES)
            or not listed.isascii()
        ):
            raise ProtocolError("not a hello of this version")
        public, study, measurement, nonce = (
            data[start : start + _FIELD_BYTES] for start in range(head, fixed, _FIELD_BYTES)
        )
        lines = listed.decode().split("\n") if listed else []
        libraries = {name: version for name, _, version in (line.partition("=") for line in lines)}
        role = _ROLES[data[head - 1]]
        hello = cls(role, public, study, measurement, nonce, libraries)
        if hello.encode() != data:
            raise ProtocolError("not a hello of this version")
        return hello

    def _values(self) -> list[bytes]:
        return [self.public, self.study_digest, self.measurement, self.nonce]

    def _lines(self) -> list[str]:
        return [f"{name}={version}" for name, version in sorted(self.libraries.items())]


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

    def __init__(
        self,
        role: Role,
        study_digest: bytes,
        measurement: bytes,
        libraries: Mapping[str, str] | None = None,
    ) -> None:
        self._private = X25519PrivateKey.generate()
        public = self._private.public_key().public_bytes_raw()
        nonce = secrets.token_bytes(_FIELD_BYTES)
        self._hello = Hello(role, public, study_digest, measurement, nonce, libraries or {})

    @property
    def hello(self) -> Hello:
        """What to send to the peer."""
        return self._hello

    def export_bytes(self) -> bytes:
        """The private key and the hello, for the party's folder while it waits."""
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
            ProtocolError: the peer plays the same role, runs another study or other software, has
                other versions of what normal forms rest on, sent our own key back, or sent a key of
                low order.
        """
        ours = self._hello
        if peer.role == ours.role:
            raise ProtocolError(f"both parties play the {ours.role} party")
        if peer.study_digest != ours.study_digest:
            raise ProtocolError("the parties run different studies")
        if peer.measurement != ours.measurement:
            raise ProtocolError("the parties run different software")
        _check_libraries(ours, peer)
        if peer.public == ours.public:
            raise ProtocolError("the peer sent our own public key back")
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(peer.public))
        except ValueError:  # the shared secret is all zero (RFC 7748, section 6.1)
            raise ProtocolError("the peer's public key has low order") from None
        return _derive(shared, *((ours, peer) if ours.role == "row" else (peer, ours)))


def _check_libraries(ours: Hello, peer: Hello) -> None:
    """Refuse a peer that would write ids, periods or cells otherwise.

    Raises:
        ProtocolError: a version differs; names the library and both versions.
    """
    names = sorted(ours.libraries.keys() | peer.libraries.keys())
    different = [
        f"{name}: {ours.libraries.get(name, 'none')} at the {ours.role} party, "
        f"{peer.libraries.get(name, 'none')} at the {peer.role} party"
        for name in names
        if ours.libraries.get(name) != peer.libraries.get(name)
    ]
    if different:
        raise ProtocolError(
            "the parties have different versions of what ids, periods and values are written with, "
            f"so that people could fail to meet ({'; '.join(different)}). Install the same ones"
        )


def _derive(shared: bytes, row: Hello, column: Hello) -> SharedSecrets:
    transcript = hashlib.sha256(row.encode() + column.encode()).digest()
    expand = HKDF(algorithm=SHA256(), length=80, salt=transcript, info=b"xstat-ray v1 handshake")
    keys = expand.derive(shared)
    return SharedSecrets(keys[:32], keys[32:48], keys[48:], transcript)
