"""Tags: 16-byte pseudonyms of (person, period), and the order in which they travel."""

from __future__ import annotations

from enum import IntEnum
from itertools import pairwise

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from xstat_ray.crypto.oprf import PERSON_KEY_BYTES
from xstat_ray.errors import ProtocolError
from xstat_ray.util.arrays import gathered
from xstat_ray.util.threads import each_in_threads, each_slice, thread_count

TAG_BYTES = 16
MAX_PERIODS = 1 << 24
"""Where rows of one person in one period get tags of their own, the last 4 bytes of a block are the
period (24 bits) and the number of the row (8 bits)."""
MAX_COPIES = 255
"""Row numbers go from 0 to 254; 255 is kept for dummies."""
_SLICE_ROWS = 1 << 14
_LAST_WORD = (1 << 64) - 1
_LEAST_ROWS = 1 << 16
"""Rows below which it is not worth the while to sort them in two threads."""


def tags(
    key: bytes,
    person_keys: NDArray[np.uint8],
    person: NDArray[np.int32],
    period: NDArray[np.uint32],
) -> NDArray[np.uint8]:
    """Tag every row: AES-128 under `key` of (12-byte person key || little-endian uint32 period).

    Args:
        key: K, 16 bytes.
        person_keys: (P, 12) uint8.
        person: (N,) int32, the row of `person_keys` that each row belongs to.
        period: (N,) uint32.

    Returns:
        (N, 16) uint8.

    Raises:
        ValueError: a key or an array of another size, or a person that is not a row of
            `person_keys`.
    """
    _check(key, person_keys, person, period)
    rows = len(person)
    templates = np.zeros((len(person_keys), TAG_BYTES), dtype=np.uint8)
    templates[:, :PERSON_KEY_BYTES] = person_keys
    whole = templates.view(f"V{TAG_BYTES}")[:, 0]
    # update_into asks for the room of another block at the end.
    out = np.empty(rows * TAG_BYTES + TAG_BYTES - 1, dtype=np.uint8)

    def encrypt(part: slice) -> None:
        # ECB over distinct blocks is exactly a batch of calls to the block cipher as a
        # pseudorandom permutation. Equal blocks are the same person in the same period, and their
        # tags are meant to be equal.
        cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        blocks = np.empty(min(part.stop - part.start, _SLICE_ROWS), dtype=whole.dtype)
        for start in range(part.start, part.stop, _SLICE_ROWS):
            stop = min(start + _SLICE_ROWS, part.stop)
            block = blocks[: stop - start]
            # Bounds were checked above; any mode but "raise" lets take write straight into `block`.
            np.take(whole, person[start:stop], out=block, mode="clip")
            block.view("<u4").reshape(-1, 4)[:, 3] = period[start:stop]
            cipher.update_into(block.view(np.uint8).data, out[start * TAG_BYTES :].data)

    each_slice(encrypt, rows)
    return out[: rows * TAG_BYTES].reshape(rows, TAG_BYTES)


def _check(
    key: bytes,
    person_keys: NDArray[np.uint8],
    person: NDArray[np.int32],
    period: NDArray[np.uint32],
) -> None:
    if (
        len(key) != 16
        or person_keys.ndim != 2
        or person_keys.shape[1] != PERSON_KEY_BYTES
        or len(person) != len(period)
    ):
        raise ValueError(
            "tags take a 16-byte key, (P, 12) person keys, and a person and a period for each row"
        )
    if len(person) and not 0 <= person.min() <= person.max() < len(person_keys):
        raise ValueError("a row belongs to no person")


class Dummy(IntEnum):
    """Kinds of dummies, by the last 4 bytes of their blocks, which no real row has."""

    MATCHED = (1 << 32) - 1
    """Row and flag that meet."""
    ROW = (1 << 32) - 2
    FLAG = (1 << 32) - 3


def with_copy(period: NDArray[np.uint32], copy: NDArray[np.integer]) -> NDArray[np.uint32]:
    """(N,) the last 4 bytes of the blocks of rows told apart by 0 <= `copy` < `MAX_COPIES`."""
    return period | copy.astype(np.uint32) << np.uint32(24)


def dummy_tags(key: bytes, kind: Dummy, batch: int, numbers: range) -> NDArray[np.uint8]:
    """(N, 16) tags of dummies of a batch, by their numbers.

    Their blocks are (uint32 batch || uint64 number || uint32 kind), all different from each other
    and from every real row's, and so are the tags, as AES is a permutation.
    """
    count = len(numbers)
    blocks = np.zeros((count, PERSON_KEY_BYTES), np.uint8)
    words = blocks.view("<u4")
    dummy = np.arange(numbers.start, numbers.stop, dtype=np.uint64)
    words[:, 0] = batch
    words[:, 1] = dummy & np.uint64(0xFFFFFFFF)
    words[:, 2] = dummy >> np.uint64(32)
    return tags(key, blocks, np.arange(count, dtype=np.int32), np.full(count, kind, np.uint32))


def sort_order(tags: NDArray[np.uint8], ties: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The stable order of rows by tag, then by `ties` (the blinded cell): (N,) int64 row numbers.

    Tags are ordered as pairs of little-endian uint64: by the first 8 bytes, then by the last 8.
    numpy sorts values ten times faster than it sorts indexes, so the row number rides in the low
    bits of the first word, and the rows whose remaining high bits are shared, few unless tags
    repeat, are put right afterwards.

    Raises:
        ProtocolError: `tags` is not an (N, 16) array of bytes.
    """
    first, last = _words(tags)
    low = np.uint64((1 << max(len(first) - 1, 0).bit_length()) - 1)
    packed = first & ~low
    packed |= np.arange(len(first), dtype=np.uint64)

    def order_of(least: int, most: int) -> NDArray[np.int64]:
        """The order of the rows whose first words lie between two words."""
        if (least, most) == (0, _LAST_WORD):
            mine = packed
        else:
            inside = packed >= np.uint64(least)
            inside &= packed <= np.uint64(most)
            mine = packed[inside]
        mine.sort()
        order = (mine & low).view(np.int64)
        mine &= ~low
        shared = np.zeros(len(mine) + 1, dtype=bool)
        np.equal(mine[1:], mine[:-1], out=shared[1:-1])
        run = np.flatnonzero(shared[:-1] | shared[1:])
        # Rows of different runs differ in the high bits of the first word, so one sort of them all
        # leaves each in its run.
        rows = order[run]
        order[run] = rows[np.lexsort((ties[rows], last[rows], first[rows]))]
        return order

    sections = _sections(len(first))
    return np.concatenate(each_in_threads(lambda section: order_of(*section), sections))


def _sections(rows: int) -> list[tuple[int, int]]:
    """Cut the words into sections, one for each thread that is worth its while.

    Words of different sections differ in their highest 16 bits, which no row number displaces.

    Returns:
        The least and the largest word of each.
    """
    count = min(thread_count(), max(1, rows // _LEAST_ROWS))
    edges = [(number << 16) // count << 48 for number in range(count + 1)]
    return [(least, end - 1) for least, end in pairwise(edges)]


def in_order(tags: NDArray[np.uint8], order: NDArray[np.int64]) -> NDArray[np.uint8]:
    """`tags[order]`, faster: every tag moves as one number of 16 bytes."""
    whole = np.ascontiguousarray(tags).view(np.complex128)[:, 0]
    return gathered(whole, order)[:, None].view(np.uint8)


def is_sorted(tags: NDArray[np.uint8]) -> bool:
    """Whether no tag comes before its predecessor, in the order of `sort_order`.

    Raises:
        ProtocolError: `tags` is not an (N, 16) array of bytes.
    """
    first, last = _words(tags)
    rising = first[:-1] < first[1:]
    rising |= (first[:-1] == first[1:]) & (last[:-1] <= last[1:])
    return bool(rising.all())


def _words(tags: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    if tags.dtype != np.uint8 or tags.ndim != 2 or tags.shape[1] != TAG_BYTES:
        raise ProtocolError(f"tags come as an (N, {TAG_BYTES}) array of bytes")
    words = np.ascontiguousarray(tags).view("<u8")
    return words[:, 0], words[:, 1]
