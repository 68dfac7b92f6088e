"""Sums of encrypted values: products of ciphertexts modulo n^2, over buffers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import ProtocolError


def accumulate(
    public: PublicKey, rows: NDArray[np.uint8], index: NDArray[np.integer], starts: NDArray[np.integer]
) -> NDArray[np.uint8]:
    """Multiply segments of rows; a row that occurs in several places is decoded once.

    Args:
        public: gives the modulus n^2.
        rows: (M, width) ciphertexts.
        index: (K,) row numbers, segment after segment.
        starts: (S,) where in `index` each segment begins, from 0, strictly ascending.

    Returns:
        (S, width) the product of the rows of each segment.

    Raises:
        ValueError: an empty segment, or segments that do not begin at 0.
        ProtocolError: a row is not a reduced, non-zero number; names it.
    """
    edges = np.append(starts, len(index))
    if len(starts) == 0 or edges[0] != 0 or (np.diff(edges) < 1).any():
        raise ValueError("segments must begin at 0 and none may be empty")
    used, place = np.unique(index, return_inverse=True)
    values = _decode(public, rows[used], used.tolist())
    n2, order, result = public.n2, place.tolist(), []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        product = values[order[start]]
        for i in order[start + 1 : end]:
            product = product * values[i] % n2
        result.append(product)
    return to_rows(result, public.width)


def multiply(public: PublicKey, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Multiply (N, width) ciphertexts pairwise, which adds what they encrypt.

    Raises:
        ProtocolError: a row is not a reduced, non-zero number; names it.
    """
    n2 = public.n2
    every = range(len(left))
    pairs = zip(_decode(public, left, every), _decode(public, right, every), strict=True)
    return to_rows([a * b % n2 for a, b in pairs], public.width)


def _decode(public: PublicKey, rows: NDArray[np.uint8], names: Iterable[int]) -> Sequence[mpz]:
    values, n2 = from_rows(rows), public.n2
    for row, value in zip(names, values, strict=True):
        if not 0 < value < n2:
            raise ProtocolError(f"row {row} is not a ciphertext: out of range")
    return values
