"""The kernel for processors with AVX-512 IFMA: C that works on eight numbers at once (native/*.c).

This module prepares what the C functions are given: constants as rows of 52-bit limbs, tables,
order and lengths of segments. `docs/kernels.md` says how the arithmetic works.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType
from typing import ClassVar

import numpy as np
from gmpy2 import invert, mpz
from numpy.typing import NDArray

from xstat_ray.crypto.fixed_base import BYTE, digit_count
from xstat_ray.crypto.kernels.aesni import Aesni
from xstat_ray.crypto.kernels.interface import (
    Half,
    Kernel,
    OwnerEncryption,
    PublicEncryption,
    Workload,
)
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.crypto.kernels.tables import PowerTable, aligned, best_digit_bits, limb_rows
from xstat_ray.util.threads import each_in_threads

LIMB_BITS = 52
LIMBS = {2048: 40, 3072: 60, 4096: 80, 6144: 120, 8192: 160}
"""Limbs of a number by bits of the modulus: p^2 and n^2 of every key size."""
MAX_SEGMENT = 64
"""Longer segments are multiplied in pieces, which fills the lanes also when there are few
segments."""
_LANES = 8
_LIMB = np.dtype(np.uint64)


class Ifma(Kernel):
    """Eight numbers at once; key sizes that the C kernels do not have are left to `Portable`."""

    name: ClassVar[str] = "ifma"

    def __init__(self, native: ModuleType) -> None:
        """Work with the C functions of `native`, which is `_native` or a build of its sources."""
        self._native = native
        self._portable = Aesni(native) if Aesni.runs(native) else Portable()

    def owner(self, p: Half, q: Half, workload: Workload) -> OwnerEncryption:
        """Tables of powers modulo p^2 and q^2."""
        if p.prime.bit_length() != q.prime.bit_length() or 2 * p.prime.bit_length() not in LIMBS:
            return self._portable.owner(p, q, workload)
        return _Owner(self._native, p, q, workload)

    def public(self, n: mpz, h: mpz, exponent_bits: int, workload: Workload) -> PublicEncryption:
        """A table of powers modulo n^2."""
        if 2 * n.bit_length() not in LIMBS:
            return self._portable.public(n, h, exponent_bits, workload)
        return _Public(self._native, n, h, exponent_bits, workload)

    def products(self, n: mpz, bases: Sequence[mpz]) -> PublicEncryption:
        """A table of 256 powers for each base, in which eight numbers are multiplied in step."""
        if 2 * n.bit_length() not in LIMBS:
            return self._portable.products(n, bases)
        return _Products(self._native, n, bases)

    def powers(
        self, rows: NDArray[np.uint8], exponent: mpz, modulus: mpz, constant_time: bool = False
    ) -> NDArray[np.uint8]:
        """Eight powers in step; never does an address depend on the exponent."""
        width = rows.shape[1] // 2
        if 8 * width not in LIMBS or modulus.bit_length() > 8 * width:
            return self._portable.powers(rows, exponent, modulus, constant_time)
        limbs = LIMBS[8 * width]
        out = np.empty((len(rows), width), np.uint8)
        digits = exponent.to_bytes(-(-exponent.bit_length() // 8), "little")
        self._native.power(
            limbs, out, np.ascontiguousarray(rows), digits, _constants(modulus, limbs)
        )
        return out

    def accumulate(
        self,
        rows: NDArray[np.uint8],
        index: NDArray[np.int64],
        edges: NDArray[np.int64],
        modulus: mpz,
    ) -> NDArray[np.uint8]:
        """Eight segments in step, longer ones in pieces whose products are multiplied in turn."""
        width = rows.shape[1]
        if 8 * width not in LIMBS or modulus.bit_length() > 8 * width:
            return self._portable.accumulate(rows, index, edges, modulus)
        rows = np.ascontiguousarray(rows)
        index = np.ascontiguousarray(index)
        while True:
            pieces, edges = _cut(edges, min(MAX_SEGMENT, max(8, len(index) // 32)))
            order = np.argsort(np.diff(pieces), kind="stable")
            out = np.empty((len(pieces) - 1, width), np.uint8)
            self._native.accumulate(
                LIMBS[8 * width], out, rows, index, pieces, order, *_sum_constants(modulus, width)
            )
            if len(pieces) == len(edges):
                return out
            rows = out
            index = np.arange(len(out))

    def oprf_mark(
        self, key: bytes, items: NDArray[np.uint8], capacity: int, columns: range
    ) -> NDArray[np.uint64]:
        """By the AES instructions; see `Aesni`."""
        return self._portable.oprf_mark(key, items, capacity, columns)

    def oprf_rows(
        self, key: bytes, items: NDArray[np.uint8], matrix: NDArray[np.uint64], capacity: int
    ) -> NDArray[np.uint8]:
        """By the AES instructions; see `Aesni`."""
        return self._portable.oprf_rows(key, items, matrix, capacity)

    def oprf_pad(
        self, matrix: NDArray[np.uint64], keys: NDArray[np.uint8], bin: int
    ) -> NDArray[np.uint64]:
        """By the AES instructions; see `Aesni`."""
        return self._portable.oprf_pad(matrix, keys, bin)

    def sha512(
        self, prefix: bytes, rows: NDArray[np.uint8], lengths: NDArray[np.int64], size: int
    ) -> NDArray[np.uint8]:
        """Eight texts at once; see `Aesni`."""
        return self._portable.sha512(prefix, rows, lengths, size)


class _Base(PowerTable):
    """The table of one base modulo one modulus."""

    def __init__(
        self,
        native: ModuleType,
        base: mpz,
        modulus: mpz,
        n: mpz,
        limbs: int,
        *,
        bits: int,
        digit_bits: int,
    ) -> None:
        self.constants = _constants(modulus, limbs, n)
        shape = (digit_count(bits, digit_bits), 1 << digit_bits, _row(limbs))
        self.table = aligned(shape, _LIMB)
        montgomery = _limbs([(base << LIMB_BITS * limbs) % modulus], limbs)
        native.make_table(limbs, digit_bits, self.table, montgomery, self.constants)


class _Owner(OwnerEncryption):
    def __init__(self, native: ModuleType, p: Half, q: Half, workload: Workload) -> None:
        self._native = native
        n = p.prime * q.prime
        p2 = p.prime**2
        q2 = q.prime**2
        bits = max(p.exponent_bits, q.exponent_bits)
        self._limbs = LIMBS[2 * p.prime.bit_length()]
        self._constant_time = workload.constant_time
        self._digit_bits = _digit_bits(self._limbs, 2, bits, workload)
        self._p, self._q = (
            _Base(native, half.h, modulus, n, self._limbs, bits=bits, digit_bits=self._digit_bits)
            for half, modulus in ((p, p2), (q, q2))
        )
        self._p2_inverse = _limbs([(invert(p2, q2) << LIMB_BITS * self._limbs) % q2], self._limbs)

    def encrypt(
        self,
        messages: NDArray[np.uint8],
        index: NDArray[np.int64],
        by_p: NDArray[np.uint8],
        by_q: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """Tables are shared by threads; the interpreter is free meanwhile."""
        out = np.empty((len(index), 2 * messages.shape[1]), np.uint8)
        how = (self._limbs, self._digit_bits, self._constant_time)
        what = (out, messages, index)
        self._native.encrypt_owner(
            *how,
            *what,
            *self._p.with_exponents(by_p),
            *self._q.with_exponents(by_q),
            self._p2_inverse,
        )
        return out


class _Public(PublicEncryption):
    def __init__(
        self, native: ModuleType, n: mpz, h: mpz, exponent_bits: int, workload: Workload
    ) -> None:
        self._native = native
        self._limbs = LIMBS[2 * n.bit_length()]
        self._constant_time = workload.constant_time
        self._digit_bits = _digit_bits(self._limbs, 1, exponent_bits, workload)
        self._base = _Base(
            native, h, n * n, n, self._limbs, bits=exponent_bits, digit_bits=self._digit_bits
        )

    def encrypt(
        self, messages: NDArray[np.uint8], index: NDArray[np.int64], exponents: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Tables are shared by threads; the interpreter is free meanwhile."""
        out = np.empty((len(index), 2 * messages.shape[1]), np.uint8)
        how = (self._limbs, self._digit_bits, self._constant_time)
        what = (out, messages, index)
        self._native.encrypt_public(*how, *what, *self._base.with_exponents(exponents))
        return out


class _Products(PublicEncryption):
    def __init__(self, native: ModuleType, n: mpz, bases: Sequence[mpz]) -> None:
        self._native = native
        self._limbs = LIMBS[2 * n.bit_length()]
        self._constants = _constants(n * n, self._limbs, n)
        self._table = aligned((len(bases), 1 << BYTE, _row(self._limbs)), _LIMB)
        montgomery = [(base << LIMB_BITS * self._limbs) % (n * n) for base in bases]

        places = zip(self._table, _limbs(montgomery, self._limbs), strict=True)

        def fill(place: tuple[NDArray[np.uint64], NDArray[np.uint64]]) -> None:
            native.make_table(self._limbs, BYTE, *place, self._constants)

        each_in_threads(fill, list(places))

    def encrypt(
        self, messages: NDArray[np.uint8], index: NDArray[np.int64], exponents: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Tables are shared by threads; the interpreter is free meanwhile."""
        out = np.empty((len(index), 2 * messages.shape[1]), np.uint8)
        how = (self._limbs, BYTE, False)
        exponents = np.ascontiguousarray(exponents)
        constants = (self._constants, self._table)
        self._native.encrypt_public(*how, out, messages, index, *constants, exponents)
        return out


def _cut(edges: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut segments into pieces of at most `most`.

    Returns:
        The edges of the pieces, and those of the segments counted in pieces.
    """
    counts = -(-np.diff(edges) // most)
    whole = np.append(0, np.cumsum(counts))
    first = np.repeat(edges[:-1], counts)
    starts = first + (np.arange(whole[-1]) - np.repeat(whole[:-1], counts)) * most
    return np.append(starts, edges[-1]), whole


@lru_cache(maxsize=4)
def _sum_constants(modulus: mpz, width: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Constants of n^2, which is public and may be kept, and powers of R up to MAX_SEGMENT."""
    limbs = LIMBS[8 * width]
    powers = [mpz(1)]
    for _ in range(MAX_SEGMENT):
        powers.append((powers[-1] << LIMB_BITS * limbs) % modulus)
    return _constants(modulus, limbs), _limbs(powers, limbs)


def _constants(modulus: mpz, limbs: int, n: mpz | None = None) -> NDArray[np.uint64]:
    """The rows m, R, R^2, R^3 and n R modulo m, where R = 2^(52 limbs); see native/paillier.h."""
    r = (mpz(1) << LIMB_BITS * limbs) % modulus
    return _limbs([modulus, r, r**2 % modulus, r**3 % modulus, (n or 0) * r % modulus], limbs)


def _row(limbs: int) -> int:
    """Limbs from one row to the next."""
    return -(-limbs // 8) * 8


def _limbs(values: list[mpz], limbs: int) -> NDArray[np.uint64]:
    """Rows of limbs, lowest first, padded with zeros."""
    return limb_rows(values, LIMB_BITS, _row(limbs))


def _digit_bits(limbs: int, tables: int, exponent_bits: int, workload: Workload) -> int:
    """Bits of a digit; a row is read for 0.4 / limbs of a multiplication."""
    return best_digit_bits(
        8 * _row(limbs), tables, exponent_bits, workload, lanes=_LANES, scan=0.4 / limbs
    )
