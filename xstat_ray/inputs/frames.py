"""Tables from Python: Arrow tables, streams and datasets, data frames, relations of DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa
import pyarrow.dataset as ds

from xstat_ray.errors import InputError
from xstat_ray.inputs.outside import Opened, OutsideTable
from xstat_ray.util.secrecy import Secret


class SupportsArrow(Protocol):
    """What can be read by the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export a stream of record batches."""


_STREAM = "__arrow_c_stream__"
_ARRAY = "__arrow_c_array__"
_BATCH_ROWS = 1 << 17


class Frame(Secret, OutsideTable):
    """A table in the memory of this process, or a stream that leads to one.

    It takes whatever has the Arrow PyCapsule interface (`__arrow_c_stream__`, or as a record batch
    `__arrow_c_array__`), and a `pyarrow.dataset.Dataset`. A stream can be read once.
    """

    def __init__(self, data: object) -> None:
        """Take the table.

        Raises:
            InputError: it is of a type that cannot be read.
        """
        if not self.accepts(data):
            raise InputError(
                f"a {type(data).__name__} is not a table",
                remedy="Give a path, a Source, or what can be read as Arrow: an Arrow table or "
                "stream, a data frame of pandas or polars (collect a lazy one), a relation of "
                "DuckDB",
            )
        self._data = data

    @staticmethod
    def accepts(data: object) -> bool:
        """Whether this is a table that can be read from Python."""
        return isinstance(data, ds.Dataset) or hasattr(data, _STREAM) or hasattr(data, _ARRAY)

    def __str__(self) -> str:
        return f"a {type(self._data).__name__} of Python"

    def check(self) -> None:
        """There is nothing to check before it is read."""

    def identity(self) -> str:
        """Name the type: two tables of a type look alike."""
        return str(self)

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Open the table; a stream is used up by this."""
        data = self._data
        if isinstance(data, ds.Dataset):
            yield Opened(
                data.schema.names,
                lambda columns: data.scanner(
                    columns=list(columns), batch_size=_BATCH_ROWS, fragment_readahead=1
                ).to_reader(),
            )
            return
        with _reader(data) as reader:
            yield Opened(reader.schema.names, lambda columns: reader)

    def explain(self, error: Exception) -> InputError:
        """Tell the kind of the error alone."""
        return InputError(
            f"the table cannot be read to its end ({type(error).__name__})",
            file=str(self),
            remedy="Read it by itself to see the error; each column holds values of one type",
        )


def _reader(data: object) -> pa.RecordBatchReader:
    if hasattr(data, _STREAM):
        return pa.RecordBatchReader.from_stream(data)
    batch = pa.record_batch(data)
    return pa.RecordBatchReader.from_batches(batch.schema, [batch])
