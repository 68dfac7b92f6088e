"""Finds where a CSV file goes wrong, once it is known that it does; no message repeats a value."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_files import TableFile
from xstat_ray.inputs.table_options import DELIMITERS
from xstat_ray.inputs.text_stream import OtherEncodingError, open_text

_QUOTE = '"'
_ENDS = "\r\n"
_CLOSE = 'Close it; inside a quoted text a quote is written twice ("")'
_FAULTS = {
    "open": ("a quote that opens a field here is never closed", _CLOSE),
    "after": ("text follows the quote that closes a field", _CLOSE),
    "space": ("a space stands before the quote that opens a field", "Remove the space"),
    "rows": (
        "a quoted field spans lines and holds what could be whole rows",
        "Look for a quote that is not closed. If it is a text with line breaks, set {setting}",
    ),
}


class _Lines:
    """The lines of a file, and those of the row that is being read."""

    def __init__(self, file: TableFile) -> None:
        self._text = io.TextIOWrapper(
            io.BufferedReader(open_text(file)), encoding="utf-8", errors="replace", newline=""
        )
        self.row = list[str]()

    def __iter__(self) -> Iterator[str]:
        for line in self._text:
            self.row.append(line)
            yield line


def find_fault(file: TableFile, header: Sequence[str]) -> InputError | None:
    """Find the first row that is not as the header and RFC 4180 ask; None if there is none.

    Args:
        file: a CSV or TSV file.
        header: its header, which is known to be one.

    Raises:
        OSError: the file cannot be read to its end.
    """
    lines = _Lines(file)
    rows = csv.reader(lines, delimiter=file.delimiter, strict=True)
    number = -1
    try:
        for row in rows:
            if row:
                number += 1
                fault = _fault_of(row, lines.row, file, header)
                if fault is not None:
                    return fault.at(file, max(number, 0))
            lines.row.clear()
    except csv.Error:
        return _Fault(*_scan("".join(lines.row), file.delimiter), header).at(file, number + 1)
    except OtherEncodingError as error:
        return error
    except InputError as error:
        # The text has not the encoding that it should have.
        return InputError(error.problem, file=error.file, row=number + 1, remedy=error.remedy)
    return None


class _Fault:
    """What is wrong with a row."""

    def __init__(
        self, kind: str, field: int, header: Sequence[str], said: tuple[str, str] | None = None
    ) -> None:
        self._problem, self._remedy = said or _FAULTS[kind]
        self._column = header[field] if 0 <= field < len(header) else None

    def at(self, file: TableFile, row: int) -> InputError:
        """Make the error for a row of a file; the header is row 0."""
        return InputError(
            self._problem,
            file=file.shown,
            column=self._column,
            row=row or None,
            remedy=self._remedy.replace("{setting}", file.options.setting("multiline=allow")),
        )


def _fault_of(
    row: Sequence[str], lines: Sequence[str], file: TableFile, header: Sequence[str]
) -> _Fault | None:
    if len(row) != len(header):
        return _Fault("ragged", -1, header, _ragged(row, "".join(lines), file, len(header)))
    for number, field in enumerate(row):
        if field[:1] == " " and field.lstrip(" ")[:1] == _QUOTE:
            return _Fault("space", number, header)
        ends = field.count("\n") or field.count("\r")
        could_be_rows = ends and field.count(file.delimiter) == ends * (len(header) - 1)
        if could_be_rows and file.options.multiline == "stop":
            return _Fault("rows", number, header)
    return None


def _ragged(row: Sequence[str], text: str, file: TableFile, width: int) -> tuple[str, str]:
    problem = (
        f"the row has another number of fields than the header has, {len(row)} in place of {width}"
    )
    for name, other in DELIMITERS.items():
        if other != file.delimiter and width > 1 and len(divided(text, other)) == width:
            here = named_delimiter(file.delimiter)
            return (
                f"{problem}: it is divided by a {name}, the header by {here}",
                "Write all rows with one delimiter",
            )
    return problem, "Put texts that hold the delimiter in quotes, or write the file again"


def named_delimiter(delimiter: str) -> str:
    """What people call a delimiter."""
    name = next((name for name, mark in DELIMITERS.items() if mark == delimiter), None)
    return "the delimiter that is set" if name is None else f"a {name}"


def divided(text: str, delimiter: str) -> list[str]:
    """Divide a row into its fields; none where its quotes are not closed."""
    try:
        return next(
            csv.reader(io.StringIO(text.rstrip(_ENDS), newline=""), delimiter=delimiter), []
        )
    except csv.Error:
        return []


def _scan(text: str, delimiter: str) -> tuple[str, int]:
    """Find the kind of the fault of a row's quotes, and the number of the field that has it."""
    field = 0
    state = "begin"
    for letter in text:
        if state == "quoted":
            state = "closed" if letter == _QUOTE else "quoted"
        elif state == "closed" and letter == _QUOTE:
            state = "quoted"
        elif letter == delimiter:
            field += 1
            state = "begin"
        elif state == "closed" and letter not in _ENDS:
            return "after", field
        elif state == "begin":
            state = "quoted" if letter == _QUOTE else "plain"
    return "open", field
