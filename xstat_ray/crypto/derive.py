"""Keys derived from one secret, and uniform words expanded from a key."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

EXCESS_BYTES = 16
"""Numbers that are reduced modulo n are drawn with so many bytes more than n has, which makes them
uniform up to 2^-128."""
_BLOCK_BYTES = 16
_BLOCK_NUMBERS = 4
"""32-bit numbers in a block of AES."""


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
    """A pseudorandom uint64 for every row of columns of 32-bit numbers.

    Each is one half of the AES-128-CBC-MAC of its row, which is a pseudorandom function as long as
    a purpose always has the same number of columns. A word depends on its row alone, so a choice
    made by it does not depend on how a table is cut or in which order it is read. Equal rows have
    equal words.
    """
    blocks = np.zeros((len(columns[0]), -(-len(columns) // _BLOCK_NUMBERS), _BLOCK_NUMBERS), "<u4")
    for place, column in enumerate(columns):
        blocks[:, place // _BLOCK_NUMBERS, place % _BLOCK_NUMBERS] = column
    encrypt = _block_cipher(secret, purpose)
    state = encrypt(blocks[:, 0])
    for place in range(1, blocks.shape[1]):
        state = encrypt(state ^ blocks[:, place])
    return _first_halves(state)


def keyed_text_words(
    secret: bytes,
    purpose: str,
    texts: NDArray[np.bytes_],
    lengths: NDArray[np.integer] | None = None,
) -> NDArray[np.uint64]:
    """A pseudorandom uint64 for every text.

    Each is one half of the AES-128-CBC-MAC of the text's length and of the text, padded with zeros.
    With the length before it no text is the beginning of another. A word depends on its text alone,
    not on the width of the array.

    Args:
        secret: the secret from which the key is derived.
        purpose: what the words are for.
        texts: (N,) texts.
        lengths: (N,) their bytes; needed only where a text may end with NUL, which arrays drop.
    """
    width = max(1, -(-texts.dtype.itemsize // _BLOCK_BYTES))
    blocks = texts.astype(f"S{width * _BLOCK_BYTES}").view("<u4").reshape(-1, width, _BLOCK_NUMBERS)
    lengths = np.char.str_len(texts) if lengths is None else lengths
    encrypt = _block_cipher(secret, purpose)
    first = np.zeros((len(texts), _BLOCK_NUMBERS), "<u4")
    first[:, 0] = lengths
    state = encrypt(first)
    for place in range(width):
        longer = np.flatnonzero(lengths > place * _BLOCK_BYTES)
        if len(longer) == len(texts):
            state = encrypt(state ^ blocks[:, place])
        else:
            state[longer] = encrypt(state[longer] ^ blocks[longer, place])
    return _first_halves(state)


def halves(words: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Split (N,) words into two columns of 32-bit numbers, such as `keyed_words` takes."""
    return words.astype(np.uint32), (words >> np.uint64(32)).astype(np.uint32)


def _block_cipher(
    secret: bytes, purpose: str
) -> Callable[[NDArray[np.uint32]], NDArray[np.uint32]]:
    """Make what encrypts (N, 4) numbers, each row one block of AES-128."""
    # ECB over blocks is exactly a batch of calls to the block cipher as a pseudorandom permutation.
    cipher = Cipher(algorithms.AES(derive(secret, purpose)), modes.ECB()).encryptor()  # noqa: S305

    def encrypt(blocks: NDArray[np.uint32]) -> NDArray[np.uint32]:
        encrypted = bytearray(blocks.nbytes + _BLOCK_BYTES - 1)
        cipher.update_into(np.ascontiguousarray(blocks).view(np.uint8).data, encrypted)
        return np.frombuffer(encrypted, "<u4", blocks.size).reshape(blocks.shape)

    return encrypt


def _first_halves(blocks: NDArray[np.uint32]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(blocks[:, :2]).view("<u8").ravel()
