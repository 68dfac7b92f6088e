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
from gmpy2 import gcd, mpz
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.fixed_base import uniform_below
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import ProtocolError
from xstat_ray.util.threads import in_threads

SEED_BYTES = 32
"""Bytes of a mask seed."""
EXCESS_BYTES = 16
"""Numbers that are reduced modulo n are drawn with so many bytes more than n has, which makes them
uniform up to 2^-128."""
_LEAST_ROWS = 8
"""Masks of a thread: each takes milliseconds."""
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

    def __init__(self, public: PublicKey, planned: int) -> None:
        """Prepare for about `planned` encryptions; threads may share it."""
        self._public = public
        self._planned = planned

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
        rho = _uniform_units(public, len(numbers)) if randomness is None else randomness
        if rho.dtype != np.uint8 or rho.shape != (len(numbers), public.width // 2):
            raise ValueError(f"randomness is a row of {public.width // 2} bytes for each number")
        return in_threads(
            lambda part: _encrypt(public, numbers[part], rho[part]), len(numbers), _LEAST_ROWS
        )


def _encrypt(
    public: PublicKey, numbers: Sequence[mpz], rho: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    n = public.n
    # The kernels take rows of twice as many bytes as the modulus has.
    bases = np.zeros((len(rho), 2 * public.width), np.uint8)
    bases[:, : rho.shape[1]] = rho
    residues = from_rows(kernel().powers(bases, n, public.n2))
    products = [
        (1 + number * n) * residue % public.n2
        for number, residue in zip(numbers, residues, strict=True)
    ]
    return to_rows(products, public.width)


def _uniform_units(public: PublicKey, count: int) -> NDArray[np.uint8]:
    """(count, width / 2) rows of independent uniform elements of Z*_n, from the system."""
    rows = uniform_below(int(public.n), count)
    while True:
        wrong = [row for row, value in enumerate(from_rows(rows)) if gcd(value, public.n) != 1]
        if not wrong:
            return rows
        rows[wrong] = uniform_below(int(public.n), len(wrong))


def _check_seed(seed: bytes) -> None:
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a mask seed has {SEED_BYTES} bytes")
