"""Sorted texts, among which others are found.

Texts of digits, with or without a plus sign before them, such as phone numbers and codes of places,
stand for numbers of 64 bits that have the same order. numpy sorts and searches these many times
faster than bytes.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.util.nulls import filled

_MOST = 16
"""Characters of which a number of 64 bits has four bits each."""
_SLICE = 1 << 16
"""Texts that are worked on at a time, so that what is known of them stays in the cache."""
_EACH = np.uint64(0x0101010101010101)
"""1 in each byte; a multiple has the same in each."""
_LOW = _EACH * np.uint64(0x0F)
_HIGH = _EACH * np.uint64(0xF0)
_DIGIT = np.uint64(0x30)
"""The high half of the byte of a digit."""


def to_bytes(ids: pa.Array) -> NDArray[np.bytes_]:
    """(N,) ids, none of them null, as bytes of one width, which sort and search fast."""
    width = pc.max(pc.binary_length(ids)).as_py() or 1
    padded = pc.ascii_rpad(ids, width, "\0")
    return np.frombuffer(padded.buffers()[2] or b"", f"S{width}", len(ids), padded.offset * width)


class TextIndex:
    """Sorted and distinct texts, by number."""

    def __init__(self, texts: NDArray[np.bytes_]) -> None:
        """Take (M,) texts in the form of `to_bytes`, sorted and distinct."""
        self._texts = texts
        codes = digit_codes(texts)
        self._codes = codes.numbers if codes.known.all() else None

    def places(self, ids: pa.Array) -> NDArray[np.int32]:
        """Find texts among these.

        Args:
            ids: (N,) text; may hold nulls.

        Returns:
            (N + 1,) number of each, -1 for null and for what is not there. The last entry is -1
            too, so that the code -1 of a null in a dictionary finds it.
        """
        found = np.full(len(ids) + 1, -1, np.int32)
        if ids.null_count:
            present = ids.is_valid().to_numpy(zero_copy_only=False)
            found[:-1][present] = self.find(to_bytes(ids.drop_null()))
        else:
            found[:-1] = self.find(to_bytes(ids))
        return found

    def places_as_written(self, ids: pa.Array) -> NDArray[np.int32]:
        """Find texts among these, which are normal forms, without bringing them to theirs.

        A normal form is its own normal form, so what stands here as it is written need not be
        looked at any closer.

        Args:
            ids: (N,) text; may hold nulls, and what has no normal form.

        Returns:
            (N + 1,) as from `places`, -1 for what is not here as it is written.
        """
        found = np.full(len(ids) + 1, -1, np.int32)
        # Any text may be longer than all of these, and what ends with NUL is none of them.
        lengths = filled(pc.binary_length(ids), 0).to_numpy(zero_copy_only=False)
        short = np.flatnonzero((lengths > 0) & (lengths <= self._texts.dtype.itemsize))
        written = to_bytes(ids if len(short) == len(ids) else ids.take(pa.array(short)))
        whole = np.char.str_len(written) == lengths[short]
        found[short] = np.where(whole, self.find(written), np.int32(-1))
        return found

    def find(self, wanted: NDArray[np.bytes_]) -> NDArray[np.int32]:
        """(N,) number of each text, -1 for what is not there."""
        if not len(self._texts):
            return np.full(len(wanted), -1, np.int32)
        if self._codes is None:
            place = np.searchsorted(self._texts, wanted)
            place[place == len(self._texts)] = 0
            known = self._texts[place] == wanted
        else:
            codes = digit_codes(wanted)
            place = np.searchsorted(self._codes, codes.numbers)
            place[place == len(self._texts)] = 0
            known = codes.known & (self._codes[place] == codes.numbers)
        return np.where(known, place, -1).astype(np.int32)


class DigitCodes:
    """Numbers that have the order of the texts that they stand for."""

    def __init__(self, numbers: NDArray[np.uint64], known: NDArray[np.bool_]) -> None:
        self.numbers = numbers
        """(N,)"""
        self.known = known
        """(N,) whether a number stands for the text; elsewhere it means nothing."""


def digit_codes(texts: NDArray[np.bytes_]) -> DigitCodes:
    """Turn texts into numbers: those of at most 16 characters, digits but for a plus at the front.

    Different texts have different numbers, and of two texts the one whose bytes come first has the
    smaller number.
    """
    numbers = np.zeros(len(texts), np.uint64)
    known = np.zeros(len(texts), bool)
    for start in range(0, len(texts), _SLICE):
        part = texts[start : start + _SLICE]
        words = part.astype(f"S{_MOST}").view(">u8").astype(np.uint64)
        first = words[::2].copy()
        plus = first >> np.uint64(56) == ord("+")
        # A plus counts as a zero, and then as one less.
        first ^= plus * (np.uint64(ord("+") ^ ord("0")) << np.uint64(56))
        high, high_known = _halved(first)
        low, low_known = _halved(words[1::2].copy())
        numbers[start : start + _SLICE] = (high << np.uint64(32) | low) - (plus * _PLUS)
        known[start : start + _SLICE] = high_known & low_known
    if texts.dtype.itemsize > _MOST:
        known &= np.char.str_len(texts) <= _MOST
    return DigitCodes(numbers, known)


_PLUS = np.uint64(1 << 60)


def _halved(words: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Turn each byte into four bits: nothing (NUL) into 0, and the digits into 2 to 11.

    Args:
        words: (N,) eight characters each, the first in the highest byte.

    Returns:
        (N,) numbers of 32 bits, and whether the characters were digits or nothing.
    """
    there = words >> np.uint64(5) & _EACH
    low = words & _LOW
    wrong = (words & _HIGH) ^ (there * _DIGIT)
    wrong |= low & ~(there * np.uint64(0x0F))
    # 10 and more go over 15.
    wrong |= (low + _EACH * np.uint64(6)) & (_EACH * np.uint64(0x10))
    halves = low + (there << np.uint64(1))
    for bits, mask in _MASKS:
        halves = (halves | halves >> np.uint64(bits)) & np.uint64(mask)
    return halves, wrong == 0


_MASKS = ((4, 0x00FF00FF00FF00FF), (8, 0x0000FFFF0000FFFF), (16, 0x00000000FFFFFFFF))
"""Bits by which neighbours move together, and where they are then."""
