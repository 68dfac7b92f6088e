"""The heavy arithmetic of the protocol as one interface, over contiguous buffers.

Big numbers are rows of bytes, least significant first. Implementations compute the same function to
the bit; they differ in speed alone, so that parties with different processors take part in one
release. Callers have checked what crosses a trust boundary (`paillier`, `sums` and `oprf` do):
rows are below the modulus, messages below n, indexes inside their arrays, segments not empty,
as many words in a column as the capacity needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from gmpy2 import invert, mpz, powmod
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.kernels import hashed_texts, numpy_oprf
from xstat_ray.errors import InputError
from xstat_ray.util.secrecy import Secret


@dataclass(frozen=True)
class Workload:
    """What tables of fixed powers are made for."""

    planned: int
    """Encryptions; wider tables pay with more of them."""
    constant_time: bool = False
    """No memory address depends on an exponent."""


@dataclass(frozen=True, repr=False)
class Half(Secret):
    """One of the two halves of encryption by the owner: the work modulo the square of one prime."""

    prime: mpz
    h: mpz
    """The generator of randomness modulo prime^2."""
    exponent_bits: int


class OwnerEncryption(Secret, ABC):
    """Tables of one private key; may be used by several threads at once."""

    @abstractmethod
    def encrypt(
        self,
        messages: NDArray[np.uint8],
        index: NDArray[np.int64],
        by_p: NDArray[np.uint8],
        by_q: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """Ciphertexts of messages[index[i]].

        Args:
            messages: (K, bytes of n) below n.
            index: (N,) rows of `messages`.
            by_p: (N, bytes) exponents of the randomness modulo p^2, as long as the table was made
                for.
            by_q: the same modulo q^2.

        Returns:
            (N, twice the bytes of n): (1 + m n) times the residue that is h_p^by_p modulo p^2 and
            h_q^by_q modulo q^2.
        """


class PublicEncryption(ABC):
    """A table of one public key; may be used by several threads at once."""

    @abstractmethod
    def encrypt(
        self, messages: NDArray[np.uint8], index: NDArray[np.int64], exponents: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """Ciphertexts (1 + messages[index[i]] n) h^exponents[i] modulo n^2.

        Made by `Kernel.products`, there is a base for each byte of the exponent in place of h.
        Shapes as in `OwnerEncryption.encrypt`.
        """


class Kernel(ABC):
    """One implementation."""

    name: ClassVar[str]
    """What XSTAT_KERNEL, manifests and benchmarks call it."""
    constant_time: ClassVar[bool] = True
    """Whether it can work without memory addresses that depend on secrets."""
    tables: ClassVar[bool] = True
    """Whether `products` is faster than `powers` for many numbers."""

    def check(self, constant_time: bool) -> None:
        """Check that it works as it is asked to.

        Raises:
            InputError: constant time is asked for, and this kernel has none.
        """
        if constant_time and not self.constant_time:
            raise InputError(
                f"the kernel {self.name} does not work in constant time",
                key="crypto.constant_time",
                remedy="Set it to false, or let XSTAT_KERNEL name another kernel",
            )

    @abstractmethod
    def owner(self, p: Half, q: Half, workload: Workload) -> OwnerEncryption:
        """Make the tables of the key with the primes of `p` and `q`."""

    @abstractmethod
    def public(self, n: mpz, h: mpz, exponent_bits: int, workload: Workload) -> PublicEncryption:
        """Make the table of the key n with the generator h."""

    @abstractmethod
    def products(self, n: mpz, bases: Sequence[mpz]) -> PublicEncryption:
        """Make the tables of bases modulo n^2: an exponent has one byte for each of them.

        Ciphertexts are then (1 + m n) times the product of bases[i]^(byte i of the exponent).
        Memory addresses depend on exponents.
        """

    @abstractmethod
    def powers(
        self, rows: NDArray[np.uint8], exponent: mpz, modulus: mpz, constant_time: bool = False
    ) -> NDArray[np.uint8]:
        """rows[i]^exponent modulo `modulus`: the work of decryption.

        Args:
            rows: (N, width).
            exponent: above 0.
            modulus: odd, of half as many bytes as a row.
            constant_time: no memory address depends on the exponent.

        Returns:
            (N, width / 2).
        """

    def decrypt(
        self, rows: NDArray[np.uint8], p: mpz, q: mpz, constant_time: bool = False
    ) -> NDArray[np.uint8]:
        """Messages of ciphertexts of the key with the primes `p` and `q`, by `powers`.

        Args:
            rows: (N, width) numbers below n^2 and coprime to n: each is a ciphertext.
            p: one prime.
            q: the other, of as many bits.
            constant_time: no memory address depends on the primes.

        Returns:
            (N, width / 2).
        """
        u, v = (_logarithms(self, rows, prime, p * q, constant_time) for prime in (p, q))
        inverse = invert(p, q)
        return to_rows(
            [a + p * ((b - a) * inverse % q) for a, b in zip(u, v, strict=True)],
            rows.shape[1] // 2,
        )

    @abstractmethod
    def accumulate(
        self,
        rows: NDArray[np.uint8],
        index: NDArray[np.int64],
        edges: NDArray[np.int64],
        modulus: mpz,
    ) -> NDArray[np.uint8]:
        """Multiply segments modulo `modulus`: rows[index[i]] for edges[s] <= i < edges[s + 1].

        Args:
            rows: (M, width) below the modulus, as many bytes as it has.
            index: (K,) rows.
            edges: (S + 1,) from 0 to K, rising: no segment is empty.
            modulus: odd.

        Returns:
            (S, width).
        """

    def oprf_mark(
        self, key: bytes, items: NDArray[np.uint8], capacity: int, columns: range
    ) -> NDArray[np.uint64]:
        """Columns of ones, with a zero at the position of every item in each of them.

        The positions of an item in the columns 4g to 4g + 3 are the four little-endian 32-bit words
        of AES-128(item XOR g), where g is the lowest of four such words, each times the capacity
        and over 2^32, rounded down.

        Args:
            key: of AES, 16 bytes.
            items: (n, 16).
            capacity: positions of a column, 1 to 2^31.
            columns: consecutive; both ends are multiples of 8.

        Returns:
            (columns, capacity / 64, rounded up): bit p % 64 of word p // 64 is position p. The bits
            behind the last position are ones.
        """
        return numpy_oprf.mark(key, items, capacity, columns)

    def oprf_rows(
        self, key: bytes, items: NDArray[np.uint8], matrix: NDArray[np.uint64], capacity: int
    ) -> NDArray[np.uint8]:
        """The bits of each item: of every column the one at its position.

        Args:
            key: as in `oprf_mark`.
            items: as in `oprf_mark`.
            matrix: (w, words) all columns, in the form of `oprf_mark`; w is a multiple of 8.
            capacity: as in `oprf_mark`.

        Returns:
            (n, w / 8): bit c % 8 of byte c // 8 is that of column c.
        """
        return numpy_oprf.rows(key, items, matrix, capacity)

    def oprf_pad(
        self, matrix: NDArray[np.uint64], keys: NDArray[np.uint8], bin: int
    ) -> NDArray[np.uint64]:
        """XOR every column with the key stream of its key, AES-128 in counter mode.

        Args:
            matrix: (w, words) columns, contiguous; it is changed.
            keys: (w, 16).
            bin: the first 8 bytes of every counter block, whose last 8 count from 0; both are
                big-endian.

        Returns:
            The matrix.
        """
        return numpy_oprf.pad(matrix, keys, bin)

    def sha512(
        self, prefix: bytes, rows: NDArray[np.uint8], lengths: NDArray[np.int64], size: int
    ) -> NDArray[np.uint8]:
        """The first bytes of SHA-512(prefix || text) for many texts.

        Args:
            prefix: what all texts begin with.
            rows: (N, width) the texts, one in a row.
            lengths: (N,) how many bytes of each row are the text.
            size: bytes of each hash, 1 to 64.

        Returns:
            (N, size).
        """
        return hashed_texts.hashed(prefix, rows, lengths, size)


def _logarithms(
    kernel: Kernel, rows: NDArray[np.uint8], prime: mpz, n: mpz, constant_time: bool
) -> list[mpz]:
    """Messages modulo the prime: (c^(prime - 1) - 1) / prime, over what the message 1 gives."""
    square = prime * prime
    scale = invert((powmod(1 + n, prime - 1, square) - 1) // prime, prime)
    powers = from_rows(kernel.powers(rows, prime - 1, square, constant_time))
    return [(power - 1) // prime * scale % prime for power in powers]
