"""The kernel for processors with AVX2 and no AVX-512 IFMA.

Encryption by the owner is C that works on four numbers at once (native/avx2.h), the oblivious PRF
as in `aesni`, all else is `portable`. `docs/kernels.md` says how the arithmetic works.
"""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

import numpy as np
from gmpy2 import invert, mpz
from numpy.typing import NDArray

from xstat_ray.crypto.fixed_base import digit_count
from xstat_ray.crypto.kernels.aesni import Aesni
from xstat_ray.crypto.kernels.interface import Half, OwnerEncryption, Workload
from xstat_ray.crypto.kernels.tables import PowerTable, aligned, best_digit_bits, limb_rows

LIMB_BITS = 28
LIMBS = {1024: 40, 1536: 56, 2048: 76}
"""Limbs of a number by bits of a prime."""
_LANES = 4


class Avx2(Aesni):
    """Four numbers at once; key sizes that the C kernel does not have are left to `portable`."""

    name: ClassVar[str] = "avx2"

    @staticmethod
    def runs(native: ModuleType) -> bool:
        """Whether the build has these functions, and the processor their instructions."""
        return (
            hasattr(native, "four_table") and bool(native.avx2_available()) and Aesni.runs(native)
        )

    def owner(self, p: Half, q: Half, workload: Workload) -> OwnerEncryption:
        """Tables of powers modulo p^2 and q^2."""
        bits = p.prime.bit_length()
        if bits != q.prime.bit_length() or bits not in LIMBS:
            return super().owner(p, q, workload)
        return _Owner(self._native, p, q, workload)


class _Base(PowerTable):
    """The table of one half."""

    def __init__(
        self, native: ModuleType, half: Half, other: mpz, *, bits: int, digit_bits: int
    ) -> None:
        p = half.prime
        limbs = LIMBS[p.bit_length()]
        r = mpz(1) << LIMB_BITS * limbs
        # Limbs of 2^28 each, and what is missing to a multiple of p.
        lent = (r - 1) // ((1 << LIMB_BITS) - 1) << LIMB_BITS
        filler = limb_rows([-lent % p], LIMB_BITS, limbs) + (1 << LIMB_BITS)
        square = [*_digits(r % p**2, p), other * r % p, other * r**2 % p]
        self.constants = np.concatenate(
            [limb_rows([p], LIMB_BITS, limbs), filler, limb_rows(square, LIMB_BITS, limbs)]
        )
        shape = (digit_count(bits, digit_bits), 1 << digit_bits, 2 * limbs)
        self.table = aligned(shape, np.dtype(np.uint32))
        base = limb_rows(_digits(half.h * r % p**2, p), LIMB_BITS, limbs)
        native.four_table(limbs, digit_bits, self.table, base, self.constants)


class _Owner(OwnerEncryption):
    def __init__(self, native: ModuleType, p: Half, q: Half, workload: Workload) -> None:
        self._native = native
        bits = max(p.exponent_bits, q.exponent_bits)
        self._limbs = LIMBS[p.prime.bit_length()]
        self._constant_time = workload.constant_time
        row_bytes = 2 * self._limbs * np.dtype(np.uint32).itemsize
        self._digit_bits = best_digit_bits(
            row_bytes, 2, bits, workload, lanes=_LANES, scan=0.5 / self._limbs
        )
        self._p, self._q = (
            _Base(native, half, other.prime, bits=bits, digit_bits=self._digit_bits)
            for half, other in ((p, q), (q, p))
        )
        q2 = q.prime**2
        inverse = invert(p.prime, q2)
        r = mpz(1) << LIMB_BITS * self._limbs
        joint = [inverse**2 * r % q2, -inverse * r % q2]
        self._joint = limb_rows(
            [digit for number in joint for digit in _digits(number, q.prime)],
            LIMB_BITS,
            self._limbs,
        )

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
        bases = (*self._p.with_exponents(by_p), *self._q.with_exponents(by_q))
        self._native.four_encrypt(*how, *what, *bases, self._joint)
        return out


def _digits(value: mpz, prime: mpz) -> list[mpz]:
    """A number modulo prime^2 as its two digits to the base `prime`, low before high."""
    return [value % prime, value // prime]
