"""Opens files of a table as bytes, and those of text as UTF-8 whatever encoding they have.

Nothing is guessed: text is UTF-8, or what a byte-order mark says, or what the setting `encoding`
says where there is none.
"""

from __future__ import annotations

import codecs
import io
import os
from typing import Protocol

import pyarrow as pa

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_files import TableFile

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte-order marks; that of UTF-16 is the beginning of one of UTF-32."""
_LONGEST_MARK = 4
_AHEAD_BYTES = 1 << 22
_UNMARKED = ("utf-16", "utf-32")
"""Encodings that need a byte-order mark."""
_BINARY = (
    (b"PK\x03\x04", "a ZIP archive or a workbook of a spreadsheet", "Export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "a workbook of a spreadsheet", "Export it as CSV"),
    (b"\x1f\x8b", "compressed", "Let its name end with .gz"),
    (b"\x28\xb5\x2f\xfd", "compressed", "Let its name end with .zst"),
    (b"BZh", "compressed", "Let its name end with .bz2"),
    (b"\xfd7zXZ", "compressed by xz", "Decompress it, or use .gz, .zst or .bz2"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "Decompress it, or use .gz, .zst or .bz2"),
    (b"%PDF", "a PDF document", "Export the table as CSV"),
    (b"PAR1", "Parquet", "Let its name end with .parquet"),
    (b"ORC", "ORC", "Let its name end with .orc"),
    (b"ARROW1", "an Arrow file", "Let its name end with .arrow"),
)
"""Beginnings of files that hold no text."""


class OtherEncodingError(InputError):
    """A whole file has another encoding than the one that was set; no row is to blame."""


class Bytes(Protocol):
    """Gives bytes one after the other."""

    def read(self, size: int, /) -> bytes:
        """Read at most `size` bytes; none are left where there are none."""
        ...


def open_bytes(file: TableFile) -> pa.NativeFile:
    """Open a file for reading at any place.

    Raises:
        OSError: it is gone, or may not be read.
    """
    if file.content is not None:
        return pa.BufferReader(file.content)
    if file.path.is_local:
        # A name of a disk is bytes, and not all of them are UTF-8.
        return pa.OSFile(os.fsencode(file.path))
    return file.path.filesystem.open_input_file(file.path.inside)


def _open_stream(file: TableFile, ahead: int) -> pa.NativeFile:
    """Open a file for reading from its beginning, `ahead` bytes at a time from an object store."""
    if file.is_near:
        return open_bytes(file)
    return file.path.filesystem.open_input_stream(
        file.path.inside, compression=None, buffer_size=ahead
    )


def open_text(file: TableFile, ahead: int = _AHEAD_BYTES) -> Utf8Stream:
    """Open a file of text from its beginning, as UTF-8 without a byte-order mark.

    Args:
        file: the file.
        ahead: bytes that an object store is asked for at a time.

    Raises:
        OSError: it is gone, may not be read, or is not compressed as its name says.
        InputError: it is no text, or has not the encoding that was set.
    """
    stored = _open_stream(file, ahead)
    if file.compression is not None:
        stored = pa.CompressedInputStream(stored, file.compression)
    return Utf8Stream(stored, file)


class Utf8Stream(io.RawIOBase):
    """Text of a file as bytes of UTF-8."""

    def __init__(self, stored: Bytes, file: TableFile) -> None:
        """Look for a byte-order mark.

        Raises:
            InputError: the beginning is that of no text.
        """
        self._stored = stored
        self._file = file
        head = _first(stored, _LONGEST_MARK)
        mark, encoding = next(
            ((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", None)
        )
        self._encoding = encoding or file.options.encoding or "utf-8"
        if encoding is None:
            self._refuse_binary(head)
        self._left = head[len(mark) :]
        self._ended = False
        self._error: InputError | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._utf8: _Utf8 | None = None
        if codecs.lookup(self._encoding).name not in ("utf-8", "ascii"):
            self._decoder = codecs.getincrementaldecoder(self._encoding)()
            if not codecs.lookup(self._encoding).name.startswith("utf"):
                self._utf8 = _Utf8()
            self._left = self._decoded(self._left, final=False)

    def _refuse_binary(self, head: bytes) -> None:
        for beginning, what, remedy in _BINARY:
            if head.startswith(beginning[:_LONGEST_MARK]):
                raise InputError(
                    f"the file is {what}, not text", file=self._file.shown, remedy=remedy
                )
        if codecs.lookup(self._encoding).name in _UNMARKED:
            name = codecs.lookup(self._encoding).name
            raise InputError(
                f"the file has no byte-order mark, so {name} is not enough",
                file=self._file.shown,
                remedy=f"Set {self._file.options.setting(f'encoding={name}-le')}, or -be",
            )
        if b"\0" in head and codecs.lookup(self._encoding).name == "utf-8":
            name = "utf-16-be" if head[:1] == b"\0" else "utf-16-le"
            raise InputError(
                "the file is not UTF-8: it holds zero bytes",
                file=self._file.shown,
                remedy="If it is UTF-16 without a byte-order mark, set "
                f"{self._file.options.setting(f'encoding={name}')}",
            )

    def readable(self) -> bool:
        """Whether this can be read: it can."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer; returns the number of bytes."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        block = self.read(len(view))
        view[: len(block)] = block
        return len(block)

    def read(self, size: int = -1, /) -> bytes:
        """Read `size` bytes, or what is left.

        Raises:
            InputError: the bytes that follow have not the encoding of the file.
            OSError: the file cannot be read, or is not compressed as its name says.
        """
        while len(self._left) < size and not self._ended and self._error is None:
            stored = self._stored.read(size - len(self._left))
            self._ended = not stored
            self._left += self._decoded(stored, final=self._ended) if self._decoder else stored
        if self._error is not None and not self._left:
            raise self._error
        block = self._left[:size]
        self._left = self._left[size:]
        return block

    def _decoded(self, stored: bytes, *, final: bool) -> bytes:
        """Decode bytes; what precedes a bad one comes first, and the error with the next read."""
        assert self._decoder is not None
        if self._utf8 is not None and self._utf8.fits(stored, final=final):
            self._error = OtherEncodingError(
                f"the file is UTF-8 from its beginning to its end, and {self._encoding} is set",
                file=self._file.shown,
                remedy=f"Remove {self._file.options.setting('encoding')}; where the table and its "
                "lists of people to leave out differ, convert one of them",
            )
        try:
            return self._decoder.decode(stored, final).encode()
        except UnicodeDecodeError as error:
            self._error = self._error or InputError(
                f"the text is not {self._encoding}",
                file=self._file.shown,
                remedy=f"Convert the file, or set the encoding that it has, such as "
                f"{self._file.options.setting('encoding=cp932')} for files of Japanese Windows",
            )
            good = bytes(error.object[: error.start])
            return good.decode(self._encoding, errors="ignore").encode()


class _Utf8:
    """Tells whether bytes are text in UTF-8 with other letters than ASCII.

    Text in another encoding is that by accident only, as hardly any two letters of it fit.
    """

    def __init__(self) -> None:
        self._decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
        self._has_others = False

    def fits(self, stored: bytes, *, final: bool) -> bool:
        """Take the next bytes; tells with the last ones whether all are such text."""
        if self._decoder is None:
            return False
        try:
            self._decoder.decode(stored, final)
        except UnicodeDecodeError:
            self._decoder = None
            return False
        self._has_others = self._has_others or not stored.isascii()
        return final and self._has_others


def _first(stored: Bytes, size: int) -> bytes:
    head = b""
    while len(head) < size and (block := stored.read(size - len(head))):
        head += block
    return head
