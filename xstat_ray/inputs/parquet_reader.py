"""Reads Parquet: its footer, its row groups, and times that it stores as INT96."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_files import TableFile
from xstat_ray.inputs.text_stream import open_bytes

_BUFFER_BYTES = 1 << 20
_FEW_ROWS = 1 << 16
_WHOLE_BYTES = 1 << 25
"""Most bytes of the columns of a row group that are asked of an object store at once; a larger
one is read batch by batch."""
_RANGES = (1 << 16, 1 << 23)
"""Least and most bytes of a column that are asked of an object store at a time."""
_ROW_BYTES = 8
"""Bytes of a column that a row takes, as a guess at how much of it is wanted at a time."""
_EPOCH = dt.datetime(1970, 1, 1)
_MICROSECONDS = {"milliseconds": (1_000, 1), "microseconds": (1, 1), "nanoseconds": (1, 1_000)}
"""By unit, what its ticks are multiplied and divided by."""


@dataclass(frozen=True)
class RowGroup:
    """A part of a Parquet file that can be read by itself, as the file's footer describes it."""

    number: int
    rows: int
    bounds: Mapping[str, tuple[Any, Any]]
    """Least and largest value by column, where the footer tells; the data may span less."""
    sorted_by: str | None = None
    """Column by which the rows ascend, as the writer declares; nothing checks that."""


def parquet_schema(file: TableFile, columns: Sequence[str]) -> pa.Schema:
    """Read the schema; times stored as INT96 are what the table's settings make of them.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: it is damaged.
        InputError: one of the columns holds INT96, and the settings do not tell its zone.
    """
    footer = _footer(file)
    schema = footer.schema.to_arrow_schema()
    for name in _int96(footer, schema) & set(columns):
        if file.options.int96 == "refuse":
            raise InputError(
                "the times are stored as INT96, which does not tell whether they are in UTC",
                file=file.shown,
                column=name,
                remedy=f"Set {file.options.setting('int96=utc')} (as Spark writes them) or "
                f"{file.options.setting('int96=local')} (as Impala writes them), or write them as "
                "timestamps",
            )
        zone = "UTC" if file.options.int96 == "utc" else None
        at = schema.get_field_index(name)
        schema = schema.set(at, pa.field(name, pa.timestamp("us", zone)))
    return schema


def _footer(file: TableFile) -> pq.FileMetaData:
    return file.footers.of(file.path, lambda: pq.read_metadata(open_bytes(file)))


def _int96(footer: pq.FileMetaData, schema: pa.Schema) -> set[str]:
    """Columns that are stored as INT96, and whose schema tells no zone."""
    stored = (footer.schema.column(number) for number in range(len(footer.schema)))
    names = {column.path for column in stored if column.physical_type == "INT96"}
    return {
        name
        for name in names
        if schema.get_field_index(name) >= 0 and schema.field(name).type.tz is None
    }


def parquet_batches(
    file: TableFile, columns: Sequence[str], rows: int, groups: Sequence[int] | None
) -> Iterator[pa.RecordBatch]:
    """Stream columns of some row groups, or of all, at most `rows` rows at a time.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: it is damaged.
    """
    footer = _footer(file)
    schema = footer.schema.to_arrow_schema()
    chosen = range(footer.num_row_groups) if groups is None else groups
    whole = not file.is_near and _largest(footer, columns, chosen) <= _WHOLE_BYTES
    parquet = pq.ParquetFile(
        open_bytes(file),
        metadata=footer,
        read_dictionary=[name for name in columns if pt.is_string(schema.field(name).type)],
        pre_buffer=whole,
        buffer_size=_buffered(file, rows),
        # Nanoseconds end in the year 2262.
        coerce_int96_timestamp_unit="us",
    )
    in_utc = _int96(footer, schema) & set(columns) if file.options.int96 == "utc" else set()
    threads = not _few(footer)
    # A row group at a time, as all that are asked for at once are held.
    runs = [[group] for group in chosen] if whole else [list(chosen)]
    for run in runs:
        # No batch has a name here: it would be kept until the next one comes.
        read = _read(parquet, run, columns, rows, threads)
        yield from map(partial(_in_utc, names=in_utc), read) if in_utc else read


def _read(
    parquet: pq.ParquetFile, groups: list[int], columns: Sequence[str], rows: int, threads: bool
) -> Iterator[pa.RecordBatch]:
    """Stream columns of row groups, at most `rows` rows at a time."""
    footer = parquet.metadata
    if sum(footer.row_group(group).num_rows for group in groups) > rows:
        yield from parquet.iter_batches(
            rows, row_groups=groups, columns=list(columns), use_threads=threads
        )
        return
    # What unpacks the pages takes as much as the rows, and is gone before they are used.
    table = parquet.read_row_groups(groups, list(columns), use_threads=threads)
    batches = table.to_batches()
    del table
    while batches:
        yield batches.pop(0)


def _few(footer: pq.FileMetaData) -> bool:
    """Whether a file has so few rows that to wait for another thread takes longer than to read."""
    rows: int = footer.num_rows
    return rows <= _FEW_ROWS


def _largest(footer: pq.FileMetaData, columns: Sequence[str], groups: Iterable[int]) -> int:
    """Most bytes that columns take in one of the row groups."""
    stored = [footer.schema.column(number).path for number in range(len(footer.schema))]
    wanted = [i for i, path in enumerate(stored) if path.split(".")[0] in columns]
    described = (footer.row_group(number) for number in groups)
    return max(
        (sum(group.column(i).total_compressed_size for i in wanted) for group in described),
        default=0,
    )


def _buffered(file: TableFile, rows: int) -> int:
    """Bytes of a column that are read at a time; 0 for all of it, as it is in memory.

    A fragment of Arrow would hold a whole row group, whatever its size.
    """
    if file.content is not None:
        return 0
    if file.path.is_local:
        return _BUFFER_BYTES
    least, most = _RANGES
    return min(most, max(least, rows * _ROW_BYTES))


def _in_utc(batch: pa.RecordBatch, names: Collection[str]) -> pa.RecordBatch:
    """Take local times of some columns for instants in UTC."""
    columns = {
        name: column.cast(pa.timestamp("us", "UTC")) if name in names else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    return pa.RecordBatch.from_pydict(columns)


def read_row_groups(file: TableFile, columns: Sequence[str]) -> tuple[RowGroup, ...]:
    """Read what the footer tells of each row group.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: it is damaged.
    """
    footer = _footer(file)
    return tuple(
        _row_group(number, footer.row_group(number), columns)
        for number in range(footer.num_row_groups)
    )


def _row_group(number: int, footer: Any, columns: Sequence[str]) -> RowGroup:
    bounds = {}
    for chunk in map(footer.column, range(footer.num_columns)):
        statistics = chunk.statistics if chunk.path_in_schema in columns else None
        found = None if statistics is None else _bounds(statistics)
        if found is not None:
            bounds[chunk.path_in_schema] = found
    first = next(iter(footer.sorting_columns), None)
    declared = (
        None
        if first is None or first.descending
        else footer.column(first.column_index).path_in_schema
    )
    return RowGroup(number, footer.num_rows, bounds, declared)


def _bounds(statistics: Any) -> tuple[Any, Any] | None:
    """Least and largest value; None where the footer does not tell, or Python has no such date."""
    if not statistics.has_min_max or statistics.physical_type == "INT96":
        return None
    try:
        if statistics.logical_type.type == "TIMESTAMP":
            # Arrow makes nanoseconds a value of pandas, which need not be there.
            kind = json.loads(statistics.logical_type.to_json())
            return _instant(statistics.min_raw, kind), _instant(statistics.max_raw, kind)
        return statistics.min, statistics.max
    except (ValueError, OverflowError):
        return None


def _instant(ticks: int, kind: Mapping[str, Any]) -> dt.datetime:
    factor, divisor = _MICROSECONDS[kind["timeUnit"]]
    instant = _EPOCH + dt.timedelta(microseconds=ticks * factor // divisor)
    return instant.replace(tzinfo=dt.UTC) if kind["isAdjustedToUTC"] else instant
