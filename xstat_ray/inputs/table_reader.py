"""Reads stored columns of one file of any format; errors name the file and never quote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.types as pt

from xstat_ray.errors import InputError
from xstat_ray.inputs import arrow_reader, csv_reader, json_lines, parquet_reader
from xstat_ray.inputs.clean_text import fold_one, seen
from xstat_ray.inputs.csv_faults import find_fault, named_delimiter
from xstat_ray.inputs.parquet_reader import RowGroup
from xstat_ray.inputs.table_files import TableFile, stamp_of
from xstat_ray.inputs.table_walk import shown
from xstat_ray.util.object_stores import is_answer, unusable
from xstat_ray.util.threads import ahead

__all__ = ["RowGroup", "first_rows", "record_batches", "row_groups", "stored_schema"]

_MANY_FILES = 1_000
_HEAD_ROWS = 1_000
"""Rows of a file that are read when its table is opened."""

_Schema = list[tuple[str, pa.DataType]]


def stored_schema(file: TableFile, columns: Sequence[str]) -> Mapping[str, pa.DataType]:
    """Types of those of `columns` that the file stores; in CSV and JSON lines all are text.

    Columns that the names of folders give are left out.

    Raises:
        InputError: the file is damaged, or a column is missing or occurs twice.
    """
    with _refusing_damage(file):
        stored = _stored(file, columns)
    names = [name for name, _ in stored]
    wanted = [name for name in columns if name not in file.partitions]
    for name in wanted:
        if name not in names:
            raise _missing(file, name, names, wanted)
        if names.count(name) > 1:
            raise InputError(
                "two columns have the same name" if file.is_text else "the column occurs twice",
                file=file.shown,
                column=name,
                remedy="Rename one of them",
            )
    for name in columns:
        if name in file.partitions and name in names:
            _refuse_contradiction(file, name)
    kinds = dict(stored)
    return {name: kinds[name] for name in wanted}


def _refuse_contradiction(file: TableFile, name: str) -> None:
    """Refuse a file that stores another value of a column than the name of its folder gives.

    Its first rows are looked at, where `first_rows` reads any.

    Raises:
        InputError: it does, or is damaged.
    """
    head, _ = first_rows(file, [name])
    given = file.partitions[name]
    if head is None or pt.is_nested(head.schema.field(name).type):
        return
    with _refusing_damage(file):
        texts = head.column(name).cast(pa.string()).drop_null().unique().to_pylist()
    if any(given is None or not _are_same(text, given) for text in texts):
        raise InputError(
            "the folder gives the column another value than the file itself",
            file=file.shown,
            column=name,
            remedy="Give the folder's column another name if the file's own is meant, or write the "
            "files without it",
        )


def _are_same(text: str, given: str) -> bool:
    """Whether two texts are one value: as they are meant, as numbers, or as a day's midnight."""
    one, other = (fold_one(value).replace("T", " ") for value in (text, given))
    if one == other or (one.startswith(other) and not one[len(other) :].strip(" 0:.")):
        return True
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _stored(file: TableFile, columns: Sequence[str]) -> _Schema:
    if file.format in ("csv", "tsv"):
        return [(name, pa.string()) for name in csv_reader.read_header(file)]
    if file.format == "jsonl":
        return [(name, pa.string()) for name in json_lines.read_keys(file)]
    schema = (
        parquet_reader.parquet_schema(file, columns)
        if file.format == "parquet"
        else arrow_reader.arrow_schema(file)
    )
    _read_zones(schema)
    return list(zip(schema.names, schema.types, strict=True))


def _read_zones(schema: pa.Schema) -> None:
    """Decode the names of time zones, which Arrow does on access; damaged ones are no text."""
    for kind in schema.types:
        stored = kind.value_type if pt.is_dictionary(kind) else kind
        if pt.is_timestamp(stored):
            stored.tz  # noqa: B018


def _missing(file: TableFile, name: str, names: Sequence[str], wanted: Sequence[str]) -> InputError:
    """Make the error for a column that is not there.

    What stands in the first row of a CSV file, and the keys of JSON, may be values. They are shown
    only if a column that the study names is among them, in small letters or large ones.
    """
    meant = {fold_one(other, str.casefold) for other in wanted}
    if file.is_text and not any(fold_one(have, str.casefold) in meant for have in names):
        return _without_header(file, name, names, wanted)
    if any(part.startswith(f"{name}=") for part in file.path.inside.split("/")):
        remedy = (
            f"To have it from the name of the folder {name}=..., name the folder above that, or a "
            f"pattern such as {name}=*"
        )
        return InputError("no such column", file=file.shown, column=name, remedy=remedy)
    have = [*names, *file.partitions]
    listed = f"The columns are {', '.join(map(shown, have))}"
    same = [
        other for other in have if fold_one(other, str.casefold) == fold_one(name, str.casefold)
    ]
    close = same or get_close_matches(name, have, n=1)
    remedy = f"Did you mean {close[0]!r}? {listed}" if close else listed
    if any(seen(other) == name for other in same):
        remedy = f"Remove spaces and invisible characters from the name {same[0]!r}"
    return InputError("no such column", file=file.shown, column=name, remedy=remedy)


def _without_header(
    file: TableFile, name: str, names: Sequence[str], wanted: Sequence[str]
) -> InputError:
    if file.format == "jsonl":
        return InputError(
            f"no such key among the {len(names)} of the first lines",
            file=file.shown,
            column=name,
            remedy=f"Write objects with the names that the study gives ({', '.join(wanted)}); the "
            "keys are not shown here, as they may hold a person's data",
        )
    other = csv_reader.other_delimiter(file, names, wanted)
    if other is not None:
        return InputError(
            f"the fields are divided by a {other}, not by {named_delimiter(file.delimiter)}",
            file=file.shown,
            column=name,
            remedy=f"Set {file.options.setting(f'delimiter={other}')}",
        )
    problem = f"no such column among the {len(names)} fields of the first row"
    line = csv_reader.later_header(file, wanted)
    if names[0].lower().startswith("sep=") and len(names) <= 2:
        remedy = "Remove the first line, which only tells a spreadsheet the delimiter"
    elif line is not None:
        remedy = f"The header is in line {line} of the file: remove what stands above it"
    else:
        remedy = (
            f"Put a header above the rows, with the names that the study gives "
            f"({', '.join(wanted)}); the first row is not shown here, as it may hold a person's "
            "data"
        )
    return InputError(problem, file=file.shown, column=name, remedy=remedy)


def record_batches(
    file: TableFile, columns: Sequence[str], rows: int, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Stream columns of a file in Arrow's record batches, none of them empty.

    Args:
        file: the file.
        columns: columns to read, which the file stores.
        rows: most rows of a record batch.
        groups: row groups to read, as `row_groups` numbers them; None reads the whole file.

    Raises:
        InputError: the file is damaged.
    """
    batches = _scan(file, columns, rows, groups)
    if not file.is_near:
        batches = ahead(batches)
    while True:
        # Only reading is guarded: errors that the caller raises between two batches pass unchanged.
        with _refusing_damage(file):
            batch = next(batches, None)
        if batch is None:
            return
        parts = [batch.slice(start, rows) for start in range(0, batch.num_rows, rows)]
        # Nothing here keeps what is handed out until the next part is asked for.
        del batch
        while parts:
            yield parts.pop(0)


def first_rows(file: TableFile, columns: Sequence[str]) -> tuple[pa.RecordBatch | None, int]:
    """Read the first rows of a file, so that one whose pages are damaged is soon found.

    Where a footer tells how many rows there are, none is read if that takes further requests, or if
    the table has very many files.

    Returns:
        These rows, or None; and how many rows the file has at least.

    Raises:
        InputError: the file is damaged.
    """
    shallow = not file.is_near or file.footers.files > _MANY_FILES
    groups = row_groups(file, ()) if shallow else ()
    if groups:
        return None, sum(group.rows for group in groups)
    head = next(record_batches(file, columns, _HEAD_ROWS), None)
    return head, 0 if head is None else head.num_rows


def row_groups(file: TableFile, columns: Sequence[str]) -> tuple[RowGroup, ...] | None:
    """Read the row groups of a Parquet file from its footer; None for other formats.

    Raises:
        InputError: the file is damaged.
    """
    if file.format != "parquet":
        return None
    with _refusing_damage(file):
        return parquet_reader.read_row_groups(file, columns)


def _scan(
    file: TableFile, columns: Sequence[str], rows: int, groups: Sequence[int] | None
) -> Iterator[pa.RecordBatch]:
    if file.format == "parquet":
        yield from parquet_reader.parquet_batches(file, columns, rows, groups)
    elif file.format == "jsonl":
        yield from json_lines.json_batches(file, columns, rows)
    elif file.format in ("csv", "tsv"):
        yield from csv_reader.csv_batches(file, csv_reader.read_header(file), columns)
    else:
        yield from arrow_reader.arrow_batches(file, columns, rows)


@contextmanager
def _refusing_damage(file: TableFile) -> Iterator[None]:
    try:
        yield
        return
    except InputError as error:
        found = error
    except UnicodeDecodeError:
        problem = "a name in the file is not UTF-8"
        found = InputError(problem, file=file.shown, remedy="Write the file again")
    except (pa.ArrowException, OSError) as error:
        if file.path.store is not None and is_answer(error):
            raise unusable(file.shown, error) from None
        # Arrow quotes the line it stumbled over, so its message stays here.
        problem, remedy = _explain(file, error)
        found = InputError(problem, file=file.shown, remedy=remedy)
    # A check of CSV while rows pass by does not tell where it went wrong.
    fault = _fault(file) if file.format in ("csv", "tsv") else None
    raise fault or found from None


def _fault(file: TableFile) -> InputError | None:
    try:
        return find_fault(file, csv_reader.read_header(file))
    except (pa.ArrowException, OSError):
        return None
    except InputError as error:
        return error


def _explain(file: TableFile, error: Exception) -> tuple[str, str]:
    """Problem and remedy for a file that Arrow cannot read."""
    if isinstance(error, PermissionError):
        return "the file may not be read", "Give the user who runs this the right to read it"
    if isinstance(error, FileNotFoundError):
        return "the file is gone", "Let nothing write to a table while a run uses it"
    remedy = "Write the file again, or check that it is complete"
    if stamp_of(file.path).size == 0:
        return "the file is empty", remedy
    inside = _NAMES[file.format]
    if file.compression is not None:
        inside = f"{inside} compressed by {file.compression}, as its name says"
    return f"the file is damaged or is not {inside}", remedy


_NAMES = {
    "csv": "CSV",
    "tsv": "TSV",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
    "ipc": "an Arrow file",
    "orc": "ORC",
}
