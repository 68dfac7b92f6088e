"""Reads columns of JSON lines as text: one object a line, whose keys are the columns.

Numbers keep the digits with which they are written, so `9011110001.0` stays what it is and whatever
reads ids decides what to make of it. A key that is absent, and null, are null.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_files import TableFile
from xstat_ray.inputs.text_stream import OtherEncodingError, open_text

_LONGEST_LINE = 1 << 24
_BATCH_ROWS = 1 << 16
_HEAD_ROWS = 1_000


def read_keys(file: TableFile) -> list[str]:
    """List the keys of the first thousand objects, each once.

    Raises:
        OSError: the file cannot be read.
        InputError: it is empty, or a line is not an object of JSON.
    """
    rows = list(islice(_objects(file), _HEAD_ROWS))
    if not rows:
        raise InputError(
            "the file is empty", file=file.shown, remedy="Check that the export was complete"
        )
    return list(dict.fromkeys(key for row in rows for key in row))


def json_batches(file: TableFile, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Stream columns as text.

    Args:
        file: a file of JSON lines.
        columns: keys to read.
        rows: most rows of a batch.

    Raises:
        OSError: the file cannot be read.
        InputError: a line is not an object of JSON, or a value of a column is a list or object.
    """
    objects = _objects(file)
    first_row = 1
    while taken := list(islice(objects, min(rows, _BATCH_ROWS))):
        texts = [_texts(file, name, taken, first_row) for name in columns]
        rows_alone = pa.nulls(len(taken))
        batch = pa.RecordBatch.from_arrays([*texts, rows_alone], [*columns, ""])
        yield batch.select(list(columns))
        first_row += len(taken)


def _texts(file: TableFile, name: str, rows: Sequence[dict[str, Any]], first_row: int) -> pa.Array:
    values = [row.get(name) for row in rows]
    for place, value in enumerate(values):
        if value is True or value is False:
            values[place] = "true" if value else "false"
        elif not (value is None or isinstance(value, str)):
            raise InputError(
                "a list or an object cannot serve as a value",
                file=file.shown,
                column=name,
                row=first_row + place,
                remedy="Write texts and numbers, one object a line",
            )
        elif value == "":
            values[place] = None
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        place = next(i for i, value in enumerate(values) if value and not _is_text(value))
    raise InputError(
        "the text is half of a character (a lone surrogate)",
        file=file.shown,
        column=name,
        row=first_row + place,
        remedy="Write the file again, with text in UTF-8",
    )


def _is_text(value: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def _objects(file: TableFile) -> Iterator[dict[str, Any]]:
    text = io.TextIOWrapper(io.BufferedReader(open_text(file)), encoding="utf-8", newline="\n")
    decoder = json.JSONDecoder(
        object_pairs_hook=_once, parse_int=str, parse_float=str, parse_constant=str
    )
    row = 0
    while line := _line(text, file, row + 1):
        if not line.strip():
            continue
        row += 1
        try:
            found = decoder.decode(line)
        except _TwiceError:
            problem = "an object has one key twice"
        except (ValueError, RecursionError):
            problem = "the line is not JSON"
        else:
            problem = "the line is not an object of JSON"
            if isinstance(found, dict):
                yield found
                continue
        # The error of the decoder quotes the line.
        raise InputError(problem, file=file.shown, row=row, remedy=_REMEDY) from None


def _line(text: io.TextIOWrapper, file: TableFile, row: int) -> str:
    try:
        line = text.readline(_LONGEST_LINE)
    except UnicodeDecodeError:
        raise InputError(
            "the text is not UTF-8", file=file.shown, row=row, remedy=file.options.encoding_remedy
        ) from None
    except OtherEncodingError:
        raise
    except InputError as error:
        raise InputError(error.problem, file=error.file, row=row, remedy=error.remedy) from None
    if len(line) >= _LONGEST_LINE:
        raise InputError("the line is too long", file=file.shown, row=row, remedy=_REMEDY)
    return line


class _TwiceError(Exception):
    """An object has one key twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwiceError
    return found


_REMEDY = "Write one object a line, without brackets and commas around them"
