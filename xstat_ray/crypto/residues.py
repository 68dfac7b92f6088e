"""Encryption with randomness from all n-th residues modulo n^2, many times under one public key.

A residue rho^n with uniform rho costs one power with an exponent as long as n. For many of them, k
bases g_i = x_i^n with uniform x_i are drawn once, and a residue is the product of g_i^(e_i) with
uniform bytes e_i: by tables one multiplication a base. By the leftover hash lemma all residues
together are as good as independent and uniform, up to 2^-64 for a million, whoever knows the bases
and whatever n is as long as gcd(n, phi(n)) = 1 and it has no small factor (`key_proof`).
docs/decisions/08_masks.md has the proof; `tests/crypto/test_residues.py` computes the bound.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from gmpy2 import gcd, mpz
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.fixed_base import BYTE, uniform_below
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.key_proof import LEAST_FACTOR
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.threads import in_threads

EXCESS_BITS = 168
"""Twice 84 bits: every residue is uniform up to 2^-84, so a million of them up to 2^-64."""
_LEAST_ROWS = 8
"""Rows of a thread: a power takes milliseconds."""


def base_count(key_bits: int) -> int:
    """Bases that make products uniform, for whatever modulus of `key_bits` bits has been proved.

    Their bytes must hold the entropy of the group, and there must be more bases than the group can
    have generators: no more than n has prime factors.
    """
    most_factors = 0
    while LEAST_FACTOR ** (most_factors + 1) < 1 << key_bits:
        most_factors += 1
    return max(most_factors + EXCESS_BITS, -(-(key_bits + EXCESS_BITS) // BYTE))


def uniform_units(n: mpz, count: int) -> NDArray[np.uint8]:
    """(count, bytes of n) rows of independent uniform elements of Z*_n, from the system."""
    rows = uniform_below(int(n), count)
    while True:
        wrong = [row for row, value in enumerate(from_rows(rows)) if gcd(value, n) != 1]
        if not wrong:
            return rows
        rows[wrong] = uniform_below(int(n), len(wrong))


def residues(public: PublicKey, units: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, width) n-th powers modulo n^2 of (N, width / 2) units."""
    # The kernels take rows of twice as many bytes as the modulus has.
    rows = np.zeros((len(units), 2 * public.width), np.uint8)
    rows[:, : units.shape[1]] = units
    return in_threads(
        lambda part: kernel().powers(rows[part], public.n, public.n2), len(rows), _LEAST_ROWS
    )


class ResidueProducts(Secret):
    """Bases and their tables, 43 to 175 MB; threads may share them."""

    def __init__(self, public: PublicKey) -> None:
        """Draw the bases and make the tables, which takes as long as one to two residues a base."""
        self._public = public
        self._count = base_count(public.key_bits)
        bases = from_rows(residues(public, uniform_units(public.n, self._count)))
        self._tables = kernel().products(public.n, bases)

    def encrypt(self, numbers: Sequence[mpz]) -> NDArray[np.uint8]:
        """(N, width) ciphertexts (1 + m n) times a fresh residue, of N numbers in [0, n)."""
        messages = to_rows(numbers, self._public.width // 2)
        index = np.arange(len(numbers))
        exponents = np.frombuffer(os.urandom(len(numbers) * self._count), np.uint8)
        exponents = exponents.reshape(len(numbers), self._count)
        return in_threads(
            lambda part: self._tables.encrypt(messages, index[part], exponents[part]), len(numbers)
        )
