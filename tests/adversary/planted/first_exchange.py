"""The ID exchange of version 1, in small: each party evaluates the other's points with its key.

Commutative multiplication is that of X25519. It gives equal keys to both, as it should, and beside
them each party computes the keys of all people of the other, which it should not.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from numpy.typing import NDArray


class FirstParty:
    """What both parties do."""

    role = ""

    def __init__(self, ids: Sequence[bytes]) -> None:
        self._ids = np.array(ids)
        self._order = np.array(sorted(range(len(ids)), key=lambda _: secrets.randbits(64)))
        self._key = X25519PrivateKey.generate()
        self.keys = np.zeros((len(ids), 12), np.uint8)

    def blind(self) -> NDArray[np.uint8]:
        """This party's people as points, in a secret order, multiplied by its key."""
        ids = self._ids[self._order].tolist()
        points = [hashlib.sha256(person).digest() for person in ids]
        return self.evaluate(np.frombuffer(b"".join(points), np.uint8).reshape(-1, 32))

    def evaluate(self, points: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Points multiplied by this party's key, in their order."""
        products = [
            self._key.exchange(X25519PublicKey.from_public_bytes(p)) for p in bytes_of(points)
        ]
        return np.frombuffer(b"".join(products), np.uint8).reshape(-1, 32)

    def finalize(self, points: NDArray[np.uint8]) -> None:
        """Take back this party's points, multiplied by both keys."""
        hashes = [hashlib.sha512(point).digest()[:12] for point in bytes_of(points)]
        self.keys[self._order] = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 12)


class FirstRow(FirstParty):
    """The row party."""

    role = "row"


class FirstColumn(FirstParty):
    """The column party."""

    role = "column"


def bytes_of(points: NDArray[np.uint8]) -> list[bytes]:
    """The rows of an array."""
    return [point.tobytes() for point in points]


def exchange(row: Sequence[bytes], column: Sequence[bytes]) -> tuple[FirstParty, FirstParty]:
    """Let two parties exchange their people."""
    parties = FirstRow(row), FirstColumn(column)
    for party, other in (parties, parties[::-1]):
        party.finalize(other.evaluate(party.blind()))
    return parties
