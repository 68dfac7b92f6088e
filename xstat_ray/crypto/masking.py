"""Masks: the row party adds a uniform number to every plaintext before anything is decrypted.

A masked ciphertext is c * (1 + M n) rho^n mod n^2, with M uniform below n and rho uniform in Z*_n.
If gcd(n, phi(n)) = 1 (`key_proof`), (M, rho) -> (1 + M n) rho^n is one to one onto Z*_{n^2}
(Paillier, EUROCRYPT 1999). The product is then uniform whatever c is, and so is what the key holder
reads from it: neither the table nor the randomness of the flags in it can be told. Powers of the
key's h would not do, as whoever makes a key in bad faith chooses h.

M comes from a seed, which is committed to and shown in the end; rho comes from the system and is
forgotten. Whoever learns rho as well as M can take the mask off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256, shake_256
from hmac import compare_digest

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.derive import EXCESS_BYTES
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.crypto.residues import ResidueProducts, base_count, residues, uniform_units
from xstat_ray.errors import ProtocolError

SEED_BYTES = 32
"""Bytes of a mask seed."""
_PAYS = 2
"""Masks for each base from which on tables pay."""
_NUMBERS = b"xstat-ray v1 mask numbers\0"
_COMMITMENT = b"xstat-ray v1 mask commitment\0"


def draw_seed() -> bytes:
    """Draw a mask seed from the system's generator."""
    return os.urandom(SEED_BYTES)


def commitment(seed: bytes) -> bytes:
    """SHA-256 of a label and the seed: binds to the seed, and shows nothing of it.

    Raises:
        ValueError: the seed has another size.
    """
    _check_seed(seed)
    return sha256(_COMMITMENT + seed).digest()


def check_commitment(committed: bytes, seed: bytes) -> None:
    """Check that a seed that is shown is the one committed to.

    Raises:
        ProtocolError: it is not.
    """
    if len(seed) != SEED_BYTES or not compare_digest(committed, commitment(seed)):
        raise ProtocolError("the mask seed is not the one that was committed to")


def mask_numbers(seed: bytes, n: mpz, rows: range) -> list[mpz]:
    """The numbers M of consecutive ciphertexts, each uniform in [0, n).

    M of row i is SHAKE-256(label, seed, i) modulo n (FIPS 202), so that any part of a table can be
    masked without the rest.

    Args:
        seed: `SEED_BYTES` bytes.
        n: the modulus of the key.
        rows: rows of the table of ciphertexts, counted over all blocks.

    Raises:
        ValueError: the seed has another size.
    """
    _check_seed(seed)
    size = -(-n.bit_length() // 8) + EXCESS_BYTES
    prefix = shake_256(_NUMBERS + seed)
    numbers = []
    for row in rows:
        stream = prefix.copy()
        stream.update(row.to_bytes(8, "little"))
        numbers.append(mpz.from_bytes(stream.digest(size), "little") % n)
    return numbers


def add(numbers: Sequence[mpz], addends: Sequence[mpz], n: mpz) -> list[mpz]:
    """Add pairwise modulo n.

    Raises:
        ValueError: not as many on both sides.
    """
    return [(number + addend) % n for number, addend in zip(numbers, addends, strict=True)]


def subtract(numbers: Sequence[mpz], subtrahends: Sequence[mpz], n: mpz) -> list[mpz]:
    """Subtract pairwise modulo n: takes masks off.

    Raises:
        ValueError: not as many on both sides.
    """
    return [(number - other) % n for number, other in zip(numbers, subtrahends, strict=True)]


class MaskEncryptor:
    """Encryption by anyone who has the public key, with randomness from all of Z*_n."""

    def __init__(self, public: PublicKey, planned: int, constant_time: bool = False) -> None:
        """Prepare for about `planned` encryptions; threads may share it.

        From some 700 to 1,100 on, by the size of the key, it draws bases and makes their tables
        (`residues`). In constant time it never does, as table look-ups depend on the randomness.
        """
        self._public = public
        many = planned > _PAYS * base_count(public.key_bits)
        tables = many and kernel().tables and not constant_time
        self._products = ResidueProducts(public) if tables else None

    def encrypt(
        self, numbers: Sequence[mpz], randomness: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Encrypt N numbers in [0, n).

        Args:
            numbers: what to encrypt.
            randomness: (N, width / 2) little-endian rows of rho, units modulo n, for tests; drawn
                afresh and forgotten by default.

        Returns:
            (N, width) ciphertexts (1 + m n) rho^n mod n^2.

        Raises:
            ValueError: a number is out of range, or the randomness has another shape.
        """
        public = self._public
        if any(not 0 <= number < public.n for number in numbers):
            raise ValueError("a number is not in [0, n)")
        if randomness is None and self._products is not None:
            return self._products.encrypt(numbers)
        rho = uniform_units(public.n, len(numbers)) if randomness is None else randomness
        if rho.dtype != np.uint8 or rho.shape != (len(numbers), public.width // 2):
            raise ValueError(f"randomness is a row of {public.width // 2} bytes for each number")
        powers = from_rows(residues(public, rho))
        pairs = zip(numbers, powers, strict=True)
        return to_rows([(1 + m * public.n) * r % public.n2 for m, r in pairs], public.width)


def _check_seed(seed: bytes) -> None:
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a mask seed has {SEED_BYTES} bytes")
