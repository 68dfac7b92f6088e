"""Identities of the trust domains: an Ed25519 key (RFC 8032) each, which the others pin."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from xstat_ray.errors import InputError
from xstat_ray.model.parties import ONLY
from xstat_ray.util.files import unwritable, write_whole
from xstat_ray.util.secrecy import Secret

Domain = str
"""Name of a domain: `row`, `aggregator`, or that of a column party in the study."""
DOMAINS: tuple[Domain, ...] = ("row", ONLY, "aggregator")
"""The domains where there is one column party."""
KEY_BYTES = 32
SIGNATURE_BYTES = 64


class Identity(Secret):
    """A domain's private key: it signs messages, and opens those that are sealed to the domain."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def create(cls, path: Path) -> Identity:
        """Make a key and keep it in a file that only its owner can read, or read the one there.

        Args:
            path: the file (PKCS #8, PEM).

        Raises:
            InputError: the file cannot be written, or what is there is no identity.
        """
        if path.exists():
            return cls.load(path)
        private = Ed25519PrivateKey.generate()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_whole(path, pem, mode=0o600)
        except OSError as error:
            raise unwritable(path.parent, error) from None
        return cls(private)

    @classmethod
    def load(cls, path: Path) -> Identity:
        """Read a key from its file.

        Raises:
            InputError: the file is missing, holds no Ed25519 key, or others may read it.
        """
        try:
            if path.stat().st_mode & 0o077:
                remedy = "chmod 600; if others may have read it, make a new one and tell the others"
                raise InputError("others may read the identity", file=str(path), remedy=remedy)
            private = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            remedy = "Make one with step=identity and send its public key to the others"
            raise InputError(
                f"the identity cannot be read: {error.strerror}", file=str(path), remedy=remedy
            ) from None
        except (ValueError, TypeError):
            raise _no_key(path) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise _no_key(path)
        return cls(private)

    @property
    def public(self) -> bytes:
        """Public key, 32 bytes, which the others pin."""
        return self._private.public_key().public_bytes_raw()

    def agreement_key(self) -> X25519PrivateKey:
        """Derive the X25519 key by which messages to this domain are opened; see `sealed`."""
        return X25519PrivateKey.from_private_bytes(
            hashlib.sha512(self._private.private_bytes_raw()).digest()[:32]
        )

    def sign(self, data: bytes) -> bytes:
        """Sign data; returns 64 bytes, the same for the same data."""
        return self._private.sign(data)


@dataclass(frozen=True)
class Peers:
    """Pinned public keys."""

    keys: Mapping[Domain, bytes]
    """Ed25519 public keys of 32 bytes, by domain."""

    def signed(self, sender: Domain, data: bytes, signature: bytes) -> bool:
        """Whether `sender` has signed `data`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.keys[sender]).verify(signature, data)
        except (InvalidSignature, KeyError, ValueError):
            return False
        return True


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter, or check one that is there.

    Raises:
        InputError: the folder cannot be made, or others may enter it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        raise unwritable(path, error) from None
    if status.st_mode & 0o077 or status.st_uid != os.geteuid():
        remedy = "chmod 700, and let it belong to the user who runs the job"
        raise InputError("others may enter the private folder", file=str(path), remedy=remedy)
    return path


def _no_key(path: Path) -> InputError:
    remedy = "An identity is an Ed25519 private key in PEM; step=identity makes one"
    return InputError("not an identity", file=str(path), remedy=remedy)
