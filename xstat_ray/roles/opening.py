"""What the row party and the key holder agree on when a table is opened: its digest, its id, a key.

Every role forms these for itself; nobody is told one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto import key_proof
from xstat_ray.crypto.key_proof import KeyProof
from xstat_ray.crypto.paillier import PrivateKey, PublicKey
from xstat_ray.model.messages import MaskedTable, RerandomisedTable
from xstat_ray.model.parties import MOST_PARTIES
from xstat_ray.model.study import Study

_RELEASE = b"xstat-ray release\0"
_SESSIONS = b"xstat-ray sessions\0"
_TABLES = b"xstat-ray tables\0"
_RELEASE_BYTES = 16
_PROOF_NUMBERS = 12
_KEY_NUMBERS = 3
"""Numbers of half a ciphertext's width in an encoded public key: n, and h with twice its size."""


@dataclass(frozen=True)
class ToOpen:
    """A table that is to be opened, and what its approval needs."""

    release: str
    """Id of the release, as the parties form it too."""
    rerandomised: RerandomisedTable
    masked: MaskedTable
    receipts: Sequence[bytes]
    """What the row party keeps of its masks, sealed for itself; in the order of the nodes."""
    others: Sequence[ToOpen] = ()
    """The tables under the keys of the other column parties, in the order of the study."""


def table_digest(table: MaskedTable, study: Study) -> bytes:
    """SHA-256 (32 bytes) of an encoded masked table, by which it is approved and opened."""
    return hashlib.sha256(table.encode(study.digest)).digest()


def bytes_below(modulus: mpz) -> int:
    """Bytes of a number below n, or below B."""
    return -(-int(modulus - 1).bit_length() // 8)


def one_row(value: bytes) -> NDArray[np.uint8]:
    """Lay bytes out as a table of one row."""
    return np.frombuffer(value, np.uint8)[None]


def release_id(session: str, digest: bytes) -> str:
    """Form the id of a release, 32 hexadecimal digits.

    A session opens one table, so the id stands for both, and nobody can choose it.

    Args:
        session: name of the session, in hex.
        digest: `table_digest` of the table that is opened.
    """
    formed = hashlib.sha256(_RELEASE + bytes.fromhex(session) + digest).digest()
    return formed[:_RELEASE_BYTES].hex()


def joint_release_id(sessions: bytes, tables: bytes) -> str:
    """Form the id of a release of several column parties, 32 hexadecimal digits.

    Args:
        sessions: names of the row party's sessions with all of them, 32 bytes each, in the order of
            the study; of several row parties those of all with the first, then with the second.
        tables: `table_digest` of the masked table of each, in the same order.
    """
    return release_id(joint_session(sessions), joint_digest(tables))


def joint_session(sessions: bytes) -> str:
    """Name what several sessions are together, in hex; see `joint_release_id`."""
    return hashlib.sha256(_SESSIONS + sessions).hexdigest()


def joint_digest(tables: bytes) -> bytes:
    """Form the digest that stands for the masked tables of several column parties (32 bytes)."""
    return hashlib.sha256(_TABLES + tables).digest()


def session_of_all(sessions: Sequence[str]) -> str:
    """Name what a party's sessions with all parties of the other side are together, in hex.

    With one of them that is the session.
    """
    if len(sessions) == 1:
        return sessions[0]
    return joint_session(b"".join(map(bytes.fromhex, sessions)))


def digest_of_all(tables: Sequence[bytes], study: Study) -> bytes:
    """Form the digest that stands for all masked tables of a release.

    Where one row party and one column party open the only table it is that table's own.
    """
    return joint_digest(b"".join(tables)) if study.opens_jointly else tables[0]


def proven_key(key: PrivateKey) -> bytes:
    """Encode the public key with the proof that every number below n^2 can be opened with it."""
    return key.public.encode() + key_proof.prove(key).encode(key.public)


@lru_cache(maxsize=MOST_PARTIES)
def checked_key(data: bytes) -> PublicKey:
    """Read what `proven_key` gave, without trust in whoever made it.

    Raises:
        ProtocolError: not a plausible key, or the proof does not hold.
    """
    size = len(data) * _KEY_NUMBERS // (_KEY_NUMBERS + _PROOF_NUMBERS)
    public = PublicKey.decode(data[:size])
    key_proof.check(public, KeyProof.decode(public, data[size:]))
    return public
