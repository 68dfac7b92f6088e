"""Numbers in a page: compressed or rounded, so that 20,000 places fit into one file."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_DIGITS = 5
"""Significant digits of numbers that are not whole; the noise allows fewer."""


def pack(values: NDArray[np.int64]) -> dict[str, Any]:
    """Write an array for JSON: one number if all are equal, else bytes of the smallest type.

    The lowest bytes of all numbers come first, then the next higher ones, because that compresses
    well. They are compressed as a zlib stream and written in base64. Equal values give equal text.

    Args:
        values: whole numbers that 32 bits hold.
    """
    flat = np.ascontiguousarray(values).ravel()
    least, most = (int(flat.min()), int(flat.max())) if flat.size else (0, 0)
    if least == most:
        return {"length": flat.size, "constant": least}
    for bits in (8, 16, 32):
        if -(1 << bits - 1) <= least and most < 1 << bits - 1:
            break
    planes = flat.astype(f"<i{bits // 8}").view(np.uint8).reshape(flat.size, -1).T
    packed = zlib.compress(planes.tobytes(), 9)
    return {"length": flat.size, "bits": bits, "zlib": base64.b64encode(packed).decode()}


def columns(table: pa.Table, names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Write a small table for JSON, column by column; null is unknown."""
    return {
        name: [_short(value) for value in table[name].to_pylist()]
        for name in names
        if name in table.column_names
    }


def _short(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
