"""Damaged and unsuitable tables are refused by file, column and row, never by a value."""

from __future__ import annotations

import datetime as dt
import gzip
import os

import pyarrow as pa
import pyarrow.feather as feather
import pytest

from tests.inputs.tables import GOOD, read, write
from tests.sizes import thorough
from xstat_ray.errors import InputError
from xstat_ray.inputs.table_columns import Place, convert
from xstat_ray.inputs.table_options import TableOptions
from xstat_ray.inputs.tables import open_table


def bad_text(*values: bytes) -> pa.Array:
    """A string array whose bytes need not be UTF-8, as a faulty writer leaves it in Parquet."""
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


@pytest.mark.parametrize(
    ("use", "array", "message"),
    [
        (
            "id",
            pa.array([True]),
            "type bool cannot serve as id .*column c.*text or as whole numbers",
        ),
        ("id", pa.array([b"x"]), "type binary cannot serve as id"),
        ("id", pa.array([b"x"]).dictionary_encode(), "cannot serve as id"),
        ("values", pa.array([b"x"]), "cannot serve as value"),
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
    (
        {"a.csv": "ID ,v\n1,2\n"},
        "no such column .*column id.*Did you mean 'ID '.*The columns are ID , v",
    ),
    (
        {"a.csv": "id ,v\n1,2\n"},
        "no such column .*column id.*Remove spaces and invisible characters from the name 'id '",
    ),
    ({"a.csv": "\u200bid\n1\n"}, r"no such column .*Remove spaces .*'\\u200bid'"),
    ({"a.csv": "title\nsecret,\nid,v\n1,2\n"}, "The header is in line 3"),
    ({"a.jsonl": '{"secret": 1}\n'}, "no such key among the 1 of the first lines .*a.jsonl"),
    ({"a.jsonl": '{"id": "x"}\n{"id": "secret\\ud800"}\n'}, "half of a character .*row 2"),
    ({"a.csv": "secret,v\n1,2\n"}, "no such column .*column id.*Put a header above"),
    ({"a.parquet": pa.table({"ids": ["1"]})}, "no such column .*column id.*Did you mean 'ids'"),
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


def test_one_column_with_two_uses(tmp_path):
    path = write(tmp_path / "x.parquet", GOOD)
    with pytest.raises(InputError, match=r"used both as number and as value .*column v"):
        open_table(path, numbers=["v"], values=["v"])


@thorough
def test_damage_beyond_the_beginning_is_found_while_reading(tmp_path):
    lines = "".join(f"{i},x\n" for i in range(1_500_000))
    path = write(tmp_path / "x.csv", f"id,v\n{lines}secret\n")
    # Arrow reads ahead, and now and then meets the damage before the first rows are asked for.
    with pytest.raises(InputError, match=r"another number of fields .*row 1500001") as caught:
        list(open_table(path, id="id").chunks())
    assert "secret" not in str(caught.value)


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


def test_times_beyond_what_can_be_represented_are_refused(tmp_path):
    path = write(tmp_path / "x.arrow", pa.table({"t": pa.array([0, 2**62], pa.timestamp("s"))}))
    with pytest.raises(InputError, match=r"not a time .*row 2"):
        list(open_table(path, times=["t"]).chunks())


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


@pytest.mark.parametrize("name", [b"id=%FF", b"id=\xff", b"id=a%ED%A0%80"])
def test_names_of_folders_that_are_no_text_are_refused(tmp_path, name):
    """Repaired, two of them could become the same id."""
    folder = tmp_path / "t" / os.fsdecode(name)
    folder.mkdir(parents=True)
    write(tmp_path / "x.parquet", pa.table({"v": ["a"]})).rename(folder / "x.parquet")
    with pytest.raises(InputError, match="name of a folder is not UTF-8") as caught:
        open_table(tmp_path / "t", id="id")
    assert str(caught.value).encode()


@pytest.mark.parametrize(
    ("files", "setting"),
    [
        ({"_delta_log/00000000000000000000.json": "{}", "a.parquet": b""}, "format=delta"),
        ({"metadata/v1.metadata.json": "{}", "data/a.parquet": b""}, "format=iceberg"),
        ({"a.bin": b"1"}, "format="),
        ({"a.csv": "id,\u91e7\n1,a\n".encode("cp932")}, "encoding="),
        ({"a.csv": b"id\n" + "\u91e7".encode("cp932") + b"\n"}, "encoding="),
        ({"a.jsonl": b'{"id": "' + "\u91e7".encode("cp932") + b'"}\n'}, "encoding="),
        ({"a.csv": "id;area\n1;a\n"}, "delimiter="),
    ],
)
def test_a_remedy_names_a_setting_as_it_is_typed(tmp_path, files, setting):
    for name, content in files.items():
        path = tmp_path / "table" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    options = TableOptions(section="data.column")
    with pytest.raises(InputError) as caught:
        list(open_table(tmp_path / "table", id="id", options=options).chunks())
    assert f"data.column.{setting}" in str(caught.value.remedy)


@pytest.mark.parametrize("end", ["", "\n", "\r", "\r\n"])
def test_a_header_alone_is_a_list_of_nobody(tmp_path, end):
    path = write(tmp_path / "a.csv", f"id,note{end}")
    assert not list(open_table(path, id="id", may_be_empty=True).chunks())
    with pytest.raises(InputError, match="the table has no rows"):
        open_table(path, id="id")
