"""The order of files is found, whatever their format and whatever their footers tell."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.errors import InputError
from xstat_ray.inputs import table_order
from xstat_ray.inputs.table_order import Ascent, Order, file_orders, order_of
from xstat_ray.inputs.tables import open_table

ROWS = 1000
IDS = [f"{i // 4:04}" for i in range(ROWS)]
BY_ID = pa.table({"id": IDS, "hour": [i % 4 for i in range(ROWS)]})
BY_TIME = BY_ID.sort_by([("hour", "ascending"), ("id", "ascending")])
GROUP = 100


def found(path: Path) -> dict[str, Order]:
    """The order of each file of a table, by its name."""
    table = open_table(path, id="id")
    return {
        of_file.file.name: of_file.order for of_file in file_orders(table, table.pieces(), "id")
    }


def parquet(path: Path, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, path, **{"row_group_size": GROUP, **options})
    return path


@pytest.fixture
def first_ids_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read no more ids of a file than one row group has."""
    monkeypatch.setattr(table_order, "MOST_IDS", GROUP)
    monkeypatch.setattr(table_order, "AT_ONCE", GROUP // 2)


def test_sorted_and_by_time(tmp_path, first_ids_only):
    # The first hour by itself is sorted by id: only the bounds of the row groups give the second
    # file away.
    assert found(parquet(tmp_path / "a.parquet", BY_ID)) == {"a.parquet": "sorted"}
    assert found(parquet(tmp_path / "b.parquet", BY_TIME)) == {"b.parquet": "unsorted"}


def test_row_groups_that_ascend_and_are_not_sorted_within(tmp_path):
    ids = np.array(IDS).reshape(-1, GROUP)[:, ::-1].ravel()
    assert found(parquet(tmp_path / "a.parquet", pa.table({"id": ids}))) == {
        "a.parquet": "unsorted"
    }


def test_one_id_over_several_row_groups(tmp_path):
    assert found(parquet(tmp_path / "a.parquet", pa.table({"id": ["7"] * ROWS}))) == {
        "a.parquet": "sorted"
    }


def test_one_of_several_files_is_not_sorted(tmp_path):
    for name, table in (("a", BY_ID), ("b", BY_TIME), ("c", BY_ID)):
        parquet(tmp_path / f"{name}.parquet", table)
    assert found(tmp_path) == {
        "a.parquet": "sorted",
        "b.parquet": "unsorted",
        "c.parquet": "sorted",
    }
    table = open_table(tmp_path, id="id")
    orders = file_orders(table, table.pieces(), "id")
    assert order_of(orders) == "unsorted" and [of_file.rows for of_file in orders] == [ROWS] * 3


@pytest.mark.parametrize("name", ["a.csv", "a.arrow"])
@pytest.mark.parametrize(("rows", "order"), [(BY_ID, "sorted"), (BY_TIME, "unsorted")])
def test_text_and_arrow(tmp_path, name, rows, order):
    write = pa_csv.write_csv if name == "a.csv" else feather.write_feather
    write(rows, str(tmp_path / name))
    assert found(tmp_path) == {name: order}
    table = open_table(tmp_path, id="id")
    assert [of_file.rows for of_file in file_orders(table, table.pieces(), "id")] == [None]


def test_a_beginning_that_is_sorted_proves_nothing(tmp_path, first_ids_only):
    feather.write_feather(BY_ID, str(tmp_path / "a.arrow"))
    feather.write_feather(BY_TIME, str(tmp_path / "b.arrow"))
    assert found(tmp_path) == {"a.arrow": "unknown", "b.arrow": "unknown"}


def test_a_file_without_statistics_is_as_its_writer_declares_unless_its_ids_deny_it(
    tmp_path, first_ids_only
):
    declared = {"sorting_columns": [pq.SortingColumn(0)], "write_statistics": False}
    backwards = BY_ID.sort_by([("id", "descending")])
    for name, table, options in (
        ("bare", BY_ID, {"write_statistics": False}),
        ("declared", BY_ID, declared),
        (
            "downwards",
            BY_ID,
            declared | {"sorting_columns": [pq.SortingColumn(0, descending=True)]},
        ),
        (
            "other",
            BY_ID,
            declared | {"sorting_columns": [pq.SortingColumn(1), pq.SortingColumn(0)]},
        ),
        ("wrong", backwards, declared),
    ):
        parquet(tmp_path / f"{name}.parquet", table, **options)
    orders = {
        "bare": "unknown",
        "declared": "sorted",
        "downwards": "unknown",
        "other": "unknown",
        "wrong": "unsorted",
    }
    assert found(tmp_path) == {f"{name}.parquet": order for name, order in orders.items()}


def test_statistics_overrule_what_is_declared(tmp_path, first_ids_only):
    path = parquet(tmp_path / "a.parquet", BY_TIME, sorting_columns=[pq.SortingColumn(0)])
    assert found(path) == {"a.parquet": "unsorted"}


def test_numbers_are_ordered_by_value_and_null_stands_nowhere(tmp_path):
    parquet(
        tmp_path / "a.parquet", pa.table({"id": [None, 8, None, 9, 10, 11, 100]}), row_group_size=4
    )
    parquet(tmp_path / "b.parquet", pa.table({"id": [9, 8]}))
    assert found(tmp_path) == {"a.parquet": "sorted", "b.parquet": "unsorted"}


def test_an_id_that_folders_give(tmp_path):
    for person in "21":
        (tmp_path / f"id={person}").mkdir()
        parquet(tmp_path / f"id={person}" / "a.parquet", pa.table({"hour": [2, 1]}))
    assert set(found(tmp_path).values()) == {"sorted"}


def test_a_damaged_file_is_named(tmp_path):
    path = parquet(tmp_path / "a.parquet", BY_ID, use_dictionary=False, compression=None)
    table = open_table(path, id="id")
    pieces = table.pieces()
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(0).column(0).data_page_offset
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        file_orders(table, pieces, "id")
    assert caught.value.file == str(path)


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
)
def test_a_file_that_is_seen_whole_is_sorted_if_its_ids_are(
    tmp_path_factory, ids, group, statistics, words
):
    path = tmp_path_factory.mktemp("order") / "a.parquet"
    column = pa.array(ids).dictionary_encode() if words else pa.array(ids)
    parquet(path, pa.table({"id": column}), row_group_size=group, write_statistics=statistics)
    # With statistics ids are read of the first row group alone, and the bounds tell of the others.
    seen = ids[:group] if statistics else ids
    later = [ids[at : at + group] for at in range(0, len(ids), group)] if statistics else []
    ascend = all(max(group) <= min(next_group) for group, next_group in pairwise(later))
    assert found(path) == {"a.parquet": "sorted" if seen == sorted(seen) and ascend else "unsorted"}


@given(
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=12),
    st.integers(1, 12),
    st.randoms(),
)
def test_who_reads_all_ids_knows(tmp_path_factory, ids, rows, draw):
    folder = tmp_path_factory.mktemp("ascent")
    parquet(folder / "a.parquet", pa.table({"id": pa.array(ids, pa.string())}))
    parquet(folder / "b.parquet", pa.table({"id": ["2", "1"]}))
    table = open_table(folder, id="id")
    chunks = list(table.chunks(rows))
    ascent = Ascent(table, "id")
    draw.shuffle(chunks)
    for chunk in chunks:
        ascent.add(chunk)
    known = [id for id in ids if id is not None]
    wrong = {str(folder / "b.parquet")} | (
        {str(folder / "a.parquet")} if known != sorted(known) else set()
    )
    assert ascent.unsorted() == wrong
