"""Powers of one fixed base by a table: one multiplication a digit of the exponent, and no squaring.

Brickell, Gordon, McCurley and Wilson, "Fast exponentiation with precomputation" (EUROCRYPT 1992),
with a full row of powers for every digit. The literature calls the bits of a digit a window; here
they are `digit_bits`, as a window is what a study lays around a departure.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from gmpy2 import mpz, powmod
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import not_above
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.threads import each_in_threads

MAX_DIGIT_BITS = 12
"""Wider tables outgrow the caches and memory before they pay (50 to 90 MB at 12)."""

BYTE = 8
"""Bits of a digit where each digit has a base of its own."""


class FixedBase(Secret):
    """The table of one base modulo one modulus; as secret as the modulus is."""

    def __init__(self, base: mpz, modulus: mpz, exponent_bits: int, planned: int) -> None:
        """Build the table that is cheapest for `planned` powers, table included."""
        self.modulus = modulus
        self.digit_bits = min(
            range(2, MAX_DIGIT_BITS + 1),
            key=lambda w: (2**w + max(1, planned)) * digit_count(exponent_bits, w),
        )
        bases = [base]
        for _ in range(digit_count(exponent_bits, self.digit_bits) - 1):
            bases.append(powmod(bases[-1], 1 << self.digit_bits, modulus))
        self.rows = power_rows(bases, modulus, self.digit_bits)

    def powers(self, exponents: NDArray[np.uint8], factors: Sequence[mpz]) -> list[mpz]:
        """factors[i] * base^exponents[i] modulo the modulus.

        Args:
            exponents: (N, bytes) little-endian, not longer than the table was built for.
            factors: N reduced values.
        """
        rows = self.rows
        modulus = self.modulus
        result = []
        for value, digits in zip(
            factors, split_digits(exponents, self.digit_bits, len(rows)), strict=True
        ):
            for row, digit in zip(rows, digits, strict=True):
                value = value * row[digit] % modulus  # noqa: PLW2901 - the accumulator starts as the factor
            result.append(value)
        return result


def power_rows(bases: Sequence[mpz], modulus: mpz, digit_bits: int) -> list[list[mpz]]:
    """The powers of each base that a digit of `digit_bits` bits can ask for, made in threads."""
    return each_in_threads(lambda base: power_row(base, modulus, digit_bits), bases)


def power_row(base: mpz, modulus: mpz, digit_bits: int) -> list[mpz]:
    """The powers of `base` that a digit of `digit_bits` bits can ask for."""
    row = [mpz(1)]
    for _ in range(2**digit_bits - 1):
        row.append(row[-1] * base % modulus)
    return row


def digit_count(exponent_bits: int, digit_bits: int) -> int:
    """Digits of `digit_bits` bits in an exponent."""
    return -(-exponent_bits // digit_bits)


def split_digits(exponents: NDArray[np.uint8], digit_bits: int, count: int) -> list[list[int]]:
    """Cut (N, bytes) little-endian exponents into digits.

    Returns:
        N lists of `count` digits of `digit_bits` bits, lowest first.
    """
    bits = np.unpackbits(exponents, axis=1, bitorder="little")
    missing = count * digit_bits - bits.shape[1]
    bits = np.pad(bits, ((0, 0), (0, missing))) if missing > 0 else bits[:, : count * digit_bits]
    weights = (1 << np.arange(digit_bits)).astype(np.int32)
    digits: list[list[int]] = (
        bits.reshape(len(bits), count, digit_bits).astype(np.int32) @ weights
    ).tolist()
    return digits


def uniform_below(bound: int, count: int) -> NDArray[np.uint8]:
    """`count` independent uniform integers in [0, bound) from the system's generator.

    They are little-endian rows as wide as bound - 1, and at least one byte. Rejection sampling, so
    there is no bias: draws of as many bits as bound - 1 has, until they are not above it.
    """
    most = bound - 1
    width = max(1, -(-most.bit_length() // 8))
    mask = 0xFF >> (8 * width - most.bit_length())
    kept: list[NDArray[np.uint8]] = []
    missing = count
    while missing > 0:
        draws = np.frombuffer(os.urandom(missing * width), np.uint8).reshape(-1, width).copy()
        draws[:, -1] &= mask
        kept.append(draws[not_above(draws, most)])
        missing -= len(kept[-1])
    return np.concatenate(kept) if kept else np.zeros((0, width), np.uint8)
