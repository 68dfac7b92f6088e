"""Reads ORC, and Arrow's two formats: files, which have a footer, and streams, which have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import orc

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_files import TableFile
from xstat_ray.inputs.text_stream import open_bytes

_FILE = b"ARROW1"
_OLD_FEATHER = b"FEA1"
_END = b"\xff\xff\xff\xff\0\0\0\0"
"""What a stream ends with."""


def arrow_schema(file: TableFile) -> pa.Schema:
    """Read the schema of an ORC file, an Arrow file or an Arrow stream.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: it is damaged.
        InputError: it is a stream without its end, or of an old format.
    """
    if file.format == "orc":
        return orc.ORCFile(open_bytes(file)).schema
    if _is_stream(file):
        return pa.ipc.open_stream(open_bytes(file)).schema
    return _fragment(file).physical_schema


def arrow_batches(file: TableFile, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """Stream columns of an ORC file, an Arrow file or an Arrow stream.

    Raises:
        OSError: the file cannot be read.
        pyarrow.ArrowException: it is damaged.
        InputError: it is a stream without its end, or of an old format.
    """
    if file.format == "orc":
        yield from _orc_batches(file, list(columns))
    elif _is_stream(file):
        for batch in pa.ipc.open_stream(open_bytes(file)):
            yield batch.select(list(columns))
    else:
        yield from _fragment(file).to_batches(
            columns=list(columns), batch_size=rows, batch_readahead=1, fragment_readahead=1
        )


def _orc_batches(file: TableFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    stored = orc.ORCFile(open_bytes(file))
    for number in range(stored.nstripes):
        stripe = stored.read_stripe(number, columns=columns or stored.schema.names[:1])
        yield stripe.select(columns)


def _fragment(file: TableFile) -> ds.Fragment:
    return ds.IpcFileFormat().make_fragment(open_bytes(file))


def _is_stream(file: TableFile) -> bool:
    """Tell whether a file is a stream.

    Raises:
        InputError: a stream without its end, whose last rows may be missing, or Feather of 2016.
    """
    stored = open_bytes(file)
    head = stored.read(len(_FILE))
    if head.startswith(_OLD_FEATHER):
        raise InputError(
            "the file is Feather of version 1",
            file=file.shown,
            remedy="Write it again with a newer version of Arrow, or as Parquet",
        )
    if head == _FILE or len(head) < len(_FILE):
        return False
    stored.seek(max(stored.size() - len(_END), 0))
    if stored.read(len(_END)) != _END:
        raise InputError(
            "the file is damaged or is not an Arrow file: it has neither the beginning of an Arrow "
            "file nor the end of a stream",
            file=file.shown,
            remedy="Write the file again, or check that it is complete",
        )
    return True
