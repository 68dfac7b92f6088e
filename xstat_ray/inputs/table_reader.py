"""Reads stored columns of one file through Arrow; its errors name the file and never quote it."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pyarrow.types as pt

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_files import Stamp, TableFile, stamp_of
from xstat_ray.util.location import Location
from xstat_ray.util.object_stores import is_answer, unusable
from xstat_ray.util.threads import ahead

_CSV_BLOCK_BYTES = 1 << 23
_PARQUET_BUFFER_BYTES = 1 << 20
_RANGES = (1 << 16, 1 << 23)
"""Least and most bytes of a column that are asked of an object store at a time."""
_ROW_BYTES = 8
"""Bytes of a column that a row takes, as a guess at how much of it is wanted at a time."""
_FOOTERS = 4096
"""Footers of files in object stores that are kept, as each takes two requests."""


def stored_schema(file: TableFile, columns: Sequence[str]) -> Mapping[str, pa.DataType]:
    """Types of those of `columns` that the file stores; in CSV all are text.

    Columns that the names of folders give are left out.

    Raises:
        InputError: the file is damaged, or a column is missing or occurs twice.
    """
    with _refusing_damage(file):
        schema = _schema(file, columns)
        names = list(schema.names)
        _read_zones(schema)
    wanted = [name for name in columns if name not in file.partitions]
    for name in wanted:
        if name not in names:
            remedy = _columns_remedy(file, name, wanted, names)
            raise InputError("no such column", file=str(file.path), column=name, remedy=remedy)
        if names.count(name) > 1:
            raise InputError(
                "the column occurs twice",
                file=str(file.path),
                column=name,
                remedy="Rename one of them",
            )
    return {name: schema.field(name).type for name in wanted}


def _columns_remedy(
    file: TableFile, missing: str, wanted: Sequence[str], names: Sequence[str]
) -> str:
    """Tell which columns there are.

    The first line of a CSV file without a header is somebody's row. It is shown only if it has a
    name that is looked for, or one that resembles it.
    """
    have = [*names, *file.partitions]
    close = [name for name in get_close_matches(missing, have, n=1) if _WORD.fullmatch(name)]
    meant = {name.strip().casefold() for name in wanted}
    is_header = file.format != "csv" or any(name.strip().casefold() in meant for name in names)
    if not (close or is_header):
        return "Begin the file with a line of the columns' names, if it begins with its first row"
    listed = f"The columns are {', '.join(have)}"
    return f"Did you mean {close[0]!r}? {listed}" if close else listed


_WORD = re.compile(r"[^\W\d]+")
"""The name of a column, unlike an id."""


def _read_zones(schema: pa.Schema) -> None:
    """Decode the names of time zones, which Arrow does on access; damaged ones are no text."""
    for kind in schema.types:
        stored = kind.value_type if pt.is_dictionary(kind) else kind
        if pt.is_timestamp(stored):
            stored.tz  # noqa: B018


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
    if not file.path.is_local:
        batches = ahead(batches)
    while True:
        # Only reading is guarded: errors that the caller raises between two batches pass unchanged.
        with _refusing_damage(file):
            batch = next(batches, None)
        if batch is None:
            return
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


@dataclass(frozen=True)
class RowGroup:
    """A part of a Parquet file that can be read by itself, as the file's footer describes it."""

    number: int
    rows: int
    bounds: Mapping[str, tuple[Any, Any]]
    """Least and largest value by column, where the footer tells; the data may span less."""
    sorted_by: str | None = None
    """Column by which the rows ascend, as the writer declares; nothing checks that."""


def row_groups(file: TableFile, columns: Sequence[str]) -> tuple[RowGroup, ...] | None:
    """Read the row groups of a Parquet file from its footer; None for other formats.

    Raises:
        InputError: the file is damaged.
    """
    if file.format != "parquet":
        return None
    with _refusing_damage(file):
        footer = _footer(file)
        return tuple(
            _row_group(number, footer.row_group(number), columns)
            for number in range(footer.num_row_groups)
        )


def _row_group(number: int, footer: Any, columns: Sequence[str]) -> RowGroup:
    bounds = {}
    for chunk in map(footer.column, range(footer.num_columns)):
        statistics = chunk.statistics if chunk.path_in_schema in columns else None
        if statistics is not None and statistics.has_min_max:
            bounds[chunk.path_in_schema] = (statistics.min, statistics.max)
    first = next(iter(footer.sorting_columns), None)
    declared = (
        None
        if first is None or first.descending
        else footer.column(first.column_index).path_in_schema
    )
    return RowGroup(number, footer.num_rows, bounds, declared)


def _scan(
    file: TableFile, columns: Sequence[str], rows: int, groups: Sequence[int] | None
) -> Iterator[pa.RecordBatch]:
    if file.format == "parquet":
        yield from _open_parquet(file, columns, rows).iter_batches(
            rows, row_groups=groups, columns=list(columns)
        )
        return
    yield from _fragment(file, columns).to_batches(
        columns=list(columns), batch_size=rows, batch_readahead=1, fragment_readahead=1
    )


def _open_parquet(file: TableFile, columns: Sequence[str], rows: int) -> pq.ParquetFile:
    """Open a Parquet file so that text among `columns` is read as dictionaries.

    A fragment would hold a whole row group, whatever its size; this holds one batch.
    """
    footer = _footer(file)
    schema = footer.schema.to_arrow_schema()
    least, most = _RANGES
    buffered = min(most, max(least, rows * _ROW_BYTES))
    return pq.ParquetFile(
        file.path.inside,
        filesystem=file.path.filesystem,
        metadata=footer,
        read_dictionary=[name for name in columns if pt.is_string(schema.field(name).type)],
        pre_buffer=False,
        buffer_size=_PARQUET_BUFFER_BYTES if file.path.is_local else buffered,
    )


def _footer(file: TableFile) -> pq.FileMetaData:
    if file.path.is_local:
        return _read_footer(file.path)
    return _kept_footer(file.path, file.stamp)


@lru_cache(_FOOTERS)
def _kept_footer(path: Location, stamp: Stamp) -> pq.FileMetaData:
    """Read the footer of the version of a file that `stamp` tells."""
    return _read_footer(path)


def _read_footer(path: Location) -> pq.FileMetaData:
    return pq.ParquetFile(path.inside, filesystem=path.filesystem).metadata


def _schema(file: TableFile, columns: Sequence[str]) -> pa.Schema:
    if file.format == "parquet" and not file.path.is_local:
        return _footer(file).schema.to_arrow_schema()
    return _fragment(file, columns).physical_schema


def _fragment(file: TableFile, columns: Sequence[str]) -> ds.Fragment:
    options: ds.FileFormat
    if file.format == "csv":
        options = ds.CsvFileFormat(
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            read_options=pa_csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                # Checked later, where the row of the first bad value can be told.
                check_utf8=False,
            ),
        )
    else:
        options = ds.ParquetFileFormat() if file.format == "parquet" else ds.IpcFileFormat()
    return options.make_fragment(file.path.inside, filesystem=file.path.filesystem)


@contextmanager
def _refusing_damage(file: TableFile) -> Iterator[None]:
    try:
        yield
        return
    except UnicodeDecodeError:
        problem = "the header is not UTF-8"
        row = None
    except (pa.ArrowException, OSError) as error:
        if file.path.store is not None and is_answer(error):
            raise unusable(str(file.path), error) from None
        # Arrow quotes the line it stumbled over, so its message stays here.
        problem, row = _explain(file, error)
    remedy = (
        "Convert the file to UTF-8"
        if "UTF-8" in problem
        else "Write the file again, or check that it is complete"
    )
    raise InputError(problem, file=str(file.path), row=row, remedy=remedy) from None


def _explain(file: TableFile, error: Exception) -> tuple[str, int | None]:
    if isinstance(error, PermissionError):
        return "the file may not be read", None
    if stamp_of(file.path).size == 0 or "Empty CSV file" in str(error):
        return "the file is empty", None
    if "multiple columns named" in str(error):
        return "two columns have the same name", None
    if file.format == "csv" and (row := _first_ragged_row(file.path)) is not None:
        return "the row has another number of fields than the header", row
    return f"the file is damaged or is not {_NAMES[file.format]}", None


def _first_ragged_row(path: Location) -> int | None:
    """Find the first data row, from 1, with another number of fields than the header."""
    zipped = path.name.lower().endswith(".gz")
    try:
        with (
            path.open() as stored,
            gzip.open(stored) if zipped else stored as plain,
            io.TextIOWrapper(plain, encoding="utf-8", errors="replace", newline="") as stream,
        ):
            rows = (row for row in csv.reader(stream) if row)
            width = len(next(rows, []))
            return next(
                (number for number, row in enumerate(rows, start=1) if len(row) != width), None
            )
    except (OSError, EOFError, csv.Error):
        return None


_NAMES = {"csv": "CSV", "parquet": "Parquet", "ipc": "an Arrow file"}
