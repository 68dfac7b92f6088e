from __future__ import annotations

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.crypto.buffers import from_rows, to_rows


@st.composite
def numbers(draw: st.DrawFn) -> tuple[list[int], int]:
    width = draw(st.integers(1, 40))
    return draw(st.lists(st.integers(0, 256**width - 1), max_size=8)), width


@given(numbers())
def test_rows_are_little_endian(case: tuple[list[int], int]) -> None:
    values, width = case
    rows = to_rows([mpz(value) for value in values], width)
    assert (rows.dtype, rows.shape) == (np.uint8, (len(values), width))
    assert [row.tobytes() for row in rows] == [value.to_bytes(width, "little") for value in values]
    assert from_rows(rows) == values


def test_bytes_are_where_they_should_be() -> None:
    assert to_rows([mpz(0x0102), mpz(0xFF0000)], 3).tolist() == [[2, 1, 0], [0, 0, 255]]
    assert from_rows(np.array([[0, 1], [255, 0]], np.uint8)) == [256, 255]


def test_strided_rows_decode_alike() -> None:
    rows = np.arange(24, dtype=np.uint8).reshape(6, 4)
    assert from_rows(rows[::2]) == from_rows(rows[::2].copy())
    assert from_rows(rows[:, ::-1]) == [int.from_bytes(row.tobytes(), "big") for row in rows]


@pytest.mark.parametrize("value", [256, 2**64, -1])
def test_what_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        to_rows([mpz(1), mpz(value)], 1)
