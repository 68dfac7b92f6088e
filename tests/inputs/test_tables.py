"""Tables in every format give the same columns, in chunks or piece by piece."""

from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.inputs.tables import COLUMNS, GOOD, GOOD_CSV, NOON, read, write
from xstat_ray.errors import InputError
from xstat_ray.inputs.tables import open_table


@pytest.mark.parametrize(
    "name", ["x.parquet", "x.PARQUET.arrow", "x.feather", "x.ipc", "x.csv", "x.csv.gz"]
)
def test_every_format_gives_the_same_columns(tmp_path, name):
    path = write(tmp_path / name, GOOD_CSV if ".csv" in name else GOOD)
    table = open_table(path, **COLUMNS)
    (chunk,) = table.chunks()
    assert chunk.columns["id"].to_pylist() == ["007", None]
    assert chunk.columns["v"].to_pylist() == ["a", "b"]
    assert chunk.columns["t"].equals(pa.array([NOON, None], pa.timestamp("us")))
    assert chunk.columns["w"].type == pa.float64()
    np.testing.assert_array_equal(chunk.columns["w"].to_numpy(), [1.5, np.nan])
    assert (chunk.file, chunk.first_row, set(chunk.columns)) == (
        str(path),
        1,
        {"id", "t", "w", "v"},
    )


def test_csv_text_stays_text(tmp_path):
    path = write(
        tmp_path / "x.csv",
        'id,v\n0012,05\n1e3,NO\n"9,5",NA\n"a\nb",null\n"",true\n12345678901234567890,\n',
    )
    rows = read(path, id="id", values=["v"])
    assert rows["id"] == ["0012", "1e3", "9,5", "a\nb", None, "12345678901234567890"]
    assert rows["v"] == ["05", "NO", "NA", "null", "true", None]


def test_csv_times_and_numbers(tmp_path):
    path = write(
        tmp_path / "x.csv",
        "t,w,z\n2023-08-28,1,2023-08-28T05:00:00+09:00\nNA,NA,\n2023-08-28 12:00:00.5,-2e3,NaT\n",
    )
    rows = read(path, times=["t", "z"], numbers=["w"])
    assert rows["t"] == [
        dt.datetime(2023, 8, 28),
        None,
        dt.datetime(2023, 8, 28, 12, 0, 0, 500_000),
    ]
    assert rows["z"][0].astimezone(dt.UTC) == dt.datetime(2023, 8, 27, 20, tzinfo=dt.UTC)
    assert rows["z"][1:] == [None, None]
    np.testing.assert_array_equal(rows["w"], [1, np.nan, -2000])


@pytest.mark.parametrize(
    ("use", "array", "expected"),
    [
        ("id", pa.array([7, None], pa.int64()), ["7", None]),
        ("id", pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        ("id", pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        ("id", pa.array(["a"], pa.large_string()), ["a"]),
        ("id", pa.nulls(1), [None]),
        ("values", pa.array([5, None], pa.int16()), ["5", None]),
        ("times", pa.array([dt.date(2023, 8, 28)]), [dt.datetime(2023, 8, 28)]),
        ("times", pa.array([1_999], pa.timestamp("ns")), [dt.datetime(1970, 1, 1, 0, 0, 0, 1)]),
        ("times", pa.nulls(1), [None]),
        ("numbers", pa.array([3], pa.int64()), [3.0]),
        ("numbers", pa.array([2**60 + 1], pa.int64()), [float(2**60)]),
        ("numbers", pa.array([1.5], pa.float32()), [1.5]),
    ],
)
def test_accepted_types(tmp_path, use, array, expected):
    path = write(tmp_path / "x.parquet", pa.table({"c": array, "n": pa.nulls(len(array))}))
    assert read(path, **{use: "c" if use == "id" else ["c"]})["c"] == expected


def test_folders_are_read_in_the_order_of_names_and_rows_are_numbered_in_each_file(tmp_path):
    for name, first in (("b.parquet", 100), ("a/z.parquet", 0)):
        write(tmp_path / name, pa.table({"id": [str(first + i) for i in range(5)]}))
    write(tmp_path / "_SUCCESS", b"")
    write(tmp_path / ".hidden" / "x.txt", b"")
    chunks = list(open_table(tmp_path, id="id").chunks(chunk_rows=2))
    assert [(chunk.file[-9:], chunk.first_row, len(chunk.columns["id"])) for chunk in chunks] == [
        ("z.parquet", 1, 2), ("z.parquet", 3, 2), ("z.parquet", 5, 1),
        ("b.parquet", 1, 2), ("b.parquet", 3, 2), ("b.parquet", 5, 1),
    ]  # fmt: skip
    assert chunks[3].columns["id"].to_pylist() == ["100", "101"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_partition_folders_give_columns(tmp_path, suffix):
    for day, area in (
        ("2023-08-28", "0644"),
        ("2023-08-29", "a%20b"),
        ("2023-08-30", "__HIVE_DEFAULT_PARTITION__"),
    ):
        content = "id\n7\n8\n" if suffix == "csv" else pa.table({"id": ["7", "8"]})
        write(tmp_path / f"day={day}" / f"area={area}" / f"x.{suffix}", content)
    rows = read(tmp_path, id="id", times=["day"], values=["area"])
    assert rows["area"] == ["0644", "0644", "a b", "a b", None, None]
    assert rows["day"][::2] == [dt.datetime(2023, 8, day) for day in (28, 29, 30)]
    assert read(tmp_path, values=["area"]) == {"area": rows["area"]}
    with pytest.raises(InputError, match=r"no such column .*The columns are id, day, area"):
        open_table(tmp_path, id="id", numbers=["nobody"])


def test_the_name_of_a_folder_counts_where_files_have_such_a_column_too(tmp_path):
    for suffix, content in (
        ("parquet", pa.table({"id": ["1"], "v": [5]})),
        ("csv", "id,v\n1,5.0\n"),
    ):
        folder = tmp_path / suffix
        write(folder / "v=05" / f"a.{suffix}", content)
        assert read(folder, id="id", values=["v"]) == {"id": ["1"], "v": ["05"]}


def test_files_may_order_their_columns_differently(tmp_path):
    write(tmp_path / "a.parquet", pa.table({"id": ["1"], "v": ["x"]}))
    write(tmp_path / "b.parquet", pa.table({"v": ["y"], "id": ["2"], "more": [0]}))
    assert read(tmp_path, id="id", values=["v"]) == {"id": ["1", "2"], "v": ["x", "y"]}


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv"])
def test_an_empty_file_among_others_is_no_error_but_an_empty_table_is(tmp_path, suffix):
    empty = "id\n" if suffix == "csv" else pa.table({"id": pa.array([], pa.string())})
    write(tmp_path / f"a.{suffix}", empty)
    with pytest.raises(InputError, match="has no rows"):
        open_table(tmp_path, id="id")
    assert list(open_table(tmp_path, id="id", may_be_empty=True).chunks()) == []
    write(tmp_path / f"b.{suffix}", "id\n1\n" if suffix == "csv" else pa.table({"id": ["1"]}))
    assert read(tmp_path, id="id") == {"id": ["1"]}


def test_large_csv_files_are_cut_into_chunks(tmp_path):
    path = write(
        tmp_path / "x.csv", "id,v\n" + "".join(f"{i:07},xxxxxxxx\n" for i in range(1_000_000))
    )
    rows = 0
    for chunk in open_table(path, id="id").chunks(chunk_rows=100_000):
        assert chunk.first_row == rows + 1
        assert chunk.columns["id"][0].as_py() == f"{rows:07}"
        assert len(chunk.columns["id"]) <= 100_000
        rows += len(chunk.columns["id"])
    assert rows == 1_000_000


def test_missing_times_say_nothing_about_zones(tmp_path):
    write(tmp_path / "a.csv", "t\nNA\n")
    write(tmp_path / "b.csv", "t\nNA\n2023-08-28T05:00Z\n")
    assert read(tmp_path, times=["t"])["t"][:2] == [None, None]


def test_chunks_refuse_to_travel_and_tables_do(tmp_path):
    table = open_table(write(tmp_path / "x.parquet", GOOD), **COLUMNS)
    (chunk,) = pickle.loads(pickle.dumps(table)).chunks()
    assert "007" not in repr(chunk)
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps(chunk)


def test_pieces_are_row_groups_with_their_bounds_and_other_files_whole(tmp_path):
    rows = pa.table(
        {"id": [str(i) for i in range(10, 20)], "t": [NOON] * 10, "w": [1.0] * 10, "v": ["a"] * 10}
    )
    pq.write_table(rows, write(tmp_path / "a" / "x.parquet", rows), row_group_size=4)
    table = open_table(tmp_path / "a", **COLUMNS)
    pieces = table.pieces()
    assert [(p.group.number, p.first_row, p.group.rows) for p in pieces] == [
        (0, 1, 4),
        (1, 5, 4),
        (2, 9, 2),
    ]
    assert pieces[1].group.bounds["id"] == ("14", "17") and pieces[1].group.bounds["t"] == (
        NOON,
        NOON,
    )
    text = open_table(write(tmp_path / "b.csv", GOOD_CSV), **COLUMNS)
    assert [(p.group, p.first_row) for p in text.pieces()] == [(None, 1)]


def test_some_pieces_and_columns_are_read_with_their_row_numbers(tmp_path):
    rows = pa.table(
        {"id": [str(i) for i in range(10, 20)], "t": [NOON] * 10, "w": [1.0] * 10, "v": ["a"] * 10}
    )
    pq.write_table(rows, tmp_path / "x.parquet", row_group_size=2)
    table = open_table(tmp_path / "x.parquet", **COLUMNS)
    chosen = [table.pieces()[number] for number in (1, 2, 4)]
    chunks = list(table.read(chosen, ["id"]))
    numbered = {
        chunk.first_row + place: v
        for chunk in chunks
        for place, v in enumerate(chunk.columns["id"].to_pylist())
    }
    assert numbered == {3: "12", 4: "13", 5: "14", 6: "15", 9: "18", 10: "19"}
    assert all(list(chunk.columns) == ["id"] for chunk in chunks)
    assert list(table.read([], ["id"])) == []
