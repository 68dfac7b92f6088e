"""The implementation for any processor: gmpy2 for big numbers, numpy for columns of bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from gmpy2 import invert, mpz, powmod_base_list, powmod_sec
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.fixed_base import BYTE, FixedBase, power_rows
from xstat_ray.crypto.kernels.interface import (
    Half,
    Kernel,
    OwnerEncryption,
    PublicEncryption,
    Workload,
)
from xstat_ray.util.secrecy import Secret


class Portable(Kernel):
    """gmpy2, one number at a time, and numpy."""

    name: ClassVar[str] = "portable"

    def owner(self, p: Half, q: Half, workload: Workload) -> OwnerEncryption:
        """Tables of powers modulo p^2 and q^2."""
        return _Owner(p, q, workload)

    def public(self, n: mpz, h: mpz, exponent_bits: int, workload: Workload) -> PublicEncryption:
        """A table of powers modulo n^2."""
        return _Public(n, h, exponent_bits, workload)

    def products(self, n: mpz, bases: Sequence[mpz]) -> PublicEncryption:
        """A table of 256 powers for each base."""
        return _Products(n, bases)

    def powers(
        self, rows: NDArray[np.uint8], exponent: mpz, modulus: mpz, constant_time: bool = False
    ) -> NDArray[np.uint8]:
        """One exponentiation of GMP a row, of which it has two kinds."""
        values = [value % modulus for value in from_rows(rows)]
        if constant_time:
            powers = [powmod_sec(value, exponent, modulus) for value in values]
        else:
            # The interpreter is free meanwhile.
            powers = powmod_base_list(values, exponent, modulus)
        return to_rows(powers, rows.shape[1] // 2)

    def accumulate(
        self,
        rows: NDArray[np.uint8],
        index: NDArray[np.int64],
        edges: NDArray[np.int64],
        modulus: mpz,
    ) -> NDArray[np.uint8]:
        """A row that occurs in several places is decoded once."""
        used, place = np.unique(index, return_inverse=True)
        values = from_rows(rows[used])
        order = place.tolist()
        result = []
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            product = values[order[start]]
            for i in order[start + 1 : end]:
                product = product * values[i] % modulus
            result.append(product)
        return to_rows(result, rows.shape[1])


class _Owner(OwnerEncryption):
    def __init__(self, p: Half, q: Half, workload: Workload) -> None:
        self._n = p.prime * q.prime
        self._p2 = p.prime**2
        self._q2 = q.prime**2
        self._by_p = _base(p.h, self._p2, p.exponent_bits, workload)
        self._by_q = _base(q.h, self._q2, q.exponent_bits, workload)
        self._p2_inverse = invert(self._p2, self._q2)

    def encrypt(
        self,
        messages: NDArray[np.uint8],
        index: NDArray[np.int64],
        by_p: NDArray[np.uint8],
        by_q: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """The work on a message is done once however often it occurs."""
        p2 = self._p2
        q2 = self._q2
        inverse = self._p2_inverse
        places = index.tolist()
        encoded = [1 + m * self._n for m in from_rows(messages)]
        p_table = [m % p2 for m in encoded]
        q_table = [m % q2 for m in encoded]
        u = self._by_p.powers(by_p, [p_table[i] for i in places])
        v = self._by_q.powers(by_q, [q_table[i] for i in places])
        return to_rows(
            [u + p2 * ((v - u) * inverse % q2) for u, v in zip(u, v, strict=True)],
            2 * messages.shape[1],
        )


class _Public(PublicEncryption):
    def __init__(self, n: mpz, h: mpz, exponent_bits: int, workload: Workload) -> None:
        self._n = n
        self._table = _base(h, n * n, exponent_bits, workload)

    def encrypt(
        self, messages: NDArray[np.uint8], index: NDArray[np.int64], exponents: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """(1 + m n) is below n^2 as it stands."""
        encoded = [1 + m * self._n for m in from_rows(messages)]
        powers = self._table.powers(exponents, [encoded[i] for i in index.tolist()])
        return to_rows(powers, 2 * messages.shape[1])


class _Products(PublicEncryption):
    def __init__(self, n: mpz, bases: Sequence[mpz]) -> None:
        self._n = n
        self._n2 = n * n
        self._rows = power_rows(bases, self._n2, BYTE)

    def encrypt(
        self, messages: NDArray[np.uint8], index: NDArray[np.int64], exponents: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """(1 + m n) is below n^2 as it stands."""
        encoded = [1 + m * self._n for m in from_rows(messages)]
        products = []
        for place, digits in zip(index.tolist(), exponents.tolist(), strict=True):
            product = encoded[place]
            for row, digit in zip(self._rows, digits, strict=True):
                product = product * row[digit] % self._n2
            products.append(product)
        return to_rows(products, 2 * messages.shape[1])


class _Ladder(Secret):
    """Powers without a table, by that exponentiation of GMP which leaks nothing by addresses."""

    def __init__(self, base: mpz, modulus: mpz) -> None:
        self._base = base
        self._modulus = modulus

    def powers(self, exponents: NDArray[np.uint8], factors: Sequence[mpz]) -> list[mpz]:
        """factors[i] * base^exponents[i] modulo the modulus, shaped as in `FixedBase.powers`."""
        return [
            f * self._power(e) % self._modulus
            for f, e in zip(factors, from_rows(exponents), strict=True)
        ]

    def _power(self, exponent: mpz) -> mpz:
        # GMP takes no exponent 0 here, which comes up by chance once in 2^224 times.
        return powmod_sec(self._base, exponent, self._modulus) if exponent else mpz(1)


def _base(base: mpz, modulus: mpz, exponent_bits: int, workload: Workload) -> FixedBase | _Ladder:
    if workload.constant_time:
        return _Ladder(base, modulus)
    return FixedBase(base, modulus, exponent_bits, workload.planned)
