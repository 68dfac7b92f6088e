"""Tables in every format give the same columns; refusals name the row and never a value."""

from __future__ import annotations

import datetime as dt
import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_columns import Place, convert
from xstat_ray.inputs.tables import input_digest, open_table

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


def bad_text(*values: bytes) -> pa.Array:
    """A string array whose bytes need not be UTF-8, as a faulty writer leaves it in Parquet."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


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


@pytest.mark.parametrize(
    ("use", "array", "message"),
    [
        (
            "id",
            pa.array([1.0]),
            "type double cannot serve as id .*column c.*text or as whole numbers",
        ),
        ("id", pa.array([True]), "type bool cannot serve as id"),
        ("id", pa.array([b"x"]), "type binary cannot serve as id"),
        ("id", pa.array([1.0]).dictionary_encode(), "cannot serve as id"),
        ("values", pa.array([1.0]), "cannot serve as value"),
        ("values", pa.array([dt.date(2023, 1, 1)]), "cannot serve as value"),
        (
            "times",
            pa.array(["2023-08-28"]),
            "type string cannot serve as time.*timestamps or dates",
        ),
        ("times", pa.array([1]), "type int64 cannot serve as time"),
        ("numbers", pa.array(["1"]), "type string cannot serve as number"),
        ("numbers", pa.array([True]), "type bool cannot serve as number"),
    ],
)
def test_refused_types(tmp_path, use, array, message):
    path = write(tmp_path / "x.parquet", pa.table({"c": array}))
    with pytest.raises(InputError, match=message) as caught:
        open_table(path, **{use: "c" if use == "id" else ["c"]})
    assert caught.value.file == str(path)


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
        open_table(tmp_path, id="nobody")


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


BAD_FILES = [
    ({}, "holds no files"),
    ({"x.txt": b"hello"}, "not a table file .*x.txt.*begin its name with '_'"),
    (
        {"a.csv": "id\n1\n", "b.parquet": pa.table({"id": ["1"]})},
        "different formats, csv and parquet .*b.parquet",
    ),
    ({"a.parquet": b""}, "the file is empty .*a.parquet"),
    ({"a.csv": b""}, "the file is empty .*a.csv"),
    ({"a.parquet": b"PAR1 secret"}, "damaged or is not Parquet .*a.parquet"),
    ({"a.arrow": b"ARROW1 secret"}, "damaged or is not an Arrow file .*a.arrow"),
    ({"a.csv.gz": b"secret"}, "damaged or is not CSV .*a.csv.gz"),
    ({"a.csv.gz": gzip.compress(b"id\nsecret\n")[:-8]}, "damaged or is not CSV .*a.csv.gz"),
    (
        {"a.csv": "id,v\n1,a\n2,b\nsecret\n"},
        "another number of fields than the header .*a.csv, row 3",
    ),
    ({"a.csv": b"id,\xff\n1,2\n"}, "the header is not UTF-8 .*a.csv"),
    ({"a.csv": "id,id\n1,2\n"}, "same name .*a.csv"),
    ({"a.csv": "ID ,v\n1,2\n"}, "no such column .*column id.*The columns are ID , v"),
    ({"a.csv": "ids,v\n1,2\n"}, "no such column .*column id.*Did you mean 'ids'"),
    ({"a.parquet": pa.table([["1"], ["2"]], ["id", "id"])}, "occurs twice .*a.parquet, column id"),
    (
        {"a.parquet": pa.table({"id": ["1"]}), "b.parquet": pa.table({"v": ["1"]})},
        "no such column .*b.parquet",
    ),
    (
        {"a.parquet": pa.table({"id": ["1"]}), "b.parquet": pa.table({"id": [1]})},
        "whole here and text .*b.parquet",
    ),
]


@pytest.mark.parametrize(("files", "message"), BAD_FILES)
def test_what_is_wrong_with_a_file_is_said_when_it_is_opened(tmp_path, files, message):
    for name, content in files.items():
        write(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as caught:
        open_table(tmp_path, id="id")
    assert "secret" not in str(caught.value)


def test_a_missing_path(tmp_path):
    with pytest.raises(InputError, match=r"no such file or folder .*nothing.parquet"):
        open_table(tmp_path / "nothing.parquet", id="id")


def test_one_column_in_two_roles(tmp_path):
    path = write(tmp_path / "x.parquet", GOOD)
    with pytest.raises(InputError, match=r"used both as number and as value .*column v"):
        open_table(path, numbers=["v"], values=["v"])


def test_damage_beyond_the_beginning_is_found_while_reading(tmp_path):
    lines = "".join(f"{i},x\n" for i in range(1_500_000))
    path = write(tmp_path / "x.csv", f"id,v\n{lines}secret\n")
    # Arrow reads ahead, and now and then meets the damage before the first rows are asked for.
    with pytest.raises(InputError, match=r"another number of fields .*row 1500001") as caught:
        list(open_table(path, id="id").chunks())
    assert "secret" not in str(caught.value)


def test_large_csv_files_are_cut_into_batches(tmp_path):
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


@pytest.mark.parametrize("use", ["id", "value", "number", "time"])
@pytest.mark.parametrize("codes", [[0, None, 1], [0, None, -1]])
def test_a_code_that_stands_for_no_value_is_refused_with_its_row(use, codes):
    """Arrow reads such codes from some damaged Parquet files."""
    values = pa.DictionaryArray.from_arrays(
        pa.array(codes, pa.int32()), pa.array(["2024-01-01"]), safe=False
    )
    with pytest.raises(
        InputError, match=r"refers to a value that the file lacks \(file f, column c, row 13\)"
    ):
        convert(values, use, Place("f", "c", 11), parse=False)


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow", "x.csv"])
@pytest.mark.parametrize("use", ["id", "values"])
def test_text_that_is_not_utf8_is_refused_with_its_row(tmp_path, name, use):
    values = [b"a"] * 30 + [b"secret\xff"] + [b"b", b"\xfe"]
    content = b"c\n" + b"\n".join(values) if name == "x.csv" else pa.table({"c": bad_text(*values)})
    table = open_table(write(tmp_path / name, content), **{use: "c" if use == "id" else ["c"]})
    with pytest.raises(InputError, match=r"not UTF-8 .*column c, row 31\)") as caught:
        list(table.chunks(chunk_rows=20))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("use", "good", "bad", "message"),
    [
        (
            "times",
            "2023-08-28",
            "secret",
            "not a time that can be read .*column c, row 4.*ISO 8601",
        ),
        ("times", "2023-08-28", "28/08/2023", "not a time that can be read .*row 4"),
        ("times", "2023-08-28T05:00", "2023-08-28T05:00Z", "time zones mixed.*row 4"),
        ("times", "2023-08-28T05:00:00+09:00", "2023-08-28", "time zones mixed.*row 4"),
        ("numbers", "1.5", "secret", "not a number .*column c, row 4"),
    ],
)
@pytest.mark.parametrize("chunk_rows", [2, 100])
def test_values_that_cannot_be_read(tmp_path, use, good, bad, message, chunk_rows):
    path = write(tmp_path / "x.csv", f"c,d\n{good},1\n,1\n{good},1\n{bad},1\n{good},1\n")
    with pytest.raises(InputError, match=message) as caught:
        list(open_table(path, **{use: ["c"]}).chunks(chunk_rows))
    assert bad not in str(caught.value)


def test_files_that_disagree_about_zones(tmp_path):
    write(
        tmp_path / "p" / "a.parquet",
        pa.table({"t": pa.array([0], pa.timestamp("us", "Asia/Tokyo"))}),
    )
    write(tmp_path / "p" / "b.parquet", pa.table({"t": pa.array([0], pa.timestamp("us", "UTC"))}))
    assert len(read(tmp_path / "p", times=["t"])["t"]) == 2
    write(tmp_path / "p" / "c.parquet", pa.table({"t": pa.array([0], pa.timestamp("us"))}))
    write(tmp_path / "c" / "a.csv", "t\n2023-08-28T05:00Z\n")
    write(tmp_path / "c" / "b.csv", "t\n\n\nNA\n2023-08-28T05:00\n")
    for folder in ("p", "c"):
        with pytest.raises(InputError, match="time zones mixed"):
            open_table(tmp_path / folder, times=["t"])


def test_missing_times_say_nothing_about_zones(tmp_path):
    write(tmp_path / "a.csv", "t\nNA\n")
    write(tmp_path / "b.csv", "t\nNA\n2023-08-28T05:00Z\n")
    assert read(tmp_path, times=["t"])["t"][:2] == [None, None]


def test_times_beyond_what_can_be_represented_are_refused(tmp_path):
    path = write(tmp_path / "x.arrow", pa.table({"t": pa.array([0, 2**62], pa.timestamp("s"))}))
    with pytest.raises(InputError, match=r"not a time .*row 2"):
        list(open_table(path, times=["t"]).chunks())


def test_batches_refuse_to_travel_and_tables_do(tmp_path):
    table = open_table(write(tmp_path / "x.parquet", GOOD), **COLUMNS)
    (chunk,) = pickle.loads(pickle.dumps(table)).chunks()
    assert "007" not in repr(chunk)
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps(chunk)


def test_the_digest_covers_names_and_contents_under_the_key(tmp_path):
    for folder in ("one", "same"):
        write(tmp_path / folder / "a.csv", "id\n1\n")
        write(tmp_path / folder / "b.csv", "id\n2\n")
    write(tmp_path / "renamed" / "a.csv", "id\n1\n")
    write(tmp_path / "renamed" / "c.csv", "id\n2\n")
    write(tmp_path / "edited" / "a.csv", "id\n1\n")
    write(tmp_path / "edited" / "b.csv", "id\n3\n")
    write(tmp_path / "moved" / "a.csv", "id\n1\nid\n")
    write(tmp_path / "moved" / "b.csv", "2\n")
    digests = {
        name: input_digest(tmp_path / name, b"k")
        for name in ("one", "same", "renamed", "edited", "moved")
    }
    assert digests["one"] == digests.pop("same")
    assert len(set(digests.values())) == 4
    assert input_digest(tmp_path / "one", b"other") != digests["one"]
    assert len(bytes.fromhex(digests["one"])) == 32
    assert input_digest(tmp_path / "one" / "a.csv", b"k") == input_digest(
        tmp_path / "same" / "a.csv", b"k"
    )


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


def test_the_name_of_a_time_zone_that_is_no_text(tmp_path):
    path = tmp_path / "table.arrow"
    feather.write_feather(
        pa.table({"id": ["x"], "at": pa.array([1], pa.timestamp("us", "Asia/Tokyo"))}), path
    )
    content = path.read_bytes()
    assert b"Asia/Tokyo" in content
    path.write_bytes(content.replace(b"Asia/Tokyo", b"As\x9da/Tokyo"))
    with pytest.raises(InputError, match="not UTF-8"):
        open_table(path, id="id", times=["at"])
