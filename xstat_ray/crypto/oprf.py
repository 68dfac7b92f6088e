"""An oblivious pseudorandom function of many ids at once, from oblivious transfer.

The multi-point OPRF of Chase and Miao ("Private set intersection in the Internet setting from
lightweight oblivious PRF", CRYPTO 2020), one run for each bin of ids. The *receiver* has a pair of
keys for each of w columns, the *sender* one key of each pair, chosen by secret bits
(`oblivious_transfer`). An id has one position in each column, by a pseudorandom function that both
know. The receiver makes a matrix D of ones with a zero at every position of its ids, and sends
D ^ G(k0) ^ G(k1) (`hidden`), where G stretches a key to a column. The sender's function F of an id
is the bits, at the id's positions, of C = G(k), in the columns of its ones XORed with what it was
sent (`evaluated`). On its ids the receiver knows F as the bits of G(k0) (`learned`), since there
D is zero and does not count.

Run in both directions, both parties have the key of a person, a hash of the bin and of the values
of both functions (`person_keys`), for their ids alone.

Security against parties that follow the protocol: the sender sees columns that are one-time pads
under the keys that it did not choose. On any other id, D has a one in each column with probability
(1 - 1/m)^n, about 1/e, so that 128 bits at least of the value hang on the sender's secret choices:
the width w sees to that except with probability 2^-40 for all ids that either party ever evaluates
(`width`). The matrix has the public capacity of a bin (`capacity`), whatever is in it, so its size
tells nothing; a bin with more ids ends the run. Streams are used once: two matrices under one
stream would show their difference. Keys are of one exchange, by the context of the oblivious
transfers, and the bin is part of the counter block.

A receiver that breaks the rules learns F on as many ids as it likes, by a matrix of zeros.
"""

from __future__ import annotations

import math
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.errors import ProtocolError
from xstat_ray.util.threads import each_in_threads, in_threads, thread_count

ITEM_BYTES = 16
PERSON_KEY_BYTES = 12
KEY_BYTES = 16
FAILURE_BITS = 40
"""A bin overflows, and a value hangs on too few secret bits, with probability 2^-40 each."""
SECRET_BITS = 128
"""Columns at least in which the value of an id hangs on a secret bit of the sender."""
LEAST_CAPACITY = 64
MAX_CAPACITY = 1 << 24
"""Positions are 32-bit numbers scaled to the capacity, which makes no two differ in probability by
more than one part in 256."""
MAX_BINS = 1 << 32
_LEAST_HASHED = 4096
"""Texts below which a thread costs more than it gives."""
_ITEM_DOMAIN = b"xstat-ray v2 item"
_PERSON_KEY_DOMAIN = b"xstat-ray v2 person key"


@cache
def capacity(items: int, bins: int) -> int:
    """Ids that a bin has room for: public, and enough except with probability 2^-40.

    The least m with bins * Pr[Binomial(items, 1 / bins) > m] <= 2^-40, and 64 at least.

    Args:
        items: the number of persons that a party announced.
        bins: among which their hashes divide them, 1 to 2^32.
    """
    low = min(items, items // bins)
    high = items
    while low < high:
        middle = (low + high) // 2
        if bins * _binomial_above(items, bins, middle) <= 2.0**-FAILURE_BITS:
            high = middle
        else:
            low = middle + 1
    return max(high, LEAST_CAPACITY)


def _binomial_above(trials: int, bins: int, bound: int) -> float:
    """Pr[Binomial(trials, 1 / bins) > bound], for a bound not below the mean."""
    first = bound + 1
    if first > trials:
        return 0.0
    log = _log_choose(trials, first) - first * math.log(bins)
    log += (trials - first) * math.log1p(-1 / bins)
    term = 1.0
    total = 0.0
    for successes in range(first, trials + 1):
        total += term
        term *= (trials - successes) / ((successes + 1) * (bins - 1))
        if term < total * 2.0**-60:
            break
    return math.exp(log) * total


@cache
def width(evaluated: int, capacity: int) -> int:
    """Columns of a matrix: the least multiple of 8 that keeps every value secret.

    At least w with evaluated * Pr[Binomial(w, (1 - 1/m)^m) < 128] <= 2^-40 (the parameter
    analysis of Chase and Miao, for a bin that is full).

    Args:
        evaluated: ids on which the parties evaluate their functions, both counted, in all bins.
        capacity: m, the positions of a column; of two, the smaller asks for more columns.
    """
    log_bound = -(FAILURE_BITS + math.log2(evaluated)) * math.log(2)
    return -(-_columns(log_bound, capacity) // 8) * 8


def _columns(log_bound: float, capacity: int) -> int:
    """Columns of which fewer than 128 count with a probability of this logarithm at most."""
    log_untouched = capacity * math.log1p(-1 / capacity)
    log_touched = math.log1p(-math.exp(log_untouched))
    columns = SECRET_BITS
    while True:
        logs = [
            _log_choose(columns, counting)
            + counting * log_untouched
            + (columns - counting) * log_touched
            for counting in range(SECRET_BITS)
        ]
        most = max(logs)
        if most + math.log(math.fsum(math.exp(log - most) for log in logs)) <= log_bound:
            return columns
        columns += 1


def _log_choose(trials: int, successes: int) -> float:
    return (
        math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
    )


def item_hashes(salt: bytes, ids: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """The items of normalised ids: the first 16 bytes of SHA-512(domain || salt || id).

    Args:
        salt: of this exchange, from the handshake; as long in every call.
        ids: (N,) without repeats.

    Returns:
        (N, 16) uint8.
    """
    rows = np.ascontiguousarray(ids).view(np.uint8).reshape(len(ids), ids.dtype.itemsize)
    lengths = np.char.str_len(ids).astype(np.int64)
    return _hashed(_ITEM_DOMAIN + salt, rows, lengths, ITEM_BYTES)


def bins_of(items: NDArray[np.uint8], bins: int) -> NDArray[np.int64]:
    """(N,) the bin of each item: its first 8 bytes, little-endian, times `bins` over 2^64.

    Bins nest: where k divides `bins`, the item's bin among k is floor(bin * k / bins).

    Args:
        items: (N, 16).
        bins: 1 to 2^32.

    Raises:
        ValueError: another number of bins.
    """
    if not 1 <= bins <= MAX_BINS:
        raise ValueError(f"there are 1 to {MAX_BINS} bins")
    words = np.ascontiguousarray(items).view("<u8")[:, 0]
    half = np.uint64(32)
    product = (words & np.uint64(0xFFFFFFFF)) * np.uint64(bins)
    product >>= half
    product += (words >> half) * np.uint64(bins)
    product >>= half
    return product.view(np.int64)


def hidden(
    position_key: bytes,
    items: NDArray[np.uint8],
    keys: NDArray[np.uint8],
    bin: int,
    capacity: int,
) -> NDArray[np.uint64]:
    """What the receiver sends: D ^ G(k0) ^ G(k1).

    Args:
        position_key: 16 bytes; both parties'.
        items: (n, 16) of the bin, different from each other.
        keys: (w, 2, 16) of this side's `OtSender`; no other matrix may be made of this bin and
            these keys.
        bin: number of the bin.
        capacity: of a bin.

    Returns:
        (w, words) uint64, little-endian, words = capacity / 64 rounded up.

    Raises:
        ProtocolError: more items than the capacity.
    """
    _check(position_key, len(keys), capacity)
    items = _within(items, capacity)
    mark = partial(kernel().oprf_mark, position_key, items, capacity)
    matrix = np.concatenate(each_in_threads(mark, _shares(len(keys))))
    _pad(matrix, keys[:, 0], bin)
    _pad(matrix, keys[:, 1], bin)
    return matrix


def learned(
    position_key: bytes,
    items: NDArray[np.uint8],
    keys: NDArray[np.uint8],
    bin: int,
    capacity: int,
) -> NDArray[np.uint8]:
    """The sender's function on the receiver's items.

    Arguments and errors as in `hidden`.

    Returns:
        (n, w / 8) uint8: the bits of G(k0) at the items' positions.
    """
    _check(position_key, len(keys), capacity)
    items = _within(items, capacity)
    matrix = np.zeros((len(keys), _words(capacity)), np.uint64)
    _pad(matrix, keys[:, 0], bin)
    return _rows(position_key, items, matrix, capacity)


def evaluated(  # noqa: PLR0917 - the message, both secrets, and what both sides know
    position_key: bytes,
    items: NDArray[np.uint8],
    matrix: NDArray[np.uint64],
    bits: NDArray[np.bool_],
    keys: NDArray[np.uint8],
    bin: int,
    capacity: int,
) -> NDArray[np.uint8]:
    """The sender's function on its own items.

    Args:
        position_key: 16 bytes; both parties'.
        items: (n, 16) of the bin.
        matrix: what the receiver sent.
        bits: (w,) the sender's choices.
        keys: (w, 16) that the choices gave.
        bin: number of the bin.
        capacity: of a bin of the receiver, whose items these need not be as few as.

    Returns:
        (n, w / 8) uint8.

    Raises:
        ProtocolError: the matrix has another shape or type.
    """
    _check(position_key, len(keys), capacity)
    items = np.ascontiguousarray(items)
    shape = (len(keys), _words(capacity))
    if matrix.shape != shape or matrix.dtype != np.dtype("<u8"):
        raise ProtocolError("a matrix of the ID exchange is not of the agreed width and capacity")
    chosen = np.where(bits[:, None], matrix, np.uint64(0))
    _pad(chosen, keys, bin)
    return _rows(position_key, items, chosen, capacity)


def person_keys(
    bin: int,
    row_function: NDArray[np.uint8],
    column_function: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """The key u of each person, from the values of both parties' functions.

    The first 12 bytes of SHA-512(domain || bin || bytes of the row party's value || that value ||
    the column party's value); both numbers are little-endian uint64.

    Args:
        bin: number of the bin.
        row_function: (n, w / 8) values of the row party's function.
        column_function: (n, w / 8) values of the column party's.

    Returns:
        (n, 12) uint8.
    """
    prefix = b"".join(n.to_bytes(8, "little") for n in (bin, row_function.shape[1]))
    both = np.concatenate([row_function, column_function], axis=1)
    lengths = np.full(len(both), both.shape[1], np.int64)
    return _hashed(_PERSON_KEY_DOMAIN + prefix, both, lengths, PERSON_KEY_BYTES)


def _hashed(
    prefix: bytes, rows: NDArray[np.uint8], lengths: NDArray[np.int64], size: int
) -> NDArray[np.uint8]:
    return in_threads(
        lambda part: kernel().sha512(prefix, rows[part], lengths[part], size),
        len(rows),
        _LEAST_HASHED,
    )


def _pad(matrix: NDArray[np.uint64], keys: NDArray[np.uint8], bin: int) -> None:
    """XOR every column with AES-128-CTR of its key.

    Counter blocks are (bin || number), both big-endian and of 8 bytes.
    """

    def pad(columns: range) -> None:
        part = slice(columns.start, columns.stop)
        kernel().oprf_pad(matrix[part], keys[part], bin)

    each_in_threads(pad, _shares(len(matrix)))


def _rows(
    position_key: bytes, items: NDArray[np.uint8], matrix: NDArray[np.uint64], capacity: int
) -> NDArray[np.uint8]:
    return in_threads(
        lambda part: kernel().oprf_rows(position_key, items[part], matrix, capacity), len(items)
    )


def _words(capacity: int) -> int:
    return -(-capacity // 64)


def _shares(columns: int) -> list[range]:
    """Consecutive columns for each thread, in eights."""
    eights = columns // 8
    count = min(thread_count(), eights)
    edges = [8 * (eights * share // count) for share in range(count + 1)]
    return list(map(range, edges[:-1], edges[1:]))


def _check(position_key: bytes, columns: int, capacity: int) -> None:
    if len(position_key) != KEY_BYTES or columns % 8 or not columns:
        raise ValueError("a position key has 16 bytes, and columns come in eights")
    if not LEAST_CAPACITY <= capacity <= MAX_CAPACITY:
        raise ValueError(f"a bin has room for {LEAST_CAPACITY} to {MAX_CAPACITY} ids")


def _within(items: NDArray[np.uint8], capacity: int) -> NDArray[np.uint8]:
    if len(items) > capacity:
        raise ProtocolError("a bin of the ID exchange holds more ids than its public capacity")
    return np.ascontiguousarray(items)
