"""Formats beside Parquet and CSV: JSON lines, ORC, Arrow streams; and files that a setting names."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.orc as orc
import pytest

from tests.inputs.tables import NOON, read, write
from xstat_ray.errors import InputError
from xstat_ray.inputs.table_files import list_files
from xstat_ray.inputs.table_options import FORMAT_NAMES, TableOptions
from xstat_ray.inputs.tables import open_table

TABLE = pa.table(
    {
        "id": ["007", None, "3"],
        "t": pa.array([NOON, None, NOON], pa.timestamp("ns")),
        "w": [1.5, None, 2.0],
        "v": ["a", "b", "a"],
        "unused": [1, 2, 3],
    }
)
COLUMNS = {"id": "id", "times": ["t"], "numbers": ["w"], "values": ["v"]}


def stream(path, table=TABLE):
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return path


def json_lines(path):
    return write(
        path,
        '{"id": "007", "t": "2023-08-28T12:00", "w": 1.5, "v": "a", "unused": [1]}\n'
        '\n{"id": null, "v": "b", "w": null}\r\n'
        '{"v": "a", "w": 2, "t": "2023-08-28 12:00:00", "id": "3"}',
    )


WRITERS = {
    "a.arrow": stream,
    "a.feather": lambda path: feather.write_feather(TABLE, path),
    "a.orc": lambda path: orc.write_table(TABLE, path),
    "a.jsonl": json_lines,
    "a.ndjson.gz": json_lines,
    "a.tsv": lambda path: write(
        path, "id\tt\tw\tv\n007\t2023-08-28T12:00\t1.5\ta\n\t\t\tb\n3\t2023-08-28T12:00\t2\ta\n"
    ),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
def test_all_formats_give_the_same(tmp_path, name, chunk_rows):
    WRITERS[name](tmp_path / name)
    rows = read(tmp_path / name, chunk_rows, **COLUMNS)
    assert rows["id"] == ["007", None, "3"] and rows["v"] == ["a", "b", "a"]
    assert rows["t"] == [NOON, None, NOON]
    assert rows["w"][::2] == [1.5, 2.0] and rows["w"][1] != rows["w"][1]


@pytest.mark.parametrize("name", WRITERS)
def test_rows_of_which_no_column_is_asked_for_are_counted(tmp_path, name):
    (tmp_path / "date=1").mkdir()
    WRITERS[name](tmp_path / "date=1" / name)
    assert read(tmp_path, values=["date"])["date"] == ["1"] * 3


def test_numbers_of_json_keep_their_digits(tmp_path):
    path = write(
        tmp_path / "a.jsonl",
        '{"id": 9011110001, "v": true}\n{"id": 9011110001.0, "v": false}\n{"id": 1e3, "v": 7}\n',
    )
    rows = read(path, id="id", values=["v"])
    assert rows["id"] == ["9011110001", "9011110001.0", "1e3"] and rows["v"] == [
        "true",
        "false",
        "7",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "secret"}\n{"id": "secret"\n', r"the line is not JSON .*row 2\)"),
        ('[{"id": "secret"}]\n', "not an object of JSON .*row 1.*one object a line"),
        ('{"id": "a"}\n"secret"\n', "not an object of JSON .*row 2"),
        ('{"id": "secret", "id": "b"}\n', "one key twice .*row 1"),
        ('{"id": ["secret"]}\n', "a list or an object .*column id, row 1"),
        ('{"id": {"secret": 1}}\n', "a list or an object .*column id, row 1"),
        ('{"name": "secret"}\n', "no such key .*column id"),
        ("", "the file is empty"),
    ],
)
def test_bad_json_lines(tmp_path, text, message):
    path = write(tmp_path / "a.jsonl", text)
    with pytest.raises(InputError, match=message) as caught:
        list(open_table(path, id="id").chunks())
    assert "secret" not in str(caught.value)


def test_a_stream_without_its_end_may_lack_rows(tmp_path):
    path = stream(tmp_path / "a.arrow")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="nor the end of a stream"):
        open_table(path, id="id")


def test_an_old_feather_file(tmp_path):
    write(tmp_path / "a.feather", b"FEA1" + bytes(32) + b"FEA1")
    with pytest.raises(InputError, match="Feather of version 1"):
        open_table(tmp_path, id="id")


@pytest.mark.parametrize("name", ["000000_0", "part-00000", "rows.dat", "part.0.gz"])
@pytest.mark.parametrize("form", [*FORMAT_NAMES])
def test_a_setting_tells_what_files_are_whose_names_do_not(tmp_path, name, form):
    write(tmp_path / name, b"")
    if name.endswith(".gz") and form not in ("csv", "tsv", "jsonl"):
        with pytest.raises(InputError, match="not a table file by its name"):
            list_files(tmp_path, TableOptions(format=form))
        return
    (file,) = list_files(tmp_path, TableOptions(format=form))
    assert file.format == FORMAT_NAMES[form]
    (named,) = list_files(write(tmp_path / "x" / "a.csv", "id\n"), TableOptions(format=form))
    assert named.format == "csv"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T08:10:00.123456789", dt.datetime(2024, 5, 1, 8, 10, 0, 123456)),
        ("2024-05-01 08:10:00.1234567", dt.datetime(2024, 5, 1, 8, 10, 0, 123456)),
        ("2024-05-01T08:10:00.1", dt.datetime(2024, 5, 1, 8, 10, 0, 100000)),
    ],
)
@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
def test_digits_below_a_microsecond_are_cut_off(tmp_path, text, expected, zone):
    path = write(tmp_path / "a.csv", f"t,x\n{text}{zone},\n,\n2024-05-01T00:00{zone},\n")
    found = read(path, times=["t"])["t"]
    assert found[0].replace(tzinfo=None) == expected and found[1] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2024-05-01T24:00:00", "its hour is past 23.*next date"),
        ("2024-05-01 25:10", "its hour is past 23"),
        ("2024-05-01T124:10:00", "its hour is past 23"),
        ("1714521600", "it is a number"),
        ("1714521600.5", "it is a number"),
        ("2024-05-01T23:60", "not a time that can be read .*column t, row 2"),
    ],
)
def test_times_of_other_worlds_say_what_to_do(tmp_path, text, message):
    path = write(tmp_path / "a.csv", f"t,x\n2024-05-01T08:00,\n{text},\n")
    with pytest.raises(InputError, match=message) as caught:
        list(open_table(path, times=["t"]).chunks())
    assert caught.value.row == 2 and text not in str(caught.value)
