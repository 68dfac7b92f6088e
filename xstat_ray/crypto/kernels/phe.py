"""The reference kernel, for those who do not trust the arithmetic of the others: Paillier by `phe`.

A ciphertext is c = (1 + m n) h^e mod n^2, where m is the message, n the public key, h the generator
of randomness and e a random exponent. The owner computes the power of h modulo p^2 and modulo q^2
instead, with a `Half` for each prime and the exponents `by_p` and `by_q`, and combines both by
Chinese remainders. A sum is a product of ciphertexts; `edges` says where the ciphertexts of each
sum begin, and where the last ones end.

Encryption, sums and decryption call documented functions of python-paillier, one number at a time
and without tables, so that what this file computes can be read in a minute. The combination of both
halves is written here. The oblivious PRF is that of `portable`. The tests
test_same_bytes.py and test_phe.py check this; docs/kernels.md says how long it takes.

Keys come from `keygen`, not from `phe`: short exponents need primes made for a small subgroup. To
`phe` they are ordinary Paillier keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray
from phe import EncryptedNumber, PaillierPrivateKey, PaillierPublicKey
from phe.util import invert, mulmod, powmod

from xstat_ray.crypto.buffers import to_rows
from xstat_ray.crypto.kernels.interface import (
    Half,
    Kernel,
    OwnerEncryption,
    PublicEncryption,
    Workload,
)


class Phe(Kernel):
    """Stock python-paillier, the reference; it refuses to promise constant time."""

    name: ClassVar[str] = "phe"
    constant_time: ClassVar[bool] = False
    tables: ClassVar[bool] = False

    def owner(self, p: Half, q: Half, workload: Workload) -> OwnerEncryption:
        """Make no table: randomness is computed modulo p^2 and q^2."""
        self.check(workload.constant_time)
        return _Owner(p, q)

    def public(self, n: mpz, h: mpz, exponent_bits: int, workload: Workload) -> PublicEncryption:
        """Make no table: randomness is computed modulo n^2."""
        self.check(workload.constant_time)
        return _Public(n, h)

    def products(self, n: mpz, bases: Sequence[mpz]) -> PublicEncryption:
        """Make no table: every power is computed."""
        return _Products(n, bases)

    def powers(
        self, rows: NDArray[np.uint8], exponent: mpz, modulus: mpz, constant_time: bool = False
    ) -> NDArray[np.uint8]:
        """One `phe.util.powmod` a row."""
        self.check(constant_time)
        powers = [
            powmod(value % int(modulus), int(exponent), int(modulus)) for value in _ints(rows)
        ]
        return to_rows(powers, rows.shape[1] // 2)

    def decrypt(
        self, rows: NDArray[np.uint8], p: mpz, q: mpz, constant_time: bool = False
    ) -> NDArray[np.uint8]:
        """One `PaillierPrivateKey.raw_decrypt` a row."""
        self.check(constant_time)
        key = PaillierPrivateKey(PaillierPublicKey(int(p * q)), int(p), int(q))
        return to_rows([key.raw_decrypt(value) for value in _ints(rows)], rows.shape[1] // 2)

    def accumulate(
        self,
        rows: NDArray[np.uint8],
        index: NDArray[np.int64],
        edges: NDArray[np.int64],
        modulus: mpz,
    ) -> NDArray[np.uint8]:
        """One `phe.util.mulmod` a row, with which `EncryptedNumber` adds."""
        values = _ints(rows)
        order = index.tolist()
        products = []
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            product = values[order[start]]
            for place in order[start + 1 : end]:
                product = mulmod(product, values[place], int(modulus))
            products.append(product)
        return to_rows(products, rows.shape[1])


class _Owner(OwnerEncryption):
    def __init__(self, p: Half, q: Half) -> None:
        self._public = PaillierPublicKey(int(p.prime * q.prime))
        self._p2 = int(p.prime) ** 2
        self._q2 = int(q.prime) ** 2
        self._p_h = int(p.h)
        self._q_h = int(q.h)
        self._p2_inverse = invert(self._p2, self._q2)

    def encrypt(
        self,
        messages: NDArray[np.uint8],
        index: NDArray[np.int64],
        by_p: NDArray[np.uint8],
        by_q: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """One power modulo p^2 and one modulo q^2 a row, combined by Chinese remainders."""
        zeros = []
        for p_exponent, q_exponent in zip(_ints(by_p), _ints(by_q), strict=True):
            u = powmod(self._p_h, p_exponent, self._p2)
            v = powmod(self._q_h, q_exponent, self._q2)
            zeros.append(u + self._p2 * mulmod(v - u, self._p2_inverse, self._q2))
        return _encrypt(self._public, messages, index, zeros)


class _Public(PublicEncryption):
    def __init__(self, n: mpz, h: mpz) -> None:
        self._public = PaillierPublicKey(int(n))
        self._h = int(h)

    def encrypt(
        self, messages: NDArray[np.uint8], index: NDArray[np.int64], exponents: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """One power modulo n^2 a row."""
        zeros = [powmod(self._h, e, self._public.nsquare) for e in _ints(exponents)]
        return _encrypt(self._public, messages, index, zeros)


class _Products(PublicEncryption):
    def __init__(self, n: mpz, bases: Sequence[mpz]) -> None:
        self._public = PaillierPublicKey(int(n))
        self._bases = [int(base) for base in bases]

    def encrypt(
        self, messages: NDArray[np.uint8], index: NDArray[np.int64], exponents: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """One power modulo n^2 a base and row."""
        modulus = self._public.nsquare
        zeros = []
        for digits in exponents.tolist():
            product = 1
            for base, digit in zip(self._bases, digits, strict=True):
                product = mulmod(product, powmod(base, digit, modulus), modulus)
            zeros.append(product)
        return _encrypt(self._public, messages, index, zeros)


def _encrypt(
    public: PaillierPublicKey,
    messages: NDArray[np.uint8],
    index: NDArray[np.int64],
    zeros: list[int],
) -> NDArray[np.uint8]:
    """Ciphertexts of messages[index[i]] with the randomness of zeros[i].

    The randomness of the protocol is a power of h, an encryption of zero. It is added to a message
    that `phe` has encrypted with the randomness 1, that is with none.
    """
    plain = _ints(messages)
    bare = [EncryptedNumber(public, public.raw_encrypt(message, r_value=1)) for message in plain]
    numbers = [
        bare[place] + EncryptedNumber(public, zero)
        for place, zero in zip(index.tolist(), zeros, strict=True)
    ]
    ciphertexts = [number.ciphertext(be_secure=False) for number in numbers]
    return to_rows(ciphertexts, 2 * messages.shape[1])


def _ints(rows: NDArray[np.uint8]) -> list[int]:
    """(N, bytes) little-endian rows as the integers of Python, which `phe` takes."""
    return [int.from_bytes(row.tobytes(), "little") for row in rows]
