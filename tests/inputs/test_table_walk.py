"""Which files a table has: links, patterns, folders that may not be read, and names of any bytes."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import KEY_BITS, Case, counts, study, use_key
from tests.inputs.tables import read, write
from xstat_ray.crypto.keygen import generate
from xstat_ray.errors import InputError
from xstat_ray.inputs import parquet_reader, table_reader, table_walk
from xstat_ray.inputs.table_files import list_files
from xstat_ray.inputs.tables import open_table

SECRET = "090-1111-0001"
CSV = f"id\n{SECRET}\n"


def days(folder: Path, *names: str) -> Path:
    for name in names:
        write(folder / name, CSV)
    return folder


def names(path: Path | str | list[Path]) -> list[str]:
    return [file.name for file in list_files(path)]


def test_a_folder_that_is_a_link_is_a_day_like_any_other(tmp_path):
    days(tmp_path, "presence/date=1/a.csv", "disk2/b.csv")
    (tmp_path / "presence" / "date=2").symlink_to("../disk2")
    files = list_files(tmp_path / "presence")
    assert [(file.name, file.partitions) for file in files] == [
        ("date=1/a.csv", {"date": "1"}),
        ("date=2/b.csv", {"date": "2"}),
    ]
    assert read(tmp_path / "presence", id="id", values=["date"])["date"] == ["1", "2"]


@pytest.mark.parametrize(
    ("link", "target", "problem"),
    [
        ("t/c.csv", "gone.csv", "the link leads to nothing"),
        ("t/day", "/nowhere/at/all", "the link leads to nothing"),
        ("t/day", "day", "the link leads to itself"),
        ("t/d/day", "..", "leads back to a folder above"),
        ("t/d/day", ".", "leads back to a folder above"),
        ("t/c.csv", "a.csv", "two names lead to one file"),
        ("t/latest", "d", "two names lead to one file"),
    ],
)
def test_links_that_would_lose_rows_or_count_them_twice(tmp_path, link, target, problem):
    days(tmp_path, "t/a.csv", "t/d/b.csv")
    (tmp_path / link).symlink_to(target)
    with pytest.raises(InputError, match=problem) as caught:
        open_table(tmp_path / "t", id="id")
    assert str(caught.value.file).startswith(str(tmp_path / "t"))
    (tmp_path / link).rename((tmp_path / link).with_name("_left_out"))
    assert len(names(tmp_path / "t")) == 2


def test_a_table_that_is_a_link(tmp_path):
    days(tmp_path, "a.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    assert names(tmp_path / "b.csv") == ["b.csv"]
    (tmp_path / "c.csv").symlink_to("gone.csv")
    with pytest.raises(InputError, match="the link leads to nothing"):
        list_files(tmp_path / "c.csv")


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    days(tmp_path, "t/a.csv", "t/date=2/b.csv")
    scan = os.scandir

    def refused(path):
        if Path(path).name == "date=2":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(table_walk.os, "scandir", refused)
    with pytest.raises(InputError, match="the folder may not be read") as caught:
        open_table(tmp_path / "t", id="id")
    assert caught.value.file == str(tmp_path / "t" / "date=2")


def test_what_is_neither_a_file_nor_a_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv"):
        with pytest.raises(InputError, match="neither a file nor a folder"):
            list_files(path)


PATTERNS = [
    ("date=1/*.csv", ["date=1/a.csv"]),
    ("date=*", ["date=1/a.csv", "date=2/a.csv", "date=2/b.csv"]),
    ("date=*/a.csv", ["date=1/a.csv", "date=2/a.csv"]),
    ("date=[2-9]/?.csv", ["date=2/a.csv", "date=2/b.csv"]),
    ("**", ["date=1/a.csv", "date=2/a.csv", "date=2/b.csv", "x/y/c.csv", "z.csv"]),
    ("**/[ab].csv", ["date=1/a.csv", "date=2/a.csv", "date=2/b.csv"]),
    ("**/y/*", ["x/y/c.csv"]),
    ("*.csv", ["z.csv"]),
]


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS)
def test_patterns(tmp_path, pattern, expected):
    days(tmp_path, "date=1/a.csv", "date=2/a.csv", "date=2/b.csv", "x/y/c.csv", "z.csv")
    days(tmp_path, "_hidden/a.csv", "date=1/.a.csv")
    files = list_files(f"{tmp_path}/{pattern}")
    assert [os.path.relpath(file.path, tmp_path) for file in files] == expected
    dated = [file for file in files if "date" in file.partitions]
    assert len(dated) == sum("date=" in file.name for file in files)


def test_a_pattern_that_no_file_fits(tmp_path):
    days(tmp_path, "date=1/a.csv")
    with pytest.raises(InputError, match="no file fits the pattern"):
        list_files(f"{tmp_path}/date=2*")
    with pytest.raises(InputError, match="no such file or folder"):
        list_files(f"{tmp_path}/months/2024-*")


def test_a_name_that_looks_like_a_pattern_and_is_there(tmp_path):
    days(tmp_path, "rows [1].csv", "rows 1.csv")
    assert names(tmp_path / "rows [1].csv") == ["rows [1].csv"]


def test_several_paths_are_one_table_and_no_file_is_named_twice(tmp_path):
    days(tmp_path, "may/date=1/a.csv", "june/date=1/a.csv")
    paths = [tmp_path / "may", tmp_path / "june"]
    assert names(paths) == ["1/date=1/a.csv", "2/date=1/a.csv"]
    assert read(paths, id="id", values=["date"]) == {"id": [SECRET] * 2, "date": ["1"] * 2}
    with pytest.raises(InputError, match="two names lead to one file"):
        list_files([*paths, tmp_path / "may" / "date=1"])


def test_names_of_files_are_bytes(tmp_path):
    write(tmp_path / "a.csv", CSV)
    (tmp_path / "a.csv").rename(os.fsdecode(os.fsencode(tmp_path) + "/釧路.csv".encode("cp932")))
    (file,) = list_files(tmp_path)
    assert file.name.encode() and "\\x" in file.name
    assert read(tmp_path, id="id")["id"] == [SECRET]
    bad = os.fsencode(tmp_path) + "/根室.csv".encode("cp932")
    Path(os.fsdecode(bad)).write_text("id\n1,2\n")
    with pytest.raises(InputError, match="number of fields") as caught:
        open_table(tmp_path, id="id")
    assert str(caught.value).encode()


@pytest.mark.parametrize("name", ["000000_0", "a.txt", "a", "a.parquet.gz", "a.xlsx"])
def test_a_name_that_tells_no_format(tmp_path, name):
    write(tmp_path / name, CSV)
    with pytest.raises(InputError, match="not a table file by its name.*format=parquet") as caught:
        open_table(tmp_path, id="id")
    assert caught.value.file == str(tmp_path / name)


LAKES = [
    ("_delta_log/00000000000000000000.json", "a Delta table"),
    (".hoodie/hoodie.properties", "a Hudi table"),
    ("date=1/.hoodie_partition_metadata", "a part of a Hudi table"),
    ("metadata/v1.metadata.json", "an Iceberg table"),
    ("metadata/00001-5f.gz.metadata.json", "an Iceberg table"),
    ("metadata/version-hint.text", "an Iceberg table"),
    ("_spark_metadata/0", "written by a stream of Spark"),
    ("delete_delta_0000002_0000002_0000/bucket_00000", "a transactional table of Hive"),
    ("base_0000001/bucket_00000", "a transactional table of Hive"),
    ("_temporary/0/part-0.csv", "still being written"),
]


@pytest.mark.parametrize(("mark", "kind"), LAKES)
@pytest.mark.parametrize("place", ["", "region=1/"])
def test_folders_whose_files_alone_are_not_the_table(tmp_path, mark, kind, place):
    days(tmp_path, f"t/{place}a.csv", f"t/{place}date=1/b.csv")
    write(tmp_path / "t" / f"{place}{mark}", "{}")
    with pytest.raises(InputError, match=kind) as caught:
        open_table(tmp_path / "t", id="id")
    assert caught.value.remedy


@pytest.mark.parametrize("inside", ["a.csv", "date=1", "date=1/*.csv", "date=*"])
@pytest.mark.parametrize("mark", [LAKES[0][0], LAKES[1][0], LAKES[3][0]])
def test_a_part_of_such_a_folder_is_refused_too(tmp_path, inside, mark):
    days(tmp_path, "t/a.csv", "t/date=1/b.csv")
    write(tmp_path / "t" / mark, "{}")
    with pytest.raises(InputError, match="only its log tells"):
        list_files(tmp_path / "t" / inside)


def test_a_folder_called_metadata_is_no_lake(tmp_path):
    days(tmp_path, "t/a.csv", "t/metadata/b.csv")
    assert names(tmp_path / "t") == ["a.csv", "metadata/b.csv"]


def test_the_files_of_a_folder_are_looked_at_a_number_of_times_that_is_fixed(tmp_path, monkeypatch):
    """A table of many files begins in time only if none is looked at for the sake of another."""
    looked = Counter()
    realpath = os.path.realpath
    monkeypatch.setattr(
        os.path, "realpath", lambda path, **named: looked.update(["path"]) or realpath(path)
    )
    footer = pq.read_metadata
    monkeypatch.setattr(
        parquet_reader.pq, "read_metadata", lambda file: looked.update(["footer"]) or footer(file)
    )
    for number in range(20):
        pq.write_table(pa.table({"id": ["1"]}), tmp_path / f"{number}.parquet")
    table = open_table(tmp_path, id="id")
    assert len(table.pieces()) == 20
    assert looked["path"] == 20
    assert looked["footer"] == 20


def test_a_file_with_two_names_is_refused(tmp_path):
    """Hard links, in one folder or in two."""
    days(tmp_path, "t/date=1/a.csv", "t/date=2/b.csv")
    (tmp_path / "t/date=2/c.csv").hardlink_to(tmp_path / "t/date=1/a.csv")
    with pytest.raises(InputError, match=r"two names lead to one file.*date=1/a\.csv"):
        list_files(tmp_path / "t")
    paths = [tmp_path / "t/date=1/a.csv", tmp_path / "t/date=2/c.csv"]
    with pytest.raises(InputError, match="two names lead to one file"):
        list_files(paths)
    assert names(paths[0]) == ["a.csv"]


@pytest.mark.parametrize(
    "copy",
    [
        "a (1).csv",
        "a(2).csv",
        "a - Copy.csv",
        "a copy 2.csv",
        "a - コピー (3).csv",
        "Copy of a.csv",
    ],
)
def test_a_copy_by_its_name_and_by_what_it_holds_is_refused(tmp_path, copy):
    days(tmp_path, "t/a.csv", f"t/{copy}")
    with pytest.raises(InputError, match=r"a copy of .*a\.csv"):
        list_files(tmp_path / "t")
    write(tmp_path / "t" / copy, "id\n2\n")
    assert len(names(tmp_path / "t")) == 2


def test_files_of_other_names_may_hold_the_same(tmp_path):
    days(tmp_path, "t/a.csv", "t/b.csv", "t/day=1/a.csv", "t/c (1).csv")
    assert len(names(tmp_path / "t")) == 4


def test_folders_that_give_a_column_two_values(tmp_path):
    days(tmp_path, "t/day=1/day=2/SECRET=x/a.csv")
    with pytest.raises(InputError, match=r"different values .*column day"):
        list_files(tmp_path / "t")
    days(tmp_path, "u/day=1/day=1/a.csv", "u/day=/a.csv")
    assert [file.partitions["day"] for file in list_files(tmp_path / "u")] == [None, "1"]


def test_a_pattern_below_a_folder_whose_name_looks_like_one(tmp_path):
    days(tmp_path, "rows [1]/date=1/a.csv", "rows 1/date=2/a.csv")
    assert names(tmp_path / "rows [1]" / "date=*") == ["date=1/a.csv"]


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\u202eb", "a\u200bb"])
def test_a_name_is_shown_without_what_moves_a_cursor(tmp_path, name):
    write(tmp_path / "t" / f"{name}.csv", "id\n1,2\n")
    with pytest.raises(InputError, match="number of fields") as caught:
        open_table(tmp_path / "t", id="id")
    assert str(caught.value).isprintable()
    assert "\\" in str(caught.value.file)


def test_a_name_in_another_form_of_unicode(tmp_path):
    days(tmp_path, "カ\u3099.csv")
    with pytest.raises(InputError, match=r"looks the same is there.*\(NFC, NFD\)"):
        list_files(tmp_path / "ガ.csv")


def test_paths_that_no_disk_can_have(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        list_files(tmp_path / "a\0b.csv")


def test_a_folder_of_a_partition_tells_how_to_have_its_column(tmp_path):
    days(tmp_path, "t/day=1/a.csv")
    with pytest.raises(InputError, match=r"no such column .*column day.*folder above that"):
        open_table(tmp_path / "t/day=1", id="id", values=["day"])


@pytest.fixture(scope="module")
def key():
    return generate(KEY_BITS)


@pytest.mark.parametrize(("many", "opened"), [(1_000, 4), (5, 3)])
def test_a_run_opens_each_of_many_files_a_few_times(tmp_path, monkeypatch, key, many, opened):
    """For the footer, the first rows (unless there are very many files), the ids, and the rows.

    The driver opens none, and the first file is looked at twice more.
    """
    use_key(key, monkeypatch.setattr)
    monkeypatch.setattr(table_reader, "_MANY_FILES", many)
    case = Case(tmp_path)
    case.tables["row"] = tmp_path / "rows"
    case.tables["row"].mkdir()
    for number in range(12):
        columns = {"id": [str(number)], "area": ["ab"[number % 2]]}
        pq.write_table(pa.table(columns), case.tables["row"] / f"{number:02}.parquet")
    times = Counter()
    open_bytes = parquet_reader.open_bytes
    monkeypatch.setattr(
        parquet_reader, "open_bytes", lambda file: times.update([file.name]) or open_bytes(file)
    )
    assert counts(case.run(study()))[("b", "x")] == 2
    assert {times[f"{number:02}.parquet"] for number in range(1, 12)} == {opened}
    assert times["00.parquet"] == opened + 2


@pytest.mark.parametrize(
    ("folder", "values", "fits"),
    [
        ("v=a", ["a", None, "a"], True),
        ("v=05", [5], True),
        ("v=5", [5.0], True),
        ("v=2024-05-01", [dt.date(2024, 5, 1)], True),
        ("v=a", ["b"], False),
        ("v=6", [5], False),
        ("v=__HIVE_DEFAULT_PARTITION__", ["b"], False),
    ],
)
def test_a_folder_that_contradicts_its_files_is_refused(tmp_path, folder, values, fits):
    path = tmp_path / "t" / folder / "a.parquet"
    write(path, pa.table({"id": ["1"] * len(values), "v": values}))
    if fits:
        assert len(read(tmp_path / "t", id="id", values=["v"])["v"]) == len(values)
        return
    with pytest.raises(InputError, match=r"another value than the file itself .*column v"):
        open_table(tmp_path / "t", id="id", values=["v"])


def test_a_day_of_a_folder_does_not_hide_times(tmp_path):
    """All rows would be read as of midnight."""
    write(tmp_path / "t/at=2024-05-01/a.csv", "id,at\n1,2024-05-01T08:10\n")
    with pytest.raises(InputError, match="another value than the file itself"):
        open_table(tmp_path / "t", id="id", times=["at"])


def test_no_path_and_a_path_that_is_too_long(tmp_path):
    with pytest.raises(InputError, match="no path is given"):
        list_files([])
    with pytest.raises(InputError, match="no such file or folder"):
        list_files(tmp_path / ("x" * 300))
