"""Sums of encrypted values: products of ciphertexts modulo n^2, over buffers."""

from __future__ import annotations

import numpy as np
from gmpy2 import invert
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, not_above, not_zero, row_numbers, to_rows
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.paillier import PublicKey, check_group
from xstat_ray.errors import ProtocolError
from xstat_ray.util.threads import each_in_threads, thread_count

_LEAST_ROWS = 256
"""Rows of a thread: a multiplication takes microseconds."""


def accumulate(
    public: PublicKey,
    rows: NDArray[np.uint8],
    index: NDArray[np.integer],
    starts: NDArray[np.integer],
) -> NDArray[np.uint8]:
    """Multiply segments of rows.

    Args:
        public: gives the modulus n^2.
        rows: (M, width) ciphertexts.
        index: (K,) row numbers, segment after segment.
        starts: (S,) where in `index` each segment begins, from 0, strictly ascending.

    Returns:
        (S, width) the product of the rows of each segment.

    Raises:
        ValueError: an empty segment, or segments that do not begin at 0.
        IndexError: a row number is negative or too large.
        ProtocolError: a row that is used is not a reduced, non-zero number; names it.
    """
    edges = np.append(starts, len(index)).astype(np.int64)
    if len(starts) == 0 or edges[0] != 0 or (np.diff(edges) < 1).any():
        raise ValueError("segments must begin at 0 and none may be empty")
    numbers = row_numbers(index, len(rows))
    used = np.zeros(len(rows), np.bool_)
    used[numbers] = True
    _check(public, rows, used)
    return _products(public, rows, numbers, edges)


def check_reduced(public: PublicKey, rows: NDArray[np.uint8]) -> None:
    """Check that all (N, width) rows are reduced, non-zero numbers, used or not.

    It looks at the highest bytes of every row, and at the whole of the few that these leave open.

    Raises:
        ProtocolError: a row is not; names it.
    """
    if rows.shape[1] != public.width:
        raise ProtocolError("ciphertexts are of another key size")
    highest = np.ascontiguousarray(rows[:, -8:]).view("<u8")[:, 0]
    limit = int(public.n2 >> 8 * (public.width - 8))
    _check(public, rows, (highest >= limit) | (highest == 0))


def multiply(
    public: PublicKey, left: NDArray[np.uint8], right: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Multiply (N, width) ciphertexts pairwise, which adds what they encrypt.

    Raises:
        ValueError: not as many on both sides.
        ProtocolError: a row is not a reduced, non-zero number; names it.
    """
    count = len(left)
    if len(right) != count:
        raise ValueError(f"{count} ciphertexts cannot be paired with {len(right)}")
    for rows in (left, right):
        _check(public, rows, np.ones(count, np.bool_))
    pairs = np.arange(2 * count).reshape(2, count).T.ravel()
    edges = np.arange(0, 2 * count + 1, 2)
    return _products(public, np.concatenate([left, right]), pairs, edges)


def divide(
    public: PublicKey, left: NDArray[np.uint8], right: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Divide (N, width) ciphertexts pairwise, which subtracts what the right ones encrypt.

    A factor that is divided out leaves the very bytes that there would be without it.

    Raises:
        ValueError: not as many on both sides.
        ProtocolError: a row is not a ciphertext, so that nothing can be divided by it; names it.
    """
    divisors = from_rows(right)
    check_group(public, divisors)
    inverses = [invert(divisor, public.n2) for divisor in divisors]
    return multiply(public, left, to_rows(inverses, public.width))


def _products(
    public: PublicKey,
    rows: NDArray[np.uint8],
    index: NDArray[np.int64],
    edges: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Multiply segments as `Kernel.accumulate` does, in threads that have equal numbers of rows."""
    chosen = kernel()
    count = min(thread_count(), len(index) // _LEAST_ROWS)
    if count <= 1:
        return chosen.accumulate(rows, index, edges, public.n2)
    cuts = np.linspace(0, len(index), count + 1, dtype=np.int64)
    pieces = np.union1d(edges, cuts)
    places = np.searchsorted(pieces, cuts)

    def multiply_part(part: int) -> NDArray[np.uint8]:
        mine = pieces[places[part] : places[part + 1] + 1]
        numbers = index[mine[0] : mine[-1]]
        return chosen.accumulate(rows, numbers, mine - mine[0], public.n2)

    products = np.concatenate(each_in_threads(multiply_part, range(count)))
    if len(pieces) == len(edges):
        return products
    # Segments that a cut went through are in pieces, of which there are few.
    whole = np.searchsorted(pieces, edges)
    return chosen.accumulate(products, np.arange(len(products)), whole, public.n2)


def _check(public: PublicKey, rows: NDArray[np.uint8], used: NDArray[np.bool_]) -> None:
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != public.width:
        raise ProtocolError(f"ciphertexts of this key are rows of {public.width} bytes")
    wrong = used & ~(not_above(rows, public.n2 - 1) & not_zero(rows))
    if wrong.any():
        raise ProtocolError(f"row {int(np.argmax(wrong))} is not a ciphertext: out of range")
