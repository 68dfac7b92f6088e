"""The kernel for processors with AES instructions and no AVX-512 IFMA.

The oblivious PRF is C (native/oprf.c and native/sha512.c), all else is `portable`.
"""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.kernels.portable import Portable


class Aesni(Portable):
    """Several items at once in the oblivious PRF."""

    name: ClassVar[str] = "aesni"

    def __init__(self, native: ModuleType) -> None:
        """Work with the C functions of `native`, as `Ifma` does."""
        self._native = native
        self._lanes = _lanes(native)

    @staticmethod
    def runs(native: ModuleType) -> bool:
        """Whether the build has these functions, and the processor their instructions."""
        return hasattr(native, "oprf_mark") and bool(native.aes_available())

    def oprf_mark(
        self, key: bytes, items: NDArray[np.uint8], capacity: int, columns: range
    ) -> NDArray[np.uint64]:
        """The items are encrypted for four columns at a time."""
        out = np.empty((len(columns), -(-capacity // 64)), np.uint64)
        self._native.oprf_mark(out, key, np.ascontiguousarray(items), capacity, columns.start)
        return out

    def oprf_rows(
        self, key: bytes, items: NDArray[np.uint8], matrix: NDArray[np.uint64], capacity: int
    ) -> NDArray[np.uint8]:
        """The items are encrypted for four columns at a time."""
        out = np.empty((len(items), len(matrix) // 8), np.uint8)
        items = np.ascontiguousarray(items)
        self._native.oprf_rows(out, key, items, np.ascontiguousarray(matrix), capacity)
        return out

    def oprf_pad(
        self, matrix: NDArray[np.uint64], keys: NDArray[np.uint8], bin: int
    ) -> NDArray[np.uint64]:
        """Eight blocks of a column at once."""
        if not hasattr(self._native, "oprf_pad"):
            return super().oprf_pad(matrix, keys, bin)
        self._native.oprf_pad(matrix, np.ascontiguousarray(keys), bin)
        return matrix

    def sha512(
        self, prefix: bytes, rows: NDArray[np.uint8], lengths: NDArray[np.int64], size: int
    ) -> NDArray[np.uint8]:
        """As many texts at once as the processor's widest registers have room for."""
        if not self._lanes:
            return super().sha512(prefix, rows, lengths, size)
        out = np.empty((len(rows), size), np.uint8)
        rows = np.ascontiguousarray(rows)
        lengths = np.ascontiguousarray(lengths, np.int64)
        self._native.sha512(self._lanes, out, prefix, rows, lengths)
        return out


def _lanes(native: ModuleType) -> int:
    """Texts that are hashed at once; 0 where the build is older than the function."""
    if not hasattr(native, "sha512"):
        return 0
    return 8 if native.available() else 4 if native.avx2_available() else 1
