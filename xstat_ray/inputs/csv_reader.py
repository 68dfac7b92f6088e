"""Reads columns of CSV and TSV as text, with their quotes checked while they pass."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice

import pyarrow as pa
import pyarrow.csv as pa_csv

from xstat_ray.errors import InputError
from xstat_ray.inputs.csv_faults import divided
from xstat_ray.inputs.csv_quotes import QuoteCheck
from xstat_ray.inputs.table_files import TableFile
from xstat_ray.inputs.table_options import DELIMITERS
from xstat_ray.inputs.text_stream import open_text

_BLOCK_BYTES = 1 << 23
_HEAD_BYTES = 1 << 16
_HEAD_LINES = 100
"""Lines in which a header is looked for that is not the first."""
_LONGEST_HEADER = 1 << 20


def read_header(file: TableFile) -> list[str]:
    """Read the fields of the first row that is not empty.

    They may be values of a table without a header, so nothing may print them before it is known
    that they are not.

    Raises:
        OSError: the file cannot be read.
        InputError: it is empty, is no text, or its first row is not UTF-8 or not CSV.
    """
    stream = open_text(file, _HEAD_BYTES)
    head = b""
    while len(head) < _LONGEST_HEADER:
        block = stream.read(_HEAD_BYTES)
        head += block
        # A piece of a row is no row, unless nothing follows.
        end = len(head) if not block else max(head.rfind(b"\n"), head.rfind(b"\r")) + 1
        names = _first_row(head[:end], file, ended=not block)
        if names is not None:
            return names
        if not block:
            raise InputError(
                "the file is empty", file=file.shown, remedy="Check that the export was complete"
            )
    raise InputError(
        f"the header has more than {_LONGEST_HEADER:,} bytes",
        file=file.shown,
        remedy="Check that it is CSV, and that its quotes are closed",
    )


def _first_row(head: bytes, file: TableFile, *, ended: bool) -> list[str] | None:
    text = io.StringIO(head.decode(errors="surrogateescape"), newline="")
    rows = csv.reader(text, delimiter=file.delimiter, strict=True)
    try:
        names = next((row for row in rows if row), None)
    except csv.Error:
        if not ended and len(head) < _LONGEST_HEADER:
            return None
        raise InputError(
            "the quotes of the header are not as CSV asks",
            file=file.shown,
            remedy="Close them; inside a quoted name a quote is written twice",
        ) from None
    try:
        "".join(names or ()).encode()
    except UnicodeEncodeError:
        raise InputError(
            "the header is not UTF-8", file=file.shown, remedy=file.options.encoding_remedy
        ) from None
    return names


def csv_batches(
    file: TableFile, header: Sequence[str], columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Stream columns as text; the empty text is null.

    Args:
        file: a CSV or TSV file.
        header: its header.
        columns: columns to read, each of them once in the header; none gives the rows alone.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: a row has another number of fields than the header.
        InputError: the quotes are not as they should be, or the text has not its encoding.
    """
    read = list(columns) or [_alone(header)]
    multiline = file.options.multiline == "allow"
    check = QuoteCheck(file.delimiter, len(header), multiline=multiline)
    names: Sequence[str] | None = None
    for block in check.blocks(open_text(file), _BLOCK_BYTES):
        if block.strip(b"\r\n"):
            # Read here and not by a stream of Arrow, whose threads would call Python even while
            # it ends.
            for batch in _parsed(_ended(block), names, file.delimiter, read):
                yield batch.select(list(columns))
            names = header


def _ended(block: bytes) -> bytes:
    """A block whose last row has its end; Arrow takes a header without one for damage."""
    return block if block.endswith((b"\n", b"\r")) else block + b"\n"


def _parsed(
    block: bytes, names: Sequence[str] | None, delimiter: str, columns: list[str]
) -> list[pa.RecordBatch]:
    """Parse a block of whole rows; without `names` it begins with the header."""
    table = pa_csv.read_csv(
        pa.py_buffer(block),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        read_options=pa_csv.ReadOptions(block_size=len(block) + 1, column_names=names),
        convert_options=pa_csv.ConvertOptions(
            include_columns=columns,
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            # Checked later, where the row of the first bad value can be told.
            check_utf8=False,
        ),
    )
    batches: list[pa.RecordBatch] = table.to_batches()
    return batches


def later_header(file: TableFile, columns: Sequence[str]) -> int | None:
    """Number of the line, from 1, of a header that stands below other lines; None without one.

    Raises:
        OSError: the file cannot be read.
        InputError: it is no text.
    """
    head = open_text(file, _HEAD_BYTES).read(_HEAD_BYTES).decode(errors="replace")
    rows = csv.reader(io.StringIO(head, newline=""), delimiter=file.delimiter)
    try:
        for row in islice(rows, _HEAD_LINES):
            if set(columns) <= set(row):
                return rows.line_num
    except csv.Error:
        pass
    return None


def _alone(header: Sequence[str]) -> str:
    """A name that the header has once, or the first."""
    return next((name for name in header if header.count(name) == 1), header[0])


def other_delimiter(file: TableFile, header: Sequence[str], columns: Sequence[str]) -> str | None:
    """Name another delimiter by which the header has some of the columns; None if none does."""
    text = file.delimiter.join(header)
    for name, delimiter in DELIMITERS.items():
        if delimiter != file.delimiter and set(divided(text, delimiter)) & set(columns):
            return name
    return None
