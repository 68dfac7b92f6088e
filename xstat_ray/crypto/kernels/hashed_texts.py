"""SHA-512 of many short texts by hashlib, one after the other."""

from __future__ import annotations

from hashlib import sha512

import numpy as np
from numpy.typing import NDArray


def hashed(
    prefix: bytes, rows: NDArray[np.uint8], lengths: NDArray[np.int64], size: int
) -> NDArray[np.uint8]:
    """As `Kernel.sha512`."""
    begun = sha512(prefix)
    texts = memoryview(np.ascontiguousarray(rows).tobytes())
    width = rows.shape[1]
    hashes = bytearray()
    for row, length in enumerate(lengths.tolist()):
        digest = begun.copy()
        digest.update(texts[row * width : row * width + length])
        hashes += digest.digest()[:size]
    return np.frombuffer(hashes, np.uint8).reshape(len(rows), size)
