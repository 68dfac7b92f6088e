"""Paillier (EUROCRYPT 1999) with g = n+1 and randomness from a subgroup; see `keygen` for the keys.

Ciphertexts are ordinary Paillier ciphertexts modulo n^2: `phe` decrypts ours, and `PrivateKey.decrypt_any` decrypts
those of `phe`. They live in (N, width) buffers, little-endian, never in lists of integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from gmpy2 import gcd, invert, is_power, is_prime, mpz, powmod
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.crypto.fixed_base import FixedBase, uniform_below
from xstat_ray.errors import ProtocolError
from xstat_ray.secrecy import Secret

SUBGROUP_BITS = {2048: 224, 3072: 256, 4096: 256}
"""Bits of alpha and of beta by bits of n."""
PUBLIC_EXCESS_BITS = 64
"""Exponents drawn without the group order are this much longer, which makes them uniform up to 2^-64."""


@dataclass(frozen=True)
class PublicKey:
    """n and the generator h of the randomness; not secret."""

    n: mpz
    h: mpz
    """Of order alpha*beta modulo n^2, an n-th residue."""

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
        return bytes(self.n.to_bytes(self.key_bits // 8, "little") + self.h.to_bytes(self.width, "little"))

    @classmethod
    def decode(cls, data: bytes) -> PublicKey:
        """Read a key from the other side.

        Raises:
            ProtocolError: not a plausible key: wrong size, even, prime, a power, or h outside the group.
        """
        key_bits = 8 * len(data) // 3
        n, h = (mpz.from_bytes(part, "little") for part in (data[: key_bits // 8], data[key_bits // 8 :]))
        if key_bits not in SUBGROUP_BITS or n.bit_length() != key_bits:
            raise ProtocolError("the public key has a modulus of the wrong size")
        if n % 2 == 0 or is_power(n) or is_prime(n):
            raise ProtocolError("the public key's modulus is not a product of two primes")
        if not 1 < h < n * n or gcd(h, n) != 1:
            raise ProtocolError("the public key's generator is not in the group")
        return cls(n, h)


class PrivateKey(Secret):
    """The key holder's key."""

    def __init__(self, p: mpz, q: mpz, alpha: mpz, beta: mpz, h: mpz) -> None:
        self.p, self.q, self.alpha, self.beta = p, q, alpha, beta
        self.public = PublicKey(p * q, h)
        self.p2, self.q2 = p * p, q * q
        self._p_inverse = invert(p, q)

    def export_bytes(self) -> bytes:
        """All parts, for a replica of the column party or its own folder."""
        parts = {"p": self.p, "q": self.q, "alpha": self.alpha, "beta": self.beta, "h": self.public.h}
        return pack_fields({name: value.to_bytes(self.public.width, "little") for name, value in parts.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> PrivateKey:
        """Reverse `export_bytes`."""
        return cls(**{name: mpz.from_bytes(value, "little") for name, value in unpack_fields(data).items()})

    def decrypt(self, rows: NDArray[np.uint8]) -> list[mpz]:
        """Open (N, width) ciphertexts whose randomness lies in the subgroup, with the short exponents alpha and beta.

        A ciphertext made elsewhere with full-size randomness gives a wrong value: use `decrypt_any` for those.

        Raises:
            ProtocolError: a row is not in the group; names it.
        """
        return self._open(rows, self.alpha, self.beta)

    def decrypt_any(self, rows: NDArray[np.uint8]) -> list[mpz]:
        """Open any Paillier ciphertexts of this key, such as those of `phe`; about five times slower.

        Raises:
            ProtocolError: a row is not in the group; names it.
        """
        return self._open(rows, self.p - 1, self.q - 1)

    def _open(self, rows: NDArray[np.uint8], p_exponent: mpz, q_exponent: mpz) -> list[mpz]:
        values, n = from_rows(rows), self.public.n
        check_group(self.public, values)
        p, q, p2, q2, p_inverse = self.p, self.q, self.p2, self.q2, self._p_inverse
        p_scale = invert((powmod(1 + n, p_exponent, p2) - 1) // p, p)
        q_scale = invert((powmod(1 + n, q_exponent, q2) - 1) // q, q)
        result = []
        for value in values:
            by_p = (powmod(value % p2, p_exponent, p2) - 1) // p * p_scale % p
            by_q = (powmod(value % q2, q_exponent, q2) - 1) // q * q_scale % q
            result.append(by_p + p * ((by_q - by_p) * p_inverse % q))
        return result


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
    """Encryption by the key's owner: short exponents and half-size moduli, by the Chinese remainder theorem."""

    def __init__(self, key: PrivateKey, planned: int) -> None:
        """Build tables for about `planned` encryptions."""
        self._key = key
        h = key.public.h
        self._by_p = FixedBase(h % key.p2, key.p2, key.alpha.bit_length(), planned)
        self._by_q = FixedBase(h % key.q2, key.q2, key.beta.bit_length(), planned)
        self._p2_inverse = invert(key.p2, key.q2)

    def encrypt(
        self, messages: Sequence[mpz | int], randomness: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
    ) -> NDArray[np.uint8]:
        """Encrypt N messages in [0, n); returns (N, width). See `encrypt_indexed` for `randomness`.

        Raises:
            ValueError: a message is out of range.
        """
        return self.encrypt_indexed(messages, np.arange(len(messages)), randomness)

    def encrypt_indexed(
        self,
        table: Sequence[mpz | int],
        index: NDArray[np.integer],
        randomness: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
    ) -> NDArray[np.uint8]:
        """Encrypt table[index[i]]; the work on a message is done once however often it occurs.

        Args:
            table: messages in [0, n).
            index: (N,) into `table`.
            randomness: exponents modulo alpha and modulo beta as little-endian rows, for tests; drawn afresh by
                default.

        Returns:
            (N, width) ciphertexts.

        Raises:
            ValueError: a message is out of range.
        """
        key = self._key
        if randomness is None:
            randomness = uniform_below(int(key.alpha), len(index)), uniform_below(int(key.beta), len(index))
        encoded, places = _encode(key.public, table), index.tolist()
        p_table, q_table = [m % key.p2 for m in encoded], [m % key.q2 for m in encoded]
        by_p = self._by_p.powers(randomness[0], [p_table[i] for i in places])
        by_q = self._by_q.powers(randomness[1], [q_table[i] for i in places])
        p2, q2, inverse = key.p2, key.q2, self._p2_inverse
        return to_rows([u + p2 * ((v - u) * inverse % q2) for u, v in zip(by_p, by_q, strict=True)], key.public.width)


class PublicEncryptor:
    """Encryption by anyone who has the public key."""

    def __init__(self, public: PublicKey, planned: int) -> None:
        """Build a table for about `planned` encryptions."""
        self._public = public
        self._bits = 2 * SUBGROUP_BITS[public.key_bits] + PUBLIC_EXCESS_BITS
        self._table = FixedBase(public.h, public.n2, self._bits, planned)

    def encrypt(self, messages: Sequence[mpz | int], randomness: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Encrypt N messages in [0, n).

        Args:
            messages: what to encrypt.
            randomness: (N, bytes) little-endian exponents, for tests; drawn afresh by default.

        Returns:
            (N, width) ciphertexts.

        Raises:
            ValueError: a message is out of range.
        """
        if randomness is None:
            randomness = uniform_below(1 << self._bits, len(messages))
        return to_rows(self._table.powers(randomness, _encode(self._public, messages)), self._public.width)


def _encode(public: PublicKey, messages: Sequence[mpz | int]) -> list[mpz]:
    """g^m = 1 + m*n modulo n^2."""
    n = public.n
    if any(not 0 <= m < n for m in messages):
        raise ValueError("a message is not in [0, n)")
    return [1 + m * n for m in messages]
