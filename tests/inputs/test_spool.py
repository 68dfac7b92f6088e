"""Copies of tables that are no files: whole, sorted, of bounded memory, for their party alone, and gone."""

from __future__ import annotations

import datetime as dt
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import HOURS, study
from xstat_ray.errors import InputError
from xstat_ray.inputs.frames import Frame
from xstat_ray.inputs.outside import Opened, OutsideTable, extra
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.spool import RECORD, columns_of, fill, remove, spooled
from xstat_ray.inputs.stream_copy import copy
from xstat_ray.inputs.tables import open_table

USES = {"id": "id", "area": "value", "at": "time", "weight": "number"}
TIMES = [dt.datetime(2024, 1, 1, hour) for hour in (3, 1, 2, 0)]
TABLE = pa.table(
    {
        "id": ["3", "1", None, "2"],
        "area": ["a", "b", "a", None],
        "at": TIMES,
        "weight": [1, None, 2, 3],
        "more": [[1], [2], [3], [4]],
    }
)


class Stated(OutsideTable):
    """Batches of a table that has states, and text for times and numbers."""

    parses = True

    def __init__(self, *batches: pa.RecordBatch, version: str = "state-7") -> None:
        self.batches = batches
        self.version = version

    def __str__(self) -> str:
        return "the table"

    def check(self) -> None:
        pass

    def identity(self) -> str:
        return f"stated {self.version}"

    @contextmanager
    def open(self) -> Iterator[Opened]:
        schema = self.batches[0].schema
        yield Opened(
            schema.names,
            lambda names: pa.RecordBatchReader.from_batches(schema, self.batches),
            self.version,
        )

    def explain(self, error: Exception) -> InputError:
        return InputError("it broke", file=str(self))


def rows_of(folder: Path, names: list[str]) -> list[tuple[object, ...]]:
    return [
        tuple(row[name] for name in names)
        for path in sorted(folder.rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def test_a_copy_holds_the_columns_that_are_used_sorted_by_id(tmp_path):
    copy(Frame(TABLE), USES, tmp_path / "copy")
    (path,) = (tmp_path / "copy").rglob("*.parquet")
    found = pq.read_table(path)
    assert found.column_names == list(USES)
    assert found["id"].to_pylist() == ["1", "2", "3", None]
    assert found["area"].to_pylist() == ["b", None, "a", "a"]
    assert found["at"].to_pylist() == [TIMES[1], TIMES[3], TIMES[0], TIMES[2]]
    footer = pq.ParquetFile(path).metadata
    assert footer.row_group(0).sorting_columns[0].column_index == 0


def test_files_have_so_many_rows_at_most_and_each_is_sorted(tmp_path):
    ids = [f"{(i * 7) % 100:03}" for i in range(100)]
    batches = pa.table({"id": ids, "area": ["a"] * 100}).to_batches(max_chunksize=9)
    copy(Stated(*batches), {"id": "id", "area": "value"}, tmp_path / "copy", rows=20)
    files = [pq.read_table(p)["id"].to_pylist() for p in sorted(tmp_path.rglob("*.parquet"))]
    assert max(map(len, files)) <= 20 and all(file == sorted(file) for file in files)
    assert sorted(id for file in files for id in file) == sorted(ids)
    # What was read together lies together.
    assert sorted(files[0]) == sorted(ids[:18])


def test_nobody_else_may_read_a_copy(tmp_path):
    copy(Frame(TABLE), USES, tmp_path / "copy")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").rglob("*")}
    assert modes == {0o700, 0o600}
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["2024-01-01T05:00:00", None], dt.datetime(2024, 1, 1, 5)),
        ([None, "2024-01-01 05:00:00+09:00"], dt.datetime(2023, 12, 31, 20, tzinfo=dt.UTC)),
    ],
)
def test_text_stands_for_times_and_numbers_where_a_table_has_no_types_for_them(
    tmp_path, written, read
):
    batches = [
        pa.record_batch({"id": ["1"], "at": pa.array([at], pa.string()), "weight": ["0.5"]})
        for at in written
    ]
    uses = {"id": "id", "at": "time", "weight": "number"}
    copy(Stated(*batches), uses, tmp_path / "copy")
    found = rows_of(tmp_path, ["at", "weight"])
    assert sorted(found, key=str) == sorted([(read, 0.5), (None, 0.5)], key=str)


def test_times_with_and_without_a_zone_are_refused_by_their_row(tmp_path):
    batches = [
        pa.record_batch({"id": ["1"], "at": [at]})
        for at in ("2024-01-01T05:00:00", "2024-01-01T05:00:00Z")
    ]
    with pytest.raises(InputError, match="time zones mixed.*the table, column at, row 2"):
        copy(Stated(*batches), {"id": "id", "at": "time"}, tmp_path / "copy")


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (TABLE.select(["id", "at"]), r"no such column \(file a Table of Python, column area\)"),
        (TABLE.append_column("area", TABLE["area"]), "the column occurs twice"),
        (
            TABLE.set_column(1, "area", pa.array([b"a"] * 4)),
            "a column of type binary cannot serve as value .*Python, column area",
        ),
        (TABLE.set_column(2, "at", pa.array(["x"] * 4)), "type string cannot serve as time"),
        (TABLE.slice(0, 0), "the table has no rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_its_name(tmp_path, table, problem):
    with pytest.raises(InputError, match=problem):
        copy(Frame(table), USES, tmp_path / "copy")


def test_an_id_that_is_misspelt_is_answered_with_the_one_that_is_there(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'area'"):
        copy(Frame(TABLE), {"id": "id", "aera": "value"}, tmp_path / "copy")


def test_a_list_of_nobody_is_a_list(tmp_path):
    copy(Frame(TABLE.slice(0, 0)), {"id": "id"}, tmp_path / "copy", may_be_empty=True)
    assert list(open_table(tmp_path / "copy", id="id", may_be_empty=True).chunks()) == []


SMALL = study(period=HOURS, row={"time": "at", "weight": "weight"}, column={"time": "left"})


def test_which_columns_are_copied():
    assert columns_of(SMALL, "row") == {
        "id": "id", "area": "value", "at": "time", "weight": "number"
    }  # fmt: skip
    assert columns_of(SMALL, "column") == {"id": "id", "kind": "value", "left": "time"}


def test_an_id_of_several_columns_is_copied_and_sorted_by_all(tmp_path):
    several = study(row={"id": ["line", "seat"]}, column={"id": ["line", "seat"]})
    table = pa.table(
        {"line": ["b", "a", "b"], "seat": ["1", "2", "0"], "area": ["a", "b", "a"], "x": [1, 2, 3]}
    )
    assert columns_of(several, "row") == {"area": "value", "line": "id", "seat": "id"}
    with spooled(several, "row", Source(table), tmp_path / "copy") as files:
        found = [row[1:] for row in rows_of(Path(files.files), ["area", "line", "seat"])]
    assert found == [("a", "2"), ("b", "0"), ("b", "1")]


def test_a_source_of_copies_reads_like_one_of_files(tmp_path):
    excluded = pa.table({"id": ["3"], "why": ["asked"]})
    source = Source(TABLE, exclude=[excluded, tmp_path / "b.csv"])
    with spooled(SMALL, "row", source, tmp_path / "own" / "copy") as files:
        assert not files.is_outside
        table = open_table(files.files, id="id", times=["at"], numbers=["weight"], values=["area"])
        chunk = next(table.chunks())
        assert chunk.columns["id"].to_pylist() == ["1", "2", "3", None]
        first, second = files.exclude_files
        assert rows_of(Path(first), ["id"]) == [("3",)]
        assert second == tmp_path / "b.csv"
    assert not (tmp_path / "own" / "copy").exists()


def test_a_source_of_files_is_left_as_it_is(tmp_path):
    source = Source(tmp_path / "t.csv", tmp_path / "e.csv")
    with spooled(SMALL, "row", source, tmp_path / "copy") as files:
        assert files is source
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [InputError("x"), KeyboardInterrupt(), ValueError("x")])
def test_a_copy_goes_with_an_error_and_what_an_earlier_run_left_goes_first(tmp_path, error):
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "left.parquet").write_bytes(b"")
    with (
        pytest.raises(type(error)),
        spooled(SMALL, "row", Source(TABLE), folder),
    ):
        assert not (folder / "left.parquet").exists() and list(folder.rglob("*.parquet"))
        raise error
    assert not folder.exists()


def broken() -> Iterator[pa.RecordBatch]:
    yield TABLE.to_batches()[0]
    raise ValueError("090-1234-5678 is not known")


def test_a_copy_that_breaks_off_goes_and_says_no_value(tmp_path):
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, broken())
    with (
        pytest.raises(InputError, match="cannot be read to its end") as caught,
        spooled(SMALL, "row", Source(reader), tmp_path / "copy"),
    ):
        pass
    assert "090" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert not (tmp_path / "copy").exists()


def test_a_copy_without_its_marker_is_made_again_and_a_whole_one_is_taken(tmp_path):
    folder = tmp_path / "copy"
    batch = TABLE.to_batches()[0]
    other = TABLE.slice(0, 1).to_batches()[0]
    files = fill(SMALL, "row", Source(Stated(batch)), folder)
    assert len(rows_of(folder, ["id"])) == 4
    # The table has changed since, and the run goes on with what it has read.
    assert fill(SMALL, "row", Source(Stated(other)), folder) == files
    assert len(rows_of(folder, ["id"])) == 4
    (folder / "complete.json").unlink()
    fill(SMALL, "row", Source(Stated(other)), folder)
    assert len(rows_of(folder, ["id"])) == 1
    with pytest.raises(InputError, match="begun with another table"):
        fill(SMALL, "row", Source(Stated(other, version="state-8")), folder)
    remove(folder)
    assert not folder.exists()


def test_which_version_was_read_is_recorded_and_is_part_of_the_names_of_the_files(tmp_path):
    files = fill(SMALL, "row", Source(Stated(*TABLE.to_batches())), tmp_path / "copy")
    record = json.loads((tmp_path / RECORD).read_text())
    assert record == {"table": {"read": "the table", "version": "state-7"}}
    (file,) = open_table(files.files, id="id").files
    assert file.name == "state-7/part-00000.parquet"


def test_a_disk_that_takes_no_copy_is_named(tmp_path):
    (tmp_path / "copy").write_text("a file")
    with pytest.raises(InputError, match=r"cannot be copied: .*\(file .*/copy/table\)"):
        copy(Frame(TABLE), USES, tmp_path / "copy" / "table")


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(
        InputError, match=r"a lake needs the package no_such. pip install 'xstat-ray\[delta\]'$"
    ):
        extra("no_such.module", "delta", "a lake")
