from __future__ import annotations

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from xstat_ray.crypto.fixed_base import (
    MAX_DIGIT_BITS,
    FixedBase,
    digit_count,
    split_digits,
    uniform_below,
)

MODULUS = 2**127 - 1
widths = st.integers(2, MAX_DIGIT_BITS)


def rows(values: list[int], width: int) -> np.ndarray:
    return np.array([list(value.to_bytes(width, "little")) for value in values], np.uint8).reshape(
        -1, width
    )


def values(rows: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def powers(table: FixedBase, exponents: list[int], factors: list[int], width: int) -> list[int]:
    return [
        int(power)
        for power in table.powers(rows(exponents, width), [mpz(factor) for factor in factors])
    ]


@given(st.lists(st.integers(0, 2**72 - 1), max_size=5), widths, st.integers(0, 12))
def test_digits_are_those_of_plain_arithmetic(
    exponents: list[int], digit_bits: int, more: int
) -> None:
    count = digit_count(72, digit_bits) + more
    expected = [
        [exponent >> (digit_bits * place) & (2**digit_bits - 1) for place in range(count)]
        for exponent in exponents
    ]
    assert split_digits(rows(exponents, 9), digit_bits, count) == expected


@pytest.mark.parametrize(
    ("bits", "digit_bits", "count"),
    [(224, 8, 28), (224, 12, 19), (1, 12, 1), (12, 12, 1), (13, 12, 2)],
)
def test_digit_count(bits: int, digit_bits: int, count: int) -> None:
    assert digit_count(bits, digit_bits) == count


def test_digits_of_all_widths_give_the_powers_of_pow() -> None:
    exponents = [0, 1, 2, 2**72 - 1, 2**72 - 2, 2**71, 0x123456789ABCDEF, 4095, 4096]
    factors = [1, 0, 5, MODULUS - 1, 7, 1, 2**100, 3, 3]
    expected = [
        factor * pow(3, exponent, MODULUS) % MODULUS
        for factor, exponent in zip(factors, exponents, strict=True)
    ]
    used = set()
    for planned in (0, 1, 10, 50, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 10**7):
        table = FixedBase(mpz(3), mpz(MODULUS), 72, planned)
        used.add(table.digit_bits)
        assert powers(table, exponents, factors, 9) == expected
    assert min(used) == 2
    assert max(used) == MAX_DIGIT_BITS
    assert len(used) >= 7


@given(
    base=st.integers(0, MODULUS - 1),
    exponents=st.lists(st.integers(0, 2**40 - 1), max_size=4),
    planned=st.integers(0, 500),
)
def test_powers_are_those_of_pow(base: int, exponents: list[int], planned: int) -> None:
    table = FixedBase(mpz(base), mpz(MODULUS), 40, planned)
    assert powers(table, exponents, [1] * len(exponents), 5) == [
        pow(base, exponent, MODULUS) for exponent in exponents
    ]


def test_every_exponent_needs_its_factor() -> None:
    table = FixedBase(mpz(3), mpz(MODULUS), 8, 1)
    with pytest.raises(ValueError, match="zip"):
        powers(table, [1, 2], [1], 1)


@given(st.integers(1, 2**600), st.integers(0, 20))
def test_draws_are_below_the_bound(bound: int, count: int) -> None:
    drawn = uniform_below(bound, count)
    assert (drawn.dtype, drawn.shape) == (
        np.uint8,
        (count, max(1, -(-(bound - 1).bit_length() // 8))),
    )
    assert all(value < bound for value in values(drawn))


@pytest.mark.parametrize("bound", [1, 2, 3, 200, 255, 256, 257, 300, 513])
def test_draws_below_a_small_bound_are_uniform(bound: int) -> None:
    drawn = values(uniform_below(bound, 100 * bound))
    counts = np.bincount(drawn, minlength=bound)
    assert len(counts) == bound
    assert bound == 1 or chisquare(counts).pvalue > 1e-9


def test_draws_below_a_large_bound_are_uniform() -> None:
    # 5 * 2^300: the bound is in the middle of the range of its bits, so that leaving out the
    # rejection would show.
    drawn = values(uniform_below(5 << 300, 20_000))
    assert chisquare(np.bincount([value >> 300 for value in drawn], minlength=5)).pvalue > 1e-9
    low = np.frombuffer(
        b"".join((value & 2**296 - 1).to_bytes(37, "little") for value in drawn), np.uint8
    )
    assert chisquare(np.bincount(low, minlength=256)).pvalue > 1e-9


def test_draws_do_not_repeat() -> None:
    drawn = values(uniform_below(2**224, 100)) + values(uniform_below(2**224, 100))
    assert len(set(drawn)) == 200
