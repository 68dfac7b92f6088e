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
    data = rows.tobytes()
    width = rows.shape[1]
    return [mpz.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]


def not_above(rows: NDArray[np.uint8], limit: mpz | int) -> NDArray[np.bool_]:
    """Which rows encode numbers of at most `limit`, which must fit a row.

    A lower byte is looked at only in rows that equal the limit in all bytes above it: two or three
    bytes of nearly all.
    """
    bound = np.frombuffer(limit.to_bytes(rows.shape[1], "little"), np.uint8)
    below = np.zeros(len(rows), np.bool_)
    equal = np.arange(len(rows))
    for place in reversed(range(len(bound))):
        if not len(equal):
            return below
        column = rows[equal, place]
        below[equal[column < bound[place]]] = True
        equal = equal[column == bound[place]]
    below[equal] = True
    return below


def not_zero(rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which rows encode numbers other than zero; as economical as `not_above`."""
    result = np.ones(len(rows), np.bool_)
    zero = np.arange(len(rows))
    for place in range(rows.shape[1]):
        if not len(zero):
            return result
        zero = zero[rows[zero, place] == 0]
    result[zero] = False
    return result


def row_numbers(index: NDArray[np.integer], rows: int) -> NDArray[np.int64]:
    """`index` as a contiguous array of row numbers.

    Raises:
        IndexError: a number is negative, or there are not so many rows.
    """
    numbers = np.ascontiguousarray(index, np.int64)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= rows))
    if len(wrong):
        raise IndexError(f"there is no row {numbers[wrong[0]]}, but {rows} rows counted from 0")
    return numbers
