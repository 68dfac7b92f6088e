"""The functions of the oblivious PRF in numpy: bits of columns, cleared and gathered, and padded.

An item has one position in every column. Those in the columns 4g to 4g + 3 are the four
little-endian 32-bit words of AES-128(item XOR g), each scaled to the capacity by multiplication.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

_GROUP = 4
"""Columns whose positions one block gives."""
_BLOCK = 1 << 14
"""Items whose positions stay in the processor's cache until they are used."""


def mark(key: bytes, items: NDArray[np.uint8], capacity: int, columns: range) -> NDArray[np.uint64]:
    """As `Kernel.oprf_mark`, eight columns at a time, with a byte for a bit."""
    words = -(-capacity // 64)
    packed = np.empty((len(columns), words), np.uint64)
    for first in range(0, len(columns), 8):
        flags = np.ones((8, 64 * words), np.uint8)
        for _, place, positions in _positions(key, items, capacity, columns.start + first):
            for column, at in enumerate(positions):
                flags[place + column][at] = 0
        packed[first : first + 8] = np.packbits(flags, axis=1, bitorder="little").view("<u8")
    return packed


def rows(
    key: bytes, items: NDArray[np.uint8], matrix: NDArray[np.uint64], capacity: int
) -> NDArray[np.uint8]:
    """As `Kernel.oprf_rows`, eight columns at a time, with a byte for a bit."""
    out = np.empty((len(items), len(matrix) // 8), np.uint8)
    for first in range(0, len(matrix), 8):
        octets = np.ascontiguousarray(matrix[first : first + 8], "<u8").view(np.uint8)
        bits = np.unpackbits(octets, axis=1, bitorder="little")
        bits <<= np.arange(8, dtype=np.uint8)[:, None]
        gathered = np.zeros(len(items), np.uint8)
        for block, place, positions in _positions(key, items, capacity, first):
            for column, at in enumerate(positions):
                gathered[block] |= bits[place + column].take(at)
        out[:, first // 8] = gathered
    return out


def pad(matrix: NDArray[np.uint64], keys: NDArray[np.uint8], bin: int) -> NDArray[np.uint64]:
    """As `Kernel.oprf_pad`, one column at a time."""
    mode = modes.CTR(bin.to_bytes(8) + bytes(8))
    for column, key in zip(matrix, keys, strict=True):
        stream = Cipher(algorithms.AES(key.tobytes()), mode).encryptor()
        column[:] = np.frombuffer(stream.update(column.view(np.uint8).data), "<u8")
    return matrix


def _positions(
    key: bytes, items: NDArray[np.uint8], capacity: int, first: int
) -> Iterator[tuple[slice, int, NDArray[np.int64]]]:
    """(4, n) positions of a block of items in the columns from `first` + place, for place 0 and 4.

    Yields:
        The block, the place, and the positions.
    """
    # ECB over distinct blocks is exactly a batch of calls to the block cipher as a pseudorandom
    # function.
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    for start in range(0, len(items), _BLOCK):
        block = slice(start, start + _BLOCK)
        for place in (0, _GROUP):
            masked = np.array(items[block], order="C").view("<u4")
            masked[:, 0] ^= np.uint32((first + place) // _GROUP)
            drawn = np.frombuffer(
                cipher.update(masked.view(np.uint8).reshape(-1).data), "<u4"
            ).reshape(-1, _GROUP)
            scaled = np.multiply(drawn.T, np.uint64(capacity), dtype=np.uint64, order="C")
            scaled >>= np.uint64(32)
            yield block, place, scaled.view(np.int64)
