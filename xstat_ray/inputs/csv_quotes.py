"""Cuts CSV into blocks of whole rows, and finds quotes that would swallow rows.

A quote that is never closed, or closed by one that was meant for something else, makes one field of
all rows between, and the parser takes it without a word. RFC 4180 (section 2) is what is checked: a
quote opens a field at its beginning only, is written twice inside, and what follows the closing
one is a delimiter or the end of the row. A quote inside a field that has none at its beginning is
a character as any other, as all readers take it. A quoted field that spans lines and holds just as
many delimiters as whole rows would is refused too, unless the table's settings allow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.inputs.text_stream import Bytes

_QUOTE = 0x22
_LF = 0x0A
_CR = 0x0D
_SPACE = 0x20
_LONGEST_ROW = 1 << 26
"""Bytes of the longest row; a quote that is not closed within them is taken for a stray one."""

_Places = NDArray[np.int64]


class _Fields(NamedTuple):
    """The quoted fields of a part of a file that begins with a row."""

    first: _Places
    """(F,) places of the quotes that open fields."""
    last: _Places
    """(F,) places of those that close them."""
    stop: int
    """Where a field begins that is not closed yet, or the length of the part."""


class QuoteCheck:
    """Cuts CSV into blocks of whole rows, and stops where quotes are not as RFC 4180 asks."""

    def __init__(self, delimiter: str, width: int, *, multiline: bool) -> None:
        """Start with no file.

        Args:
            delimiter: the character that divides fields.
            width: number of fields of the header.
            multiline: whether a quoted field may span lines even if it could be whole rows.
        """
        self._delimiter = ord(delimiter)
        self._width = width
        self._multiline = multiline
        self._newline = 0
        self._ends = np.zeros(256, bool)
        """By byte, whether it may follow the quote that closes a field."""
        self._ends[[self._delimiter, _LF, _CR]] = True

    def blocks(self, stream: Bytes, size: int) -> Iterator[bytes]:
        """Yield all bytes of a file in blocks that end with a row.

        Args:
            stream: the file from its beginning, as UTF-8.
            size: bytes that are read at a time; a block has about as many.

        Raises:
            InputError: quotes are not as they should be; where, `csv_faults` finds.
        """
        rest = b""
        while block := stream.read(size):
            part = rest + block
            end = self._end_of_rows(part)
            rest = part[end:]
            if len(rest) > _LONGEST_ROW:
                raise _faulty()
            if end:
                yield part[:end]
        if rest:
            self._check(np.frombuffer(rest, np.uint8), ended=True)
            yield rest

    def _end_of_rows(self, part: bytes) -> int:
        if not self._newline:
            self._newline = _LF if b"\n" in part or b"\r" not in part else _CR
        if b'"' in part:
            return self._check(np.frombuffer(part, np.uint8), ended=False)
        return part.rfind(self._newline) + 1

    def _check(self, part: NDArray[np.uint8], *, ended: bool) -> int:
        """Check the quotes of a part; returns where the last row ends that is complete."""
        quotes = np.flatnonzero(part == _QUOTE)
        fields = self._by_parity(part, quotes, ended)
        if fields is None:
            fields = self._by_search(part, quotes, ended)
        if ended and fields.stop < len(part):
            raise _faulty()
        lines = np.flatnonzero(part[: fields.stop] == self._newline)
        inside = np.searchsorted(fields.first, lines) - np.searchsorted(fields.last, lines)
        if inside.any() and not self._multiline:
            self._check_lines(part, fields, lines[inside > 0])
        rows = lines[inside == 0]
        return int(rows[-1]) + 1 if len(rows) else 0

    def _by_parity(self, part: NDArray[np.uint8], quotes: _Places, ended: bool) -> _Fields | None:
        """Take every second quote for one that closes; None where that is not how they stand."""
        opens = quotes[0::2]
        closes = quotes[1::2]
        if len(closes) and closes[-1] == len(part) - 1 and not ended:
            # What follows is not known yet.
            closes = closes[:-1]
        before = part[opens - 1]
        may_open = self._ends[before] | (before == _QUOTE)
        may_open[opens == 0] = True
        after = part[np.minimum(closes + 1, len(part) - 1)]
        may_close = self._ends[after] | (after == _QUOTE) | (closes == len(part) - 1)
        if not (may_open.all() and may_close.all()):
            return None
        pairs = len(closes)
        # Two quotes in a row stand for one inside a field, which goes on.
        ends = opens[1 : pairs + 1] != closes[: max(len(opens) - 1, 0)] + 1
        first = opens[np.concatenate([[True], ends])[: len(opens)]]
        last = closes[np.concatenate([ends, np.ones(pairs - len(ends), bool)])]
        stop = len(part) if len(first) == len(last) else int(first[-1])
        return _Fields(first[: len(last)], last, stop)

    def _by_search(self, part: NDArray[np.uint8], quotes: _Places, ended: bool) -> _Fields:
        """Follow the quotes one by one.

        Raises:
            InputError: one is where none may be.
        """
        first = list[int]()
        last = list[int]()
        opened = -1
        at = 0
        places = quotes.tolist()
        while at < len(places):
            place = places[at]
            at += 1
            if opened < 0:
                if self._opens(part, place):
                    opened = place
            elif at < len(places) and places[at] == place + 1:
                at += 1
            elif place == len(part) - 1 and not ended:
                break
            elif place < len(part) - 1 and not self._ends[part[place + 1]]:
                raise _faulty()
            else:
                first.append(opened)
                last.append(place)
                opened = -1
        stop = len(part) if opened < 0 else opened
        return _Fields(np.array(first, np.int64), np.array(last, np.int64), stop)

    def _opens(self, part: NDArray[np.uint8], place: int) -> bool:
        """Whether a quote stands at the beginning of a field, and not in the middle of one."""
        before = place - 1
        while before >= 0 and part[before] == _SPACE:
            before -= 1
        begins = before < 0 or bool(self._ends[part[before]])
        if begins and before < place - 1:
            raise _faulty()
        return begins

    def _check_lines(self, part: NDArray[np.uint8], fields: _Fields, lines: _Places) -> None:
        """Refuse fields with as many delimiters as the rows would have that their lines make."""
        delimiters = np.flatnonzero(part == self._delimiter)
        spans = np.unique(np.searchsorted(fields.last, lines))
        first = fields.first[spans]
        last = fields.last[spans]
        ends = np.searchsorted(lines, last) - np.searchsorted(lines, first)
        found = np.searchsorted(delimiters, last) - np.searchsorted(delimiters, first)
        if (found == ends * (self._width - 1)).any():
            raise _faulty()


def _faulty() -> InputError:
    """Make the error that says that something is wrong; `csv_faults` finds where."""
    return InputError("the quotes are not as CSV asks")
