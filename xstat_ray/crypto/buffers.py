"""Big integers as contiguous buffers: one little-endian row of bytes for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray


def to_rows(values: Sequence[mpz], width: int) -> NDArray[np.uint8]:
    """Encode non-negative integers as an (N, width) array of bytes, least significant first.

    Raises:
        OverflowError: a value needs more than `width` bytes.
    """
    data = b"".join([value.to_bytes(width, "little") for value in values])
    return np.frombuffer(data, np.uint8).reshape(len(values), width)


def from_rows(rows: NDArray[np.uint8]) -> list[mpz]:
    """Decode an (N, width) array of bytes."""
    data, width = rows.tobytes(), rows.shape[1]
    return [mpz.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]
