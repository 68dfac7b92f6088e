"""Tables of Python: of every kind that can be read as Arrow, with the same rows."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from xstat_ray.errors import InputError
from xstat_ray.inputs.frames import Frame
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.stream_copy import copy

COLUMNS = {"id": ["3", "1", "2"], "area": ["a", "b", "a"]}
USES = {"id": "id", "area": "value"}


def dataset(folder: Path) -> ds.Dataset:
    pq.write_table(pa.table(COLUMNS), folder / "t.parquet")
    return ds.dataset(folder / "t.parquet")


KINDS: dict[str, Callable[[Path], Any]] = {
    "table": lambda folder: pa.table(COLUMNS),
    "reader": lambda folder: pa.table(COLUMNS).to_reader(),
    "batch": lambda folder: pa.record_batch(COLUMNS),
    "dataset": dataset,
    "pandas": lambda folder: pd.DataFrame(COLUMNS),
    "pandas, categorical": lambda folder: pd.DataFrame(COLUMNS).astype("category"),
    "pandas, numbers": lambda folder: pd.DataFrame({**COLUMNS, "id": [3, 1, 2]}),
    "polars": lambda folder: pl.DataFrame(COLUMNS),
    "polars, categorical": lambda folder: pl.DataFrame(COLUMNS).cast({"area": pl.Categorical}),
    "large text": lambda folder: pa.table(
        {key: pa.array(values, pa.large_string()) for key, values in COLUMNS.items()}
    ),
    "text views": lambda folder: pa.table(
        {key: pa.array(values, pa.string_view()) for key, values in COLUMNS.items()}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_is_read_alike(kind, tmp_path):
    source = Source.of(KINDS[kind](tmp_path))
    copy(source.table, USES, tmp_path / "copy")
    found = pq.read_table(tmp_path / "copy")
    assert found.to_pylist() == [
        {"id": "1", "area": "b"}, {"id": "2", "area": "a"}, {"id": "3", "area": "a"}
    ]  # fmt: skip


def test_a_relation_of_duckdb_is_a_table(tmp_path):
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT * FROM (VALUES ('1', 'a')) AS t(id, area)")
        copy(Source.of(relation).table, USES, tmp_path / "copy")
    assert pq.read_table(tmp_path / "copy").to_pylist() == [{"id": "1", "area": "a"}]


@pytest.mark.parametrize(
    "value", [42, None, pl.LazyFrame(COLUMNS), {"id": ["1"]}, [("1", "a")], b"t.csv"]
)
def test_what_is_no_table_is_refused_by_its_type(value):
    with pytest.raises(InputError, match=f"a {type(value).__name__} is not a table. Give a path"):
        Source.of(value)
    with pytest.raises(InputError, match="is not a table"):
        Source("t.csv", exclude=[value])


@pytest.mark.parametrize("value", [pa.array(["1"]), pd.Series(["1"]), pl.Series(["1"])])
def test_a_column_alone_is_no_table(value, tmp_path):
    with pytest.raises(InputError, match="cannot be read to its end|no such column"):
        copy(Source.of(value).table, USES, tmp_path / "copy")


def test_a_column_of_mixed_values_says_none_of_them(tmp_path):
    frame = pd.DataFrame({"id": ["0901111", 902222], "area": ["a", "b"]}, dtype=object)
    with pytest.raises(InputError, match="cannot be read to its end") as caught:
        copy(Source.of(frame).table, USES, tmp_path / "copy")
    assert "0901111" not in str(caught.value) and "902222" not in str(caught.value)


def test_a_table_prints_nothing_of_itself_and_does_not_travel():
    source = Source(pa.table({"id": ["0901111"]}), exclude=pa.table({"id": ["0902222"]}))
    assert "090" not in f"{source!r} {source.table!s}"
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps(source)


def test_a_frame_alone_may_be_the_list_of_people_to_leave_out():
    source = Source("t.csv", exclude=pl.DataFrame({"id": ["1"]}))
    assert [type(table) for table in source.excludes] == [Frame]
    assert source.is_outside


def test_only_files_can_be_opened_by_their_path():
    with pytest.raises(InputError, match="the table is no file .*a Table of Python"):
        assert Source(pa.table(COLUMNS)).files
