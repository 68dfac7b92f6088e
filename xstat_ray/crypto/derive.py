"""Keys derived from one secret, and uniform words expanded from a key."""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray


def derive(secret: bytes, purpose: str, length: int = 16) -> bytes:
    """HKDF-SHA256 (RFC 5869) of `secret`; distinct purposes give independent keys."""
    return HKDF(
        algorithm=SHA256(), length=length, salt=None, info=b"xstat-ray v1 " + purpose.encode()
    ).derive(secret)


def uniform_words(secret: bytes, purpose: str, count: int) -> NDArray[np.uint64]:
    """`count` pseudorandom uint64, the AES-128-CTR key stream of a key derived for `purpose`.

    The same secret and purpose give the same words, so that every replica of a party makes the same
    choices.
    """
    key = derive(secret, purpose)
    stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(8 * count))
    return np.frombuffer(stream, dtype="<u8")


def keyed_words(secret: bytes, purpose: str, *columns: NDArray[np.integer]) -> NDArray[np.uint64]:
    """A pseudorandom uint64 for every row of 1 to 4 columns of 32-bit numbers.

    Each is one half of an AES-128 block.

    A word depends on its row alone, so a choice made by it does not depend on how a table is cut or
    in which order it is read. Equal rows have equal words.
    """
    blocks = np.zeros((len(columns[0]), 4), "<u4")
    for place, column in enumerate(columns):
        blocks[:, place] = column
    # ECB over blocks is exactly a batch of calls to the block cipher as a pseudorandom permutation.
    cipher = Cipher(algorithms.AES(derive(secret, purpose)), modes.ECB()).encryptor()  # noqa: S305
    words = np.frombuffer(cipher.update(blocks.tobytes()), "<u8").reshape(-1, 2)
    return np.ascontiguousarray(words[:, 0])
