"""Matrices of the ID exchange whose pads are missing, or are used for two matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import oprf
from xstat_ray.crypto.kernels.choice import kernel

HONEST = oprf._pad


def without_pads(
    position_key: bytes, items: NDArray[np.uint8], keys: NDArray[np.uint8], bin: int, capacity: int
) -> NDArray[np.uint64]:
    """Send the matrix as it is."""
    return kernel().oprf_mark(position_key, items, capacity, range(len(keys)))


def with_the_same_pads(matrix: NDArray[np.uint64], keys: NDArray[np.uint8], bin: int) -> None:
    """Take keys that are the same in all exchanges, one for each column."""
    del keys
    numbers = np.arange(2 * len(matrix), dtype=np.uint64)
    HONEST(matrix, numbers.view(np.uint8).reshape(len(matrix), 16), bin)
