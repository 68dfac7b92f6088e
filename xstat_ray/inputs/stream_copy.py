"""Copies one table that is no file into Parquet files that only this user can read.

A copy holds each column as what it is used as, and each of its files is sorted by id, as reading is
fastest then. It takes memory for some millions of rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.inputs.outside import Opened, OutsideTable, explaining
from xstat_ray.inputs.table_columns import (
    REMEDIES,
    ColumnUse,
    Place,
    convert,
    family,
    zones_mixed,
)

ROWS = 1 << 20
"""Rows of a file."""


def copy(
    table: OutsideTable,
    uses: Mapping[str, ColumnUse],
    folder: Path,
    *,
    may_be_empty: bool = False,
    rows: int = ROWS,
) -> str:
    """Copy columns of a table into Parquet files, each sorted by id.

    Args:
        table: the table; it is read once.
        uses: what each column is used as, by its name; one or several of them are the id.
        folder: a folder that is made, for this user alone, in one that is there.
        may_be_empty: whether a table without rows is accepted.
        rows: most rows of a file.

    Returns:
        Which version was read; empty where the table has none.

    Raises:
        InputError: the table cannot be read or has no rows, a column is missing or of a type that
            its use does not accept, or the disk is full.
    """
    with ExitStack() as stack:
        with explaining(table):
            opened = stack.enter_context(table.open())
        _check_names(table, opened, uses)
        with explaining(table):
            reader = opened.read(list(uses))
        parsed = _check_types(table, reader.schema, uses)
        place = folder / (opened.version or "copy")
        with writing(folder):
            folder.mkdir(mode=0o700)
            place.mkdir(mode=0o700)
        chunks = _Chunks(table, uses, parsed).of(_batches(table, reader), rows)
        if not _write_all(chunks, uses, place):
            if not may_be_empty:
                raise InputError(
                    "the table has no rows",
                    file=str(table),
                    remedy="Check that it is the right one",
                )
            empty = {name: pa.chunked_array([pa.array([], pa.string())]) for name in uses}
            _write_all([empty], uses, place)
        return opened.version


def _check_names(table: OutsideTable, opened: Opened, uses: Mapping[str, ColumnUse]) -> None:
    names = list(opened.columns)
    for name in uses:
        if names.count(name) > 1:
            raise InputError(
                "the column occurs twice",
                file=str(table),
                column=name,
                remedy="Rename one of them",
            )
        if name not in names:
            close = get_close_matches(name, names, n=1)
            listed = f"The columns are {', '.join(names)}"
            remedy = f"Did you mean {close[0]!r}? {listed}" if close else listed
            raise InputError("no such column", file=str(table), column=name, remedy=remedy)


def _check_types(
    table: OutsideTable, schema: pa.Schema, uses: Mapping[str, ColumnUse]
) -> frozenset[str]:
    """Check the types of the columns; returns the names of those that are text to be parsed."""
    parsed = set[str]()
    for name, use in uses.items():
        kind = schema.field(name).type
        parses = table.parses and use in ("time", "number")
        if parses and _is_text(kind.storage_type if _is_extended(kind) else kind):
            parsed.add(name)
        elif family(use, kind) is None:
            cast = ", or convert it in a query" if table.parses else ""
            raise InputError(
                f"a column of type {kind} cannot serve as {use}",
                file=str(table),
                column=name,
                remedy=REMEDIES[use] + cast,
            )
    return frozenset(parsed)


def _is_extended(kind: pa.DataType) -> bool:
    """Whether a type stands for one that Arrow has not, as for `numeric` of PostgreSQL."""
    return isinstance(kind, pa.BaseExtensionType)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def _batches(table: OutsideTable, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while True:
        with explaining(table):
            batch = next(reader, None)
        if batch is None:
            return
        yield batch


class _Chunks:
    """Converts the batches of a table, and joins them to chunks."""

    def __init__(
        self, table: OutsideTable, uses: Mapping[str, ColumnUse], parsed: frozenset[str]
    ) -> None:
        self._name = str(table)
        self._uses = uses
        self._parsed = parsed
        self._zones: dict[str, str] = {}
        """Whether the times of a column have a zone, once one was seen."""

    def of(
        self, batches: Iterable[pa.RecordBatch], rows: int
    ) -> Iterator[dict[str, pa.ChunkedArray]]:
        """Stream chunks of `rows` rows, the last perhaps with fewer."""
        held = list[dict[str, pa.Array]]()
        size = 0
        first_row = 1
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                part = batch.slice(start, rows)
                if size + part.num_rows > rows:
                    yield self._join(held)
                    held = []
                    size = 0
                held.append(self._convert(part, first_row))
                first_row += part.num_rows
                size += part.num_rows
        if held:
            yield self._join(held)

    def _convert(self, batch: pa.RecordBatch, first_row: int) -> dict[str, pa.Array]:
        columns = {}
        for name, use in self._uses.items():
            place = Place(self._name, name, first_row)
            values = _plain(batch.column(name))
            columns[name] = convert(values, use, place, parse=name in self._parsed)
            if use == "time":
                self._check_zone(columns[name], place)
        return columns

    def _check_zone(self, times: pa.Array, place: Place) -> None:
        if times.null_count == len(times):
            return
        found = str(family("time", times.type))
        if self._zones.setdefault(place.column, found) != found:
            row = place.first_row + pc.index(times.is_valid(), True).as_py()
            raise zones_mixed(place.file, place.column, row)

    def _join(self, parts: Sequence[dict[str, pa.Array]]) -> dict[str, pa.ChunkedArray]:
        joined = {}
        for name, use in self._uses.items():
            arrays = [part[name] for part in parts]
            if use == "time":
                filled = [array for array in arrays if array.null_count < len(array)]
                kind = filled[0].type if filled else pa.null()
                arrays = [
                    array if array.null_count < len(array) else pa.nulls(len(array), kind)
                    for array in arrays
                ]
            joined[name] = pa.chunked_array(arrays)
        return joined


def _plain(values: pa.Array) -> pa.Array:
    """Text in the form that all kernels of Arrow take."""
    kind = values.type
    if _is_extended(kind):
        return _plain(values.storage)
    if pt.is_dictionary(kind) and not pt.is_string(kind.value_type) and _is_text(kind.value_type):
        return pa.DictionaryArray.from_arrays(values.indices, _plain(values.dictionary))
    if pt.is_string_view(kind) or pt.is_large_string(kind):
        return values.cast(pa.string())
    return values


def _write_all(
    chunks: Iterable[Mapping[str, pa.ChunkedArray]], uses: Mapping[str, ColumnUse], place: Path
) -> int:
    """Write chunks, one while the next is read; returns how many there were."""
    count = 0
    with ThreadPoolExecutor(1) as thread:
        pending: Future[None] | None = None
        for chunk in chunks:
            if pending is not None:
                pending.result()
            path = place / f"part-{count:05}.parquet"
            pending = thread.submit(_write, chunk, uses, path)
            count += 1
        if pending is not None:
            pending.result()
    return count


def _write(
    columns: Mapping[str, pa.ChunkedArray], uses: Mapping[str, ColumnUse], path: Path
) -> None:
    ids = [name for name, use in uses.items() if use == "id"]
    table = pa.table(dict(columns)).unify_dictionaries().combine_chunks()
    if table.num_rows:
        *before, last = (table.column(name).chunk(0) for name in ids)
        order = _ascending(last)
        for column in reversed(before):
            order = order[_ascending(column.take(pa.array(order)))]
        table = table.take(pa.array(order))
    plain = {
        name: values.cast(values.type.value_type) if pt.is_dictionary(values.type) else values
        for name, values in zip(table.column_names, table.columns, strict=True)
    }
    table = pa.table(plain)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with writing(path.parent), os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        pq.write_table(
            table,
            file,
            row_group_size=ROWS,
            compression="snappy",
            sorting_columns=[pq.SortingColumn(table.column_names.index(name)) for name in ids],
        )


def _ascending(ids: pa.DictionaryArray) -> NDArray[np.int64]:
    """(N,) places of the rows in the order of their ids, nulls last; equal ids stay in order."""
    count = len(ids.dictionary)
    ranks = np.empty(count + 1, np.int32)
    ranks[pc.sort_indices(ids.dictionary).to_numpy()] = np.arange(count, dtype=np.int32)
    ranks[count] = count
    codes = ids.indices.fill_null(count).to_numpy(zero_copy_only=False)
    order: NDArray[np.int64] = np.argsort(ranks[codes], kind="stable")
    return order


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Name the folder where the disk takes no copy.

    Raises:
        InputError: it does not.
    """
    try:
        yield
        return
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise InputError(
        f"the table cannot be copied: {reason}",
        file=str(folder),
        remedy="Free space, or choose another folder for what the run keeps",
    ) from None
