"""What the C kernels' tables of fixed powers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from gmpy2 import mpz, unpack
from numpy.typing import NDArray

from xstat_ray.crypto.fixed_base import digit_count
from xstat_ray.crypto.kernels.interface import Workload

_DIGIT_BITS = range(4, 13)
_SCANNED_DIGIT_BITS = range(3, 8)
_CACHE_LINE = 64
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


class PowerTable:
    """The table of one base, as the C functions take it."""

    constants: NDArray[np.uint64]
    table: NDArray[Any]

    def with_exponents(
        self, exponents: NDArray[np.uint8]
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The arguments of one base."""
        return self.constants, self.table, np.ascontiguousarray(exponents)


def best_digit_bits(
    row_bytes: int,
    tables: int,
    exponent_bits: int,
    workload: Workload,
    *,
    lanes: int,
    scan: float,
) -> int:
    """Bits of a digit that cost least for the planned encryptions, making the tables included.

    The unit is a multiplication of all lanes. A row of the table is read for a part of that, or in
    constant time all of them for every digit. Tables stay within the processor's last cache.

    Args:
        row_bytes: bytes of a row of a table.
        tables: how many of them.
        exponent_bits: bits of the exponents.
        workload: what the tables are for.
        lanes: numbers that are multiplied at once.
        scan: what it costs to read one row for all lanes.
    """

    def cost(digit_bits: int) -> float:
        digits = digit_count(exponent_bits, digit_bits)
        rows = 1 << digit_bits
        making = -(-digits // lanes) * rows
        reading = rows * scan if workload.constant_time else 0
        return making + -(-workload.planned // lanes) * digits * (1 + reading)

    def size(digit_bits: int) -> int:
        return tables * digit_count(exponent_bits, digit_bits) * row_bytes << digit_bits

    widths = _SCANNED_DIGIT_BITS if workload.constant_time else _DIGIT_BITS
    return min((w for w in widths if w == widths[0] or size(w) <= last_cache()), key=cost)


@lru_cache
def last_cache() -> int:
    """Bytes of the processor's last cache; 32 MiB where the system does not tell."""
    sizes = [path.read_text().strip() for path in _CACHES.glob("index*/size")]
    return max(
        (int(size[:-1]) << 10 for size in sizes if size[:-1].isdigit() and size[-1] == "K"),
        default=32 << 20,
    )


def limb_rows(values: Sequence[mpz], limb_bits: int, row: int) -> NDArray[np.uint64]:
    """Rows of `row` limbs, lowest first, padded with zeros."""
    rows = aligned((len(values), row), np.dtype(np.uint64))
    rows[:] = 0
    for place, value in zip(rows, values, strict=True):
        cut = unpack(value, limb_bits)
        place[: len(cut)] = [int(limb) for limb in cut]
    return rows


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Uninitialised numbers that begin with a cache line."""
    size = dtype.itemsize * int(np.prod(shape))
    memory = np.empty(size + _CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)
