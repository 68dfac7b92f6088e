"""Streams of random words, each of which is used for one purpose and once.

A stream is the AES-128-CTR key stream of a key that HKDF-SHA256 derives from a seed and from what
the stream is for: session, attempt, set, part and purpose. The same seed and use give the same
words, so that a step that was killed and runs again sends the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from xstat_ray.crypto.derive import derive
from xstat_ray.util.secrecy import Secret

SEED_BYTES = 32
WORD_BITS = 64
"""Coefficients in a word: bit j of word i belongs to coefficient 64 * i + j of its part."""
_BLOCK_BYTES = 16


@dataclass(frozen=True)
class Attempt:
    """One drawing of the noise of a session."""

    session: bytes
    """Digest of the handshake."""
    number: int
    """Of the attempt, from 0; another one has new seeds."""
    set: int = 0
    """Of the covert check: number of the set that is drawn, 0 where there is one only."""

    def purpose(self, use: str, part: int) -> str:
        """The name under which a key is derived for one use in one part."""
        return f"noise {self.session.hex()} {self.number} {self.set} {part} {use}"


class Stream(Secret):
    """Uniform words, each given out once."""

    def __init__(self, seed: bytes, attempt: Attempt, part: int, use: str) -> None:
        """Derive the key.

        Raises:
            ValueError: the seed does not have 32 bytes.
        """
        check_seed(seed)
        key = derive(seed, attempt.purpose(use, part))
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(_BLOCK_BYTES))).encryptor()

    def words(self, *shape: int) -> NDArray[np.uint64]:
        """The next uint64 of the stream in an array of this shape, row-major, little-endian."""
        count = 8 * int(np.prod(shape))
        stream = np.empty(count + _BLOCK_BYTES - 1, np.uint8)
        self._cipher.update_into(memoryview(bytes(count)), stream.data)
        return stream[:count].view("<u8").reshape(shape)


def check_seed(seed: bytes) -> None:
    """Check the size of a seed.

    Raises:
        ValueError: it does not have 32 bytes.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed of the noise has {SEED_BYTES} bytes")


def bits_of(words: NDArray[np.uint64], count: int) -> NDArray[np.uint8]:
    """The first `count` bits of (words,), lowest first, as (count,) of 0 and 1."""
    return np.unpackbits(words.astype("<u8").view(np.uint8), count=count, bitorder="little")
