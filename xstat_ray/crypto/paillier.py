"""Paillier (EUROCRYPT 1999) with g = n+1 and randomness from a subgroup; see `keygen` for the keys.

Ciphertexts are ordinary Paillier ciphertexts modulo n^2: `phe` decrypts ours, and we decrypt those
of `phe`. They live in (N, width) buffers, little-endian,
never in lists of integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from gmpy2 import gcd, is_power, is_prime, mpz, powmod
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, row_numbers, to_rows
from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.crypto.fixed_base import uniform_below
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.kernels.interface import Half, Workload
from xstat_ray.errors import ProtocolError
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.threads import in_threads

SUBGROUP_BITS = {2048: 224, 3072: 256, 4096: 256}
"""Bits of alpha and of beta by bits of n."""
PUBLIC_EXCESS_BITS = 64
"""Exponents drawn without the group order are this much longer, which makes them uniform up to
2^-64."""
_CONSTANT_TIME = "constant_time"


@dataclass(frozen=True)
class PublicKey:
    """n and the generator h of the randomness; not secret."""

    n: mpz
    h: mpz
    """An n-th residue of order alpha*beta modulo n^2."""

    @property
    def key_bits(self) -> int:
        """Bits of n."""
        return int(self.n.bit_length())

    @property
    def width(self) -> int:
        """Bytes of a ciphertext."""
        return self.key_bits // 4

    @cached_property
    def n2(self) -> mpz:
        """n^2, the modulus of ciphertexts."""
        return self.n * self.n

    def encode(self) -> bytes:
        """N in key_bits/8 bytes, then h in key_bits/4, little-endian."""
        return bytes(
            self.n.to_bytes(self.key_bits // 8, "little") + self.h.to_bytes(self.width, "little")
        )

    @classmethod
    def decode(cls, data: bytes) -> PublicKey:
        """Read a key from the other side.

        Raises:
            ProtocolError: not a plausible key: wrong size, even, prime, a power, or h outside the
                group.
        """
        key_bits = 8 * len(data) // 3
        n, h = (
            mpz.from_bytes(part, "little")
            for part in (data[: key_bits // 8], data[key_bits // 8 :])
        )
        if key_bits not in SUBGROUP_BITS or n.bit_length() != key_bits:
            raise ProtocolError("the public key has a modulus of the wrong size")
        if n % 2 == 0 or is_power(n) or is_prime(n):
            raise ProtocolError("the public key's modulus is not a product of two primes")
        if not 1 < h < n * n or gcd(h, n) != 1:
            raise ProtocolError("the public key's generator is not in the group")
        return cls(n, h)


class PrivateKey(Secret):
    """The key holder's key.

    With `constant_time` no memory address depends on what its owner draws or keeps secret, as far
    as the kernels go.
    """

    def __init__(
        self,
        p: mpz,
        q: mpz,
        alpha: mpz,
        beta: mpz,
        y: mpz,
        *,
        h: mpz | None = None,
        constant_time: bool = False,
    ) -> None:
        """Take the parts, of which `keygen` says what they must be.

        h is y^n mod n^2, which takes 25 ms at 3,072 bits: a key that is read again brings it along.
        """
        n = p * q
        self.p = p
        self.q = q
        self.alpha = alpha
        self.beta = beta
        self.y = y
        self.constant_time = constant_time
        self.public = PublicKey(n, powmod(y, n, n * n) if h is None else h)
        self.p2 = p * p
        self.q2 = q * q

    def export_bytes(self) -> bytes:
        """All parts, for a replica of the column party or its own folder."""
        parts = {
            "p": self.p,
            "q": self.q,
            "alpha": self.alpha,
            "beta": self.beta,
            "y": self.y,
            "h": self.public.h,
        }
        fields = {
            name: value.to_bytes(self.public.width, "little") for name, value in parts.items()
        }
        return pack_fields(fields | {_CONSTANT_TIME: bytes([self.constant_time])})

    @classmethod
    def from_bytes(cls, data: bytes) -> PrivateKey:
        """Reverse `export_bytes`."""
        fields = unpack_fields(data)
        constant_time = any(fields.pop(_CONSTANT_TIME))
        parts = {name: mpz.from_bytes(value, "little") for name, value in fields.items()}
        return cls(**parts, constant_time=constant_time)

    def decrypt(self, rows: NDArray[np.uint8]) -> list[mpz]:
        """Open (N, width) ciphertexts, by p - 1 and q - 1: any numbers coprime to n.

        No shorter exponents are used, as what masks make has randomness of full size. Nor is there
        a number of which the result would tell of p and q: each one coprime to n encrypts exactly
        one number, and its product with 1 + n the next.

        Raises:
            ProtocolError: a row is not in the group; names it.
        """
        check_group(self.public, from_rows(rows))
        chosen = kernel()

        def open_part(part: slice) -> NDArray[np.uint8]:
            return chosen.decrypt(rows[part], self.p, self.q, self.constant_time)

        return from_rows(in_threads(open_part, len(rows)))


def check_group(public: PublicKey, values: Sequence[mpz]) -> None:
    """Check that values are ciphertexts: in (0, n^2) and coprime to n.

    Raises:
        ProtocolError: one is not; names its row.
    """
    product = mpz(1)
    for row, value in enumerate(values):
        if not 0 < value < public.n2:
            raise ProtocolError(f"row {row} is not a ciphertext: out of range")
        product = product * value % public.n
    if gcd(product, public.n) != 1:
        row = next(row for row, value in enumerate(values) if gcd(value, public.n) != 1)
        raise ProtocolError(f"row {row} is not a ciphertext: not coprime to the modulus")


class OwnerEncryptor(Secret):
    """Encryption by the key's owner: short exponents, half-size moduli, Chinese remainders."""

    def __init__(self, key: PrivateKey, planned: int) -> None:
        """Build tables for about `planned` encryptions; threads may share them."""
        self._key = key
        halves = ((key.p, key.p2, key.alpha), (key.q, key.q2, key.beta))
        p, q = (
            Half(prime, key.public.h % square, order.bit_length())
            for prime, square, order in halves
        )
        self._tables = kernel().owner(p, q, Workload(planned, key.constant_time))

    def encrypt(
        self,
        messages: Sequence[mpz | int],
        randomness: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
    ) -> NDArray[np.uint8]:
        """Encrypt N messages in [0, n); returns (N, width).

        See `encrypt_indexed` for `randomness` and errors.
        """
        return self.encrypt_indexed(messages, np.arange(len(messages)), randomness)

    def encrypt_indexed(
        self,
        table: Sequence[mpz | int],
        index: NDArray[np.integer],
        randomness: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
    ) -> NDArray[np.uint8]:
        """Encrypt table[index[i]].

        Args:
            table: messages in [0, n).
            index: (N,) into `table`.
            randomness: exponents modulo alpha and modulo beta as little-endian rows, for tests;
                drawn afresh by default.

        Returns:
            (N, width) ciphertexts.

        Raises:
            ValueError: a message is out of range, or the randomness has another shape.
            IndexError: the index names a message that does not exist.
        """
        key = self._key
        tables = self._tables
        messages = _messages(key.public, table)
        index = row_numbers(index, len(table))
        orders = int(key.alpha), int(key.beta)
        by_p, by_q = randomness or [uniform_below(order, len(index)) for order in orders]
        for exponents, order in zip((by_p, by_q), orders, strict=True):
            _check_exponents(exponents, len(index), order.bit_length())
        return in_threads(
            lambda part: tables.encrypt(messages, index[part], by_p[part], by_q[part]), len(index)
        )


class PublicEncryptor:
    """Encryption by anyone who has the public key."""

    def __init__(self, public: PublicKey, planned: int, constant_time: bool = False) -> None:
        """Build a table for about `planned` encryptions; threads may share it."""
        self._public = public
        self._bits = 2 * SUBGROUP_BITS[public.key_bits] + PUBLIC_EXCESS_BITS
        self._table = kernel().public(
            public.n, public.h, self._bits, Workload(planned, constant_time)
        )

    def encrypt(
        self, messages: Sequence[mpz | int], randomness: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Encrypt N messages in [0, n).

        Args:
            messages: what to encrypt.
            randomness: (N, bytes) little-endian exponents, for tests; drawn afresh by default.

        Returns:
            (N, width) ciphertexts.

        Raises:
            ValueError: a message is out of range, or the randomness has another shape.
        """
        rows = _messages(self._public, messages)
        index = np.arange(len(messages))
        exponents = (
            uniform_below(1 << self._bits, len(messages)) if randomness is None else randomness
        )
        _check_exponents(exponents, len(index), self._bits)
        return in_threads(
            lambda part: self._table.encrypt(rows, index[part], exponents[part]), len(index)
        )


def _messages(public: PublicKey, messages: Sequence[mpz | int]) -> NDArray[np.uint8]:
    if any(not 0 <= m < public.n for m in messages):
        raise ValueError("a message is not in [0, n)")
    return to_rows([mpz(m) for m in messages], public.width // 2)


def _check_exponents(exponents: NDArray[np.uint8], rows: int, bits: int) -> None:
    if exponents.dtype != np.uint8 or exponents.shape != (rows, bits // 8):
        raise ValueError(f"{rows} exponents of {bits} bits are {rows} rows of {bits // 8} bytes")
