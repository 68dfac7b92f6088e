"""A small table, and how tests write and read tables in every format."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from xstat_ray.inputs.tables import open_table

COLUMNS = {"id": "id", "times": ["t"], "numbers": ["w"], "values": ["v"]}
NOON = dt.datetime(2023, 8, 28, 12)
GOOD = pa.table(
    {"id": ["007", None], "t": [NOON, None], "w": [1.5, None], "v": ["a", "b"], "unused": [1, 2]}
)
GOOD_CSV = "id,t,w,v,unused\n007,2023-08-28T12:00,1.5,a,x\n,,,b,\n"


def write(path: Path, content: pa.Table | str | bytes) -> Path:
    """Write a table or text to a file whose name tells the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_bytes(
            gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode()
        )
    elif path.suffix == ".parquet":
        pq.write_table(content, path)
    else:
        feather.write_feather(content, path)
    return path


def read(path: Path, chunk_rows: int = 1 << 20, **columns: Any) -> dict[str, list[Any]]:
    """All rows of a table, by column."""
    chunks = list(open_table(path, **(columns or COLUMNS)).chunks(chunk_rows))
    return {
        name: [v for chunk in chunks for v in chunk.columns[name].to_pylist()]
        for name in chunks[0].columns
    }
