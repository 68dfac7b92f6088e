"""Parquet: times as INT96, nanoseconds without pandas, and years that Python has no dates for."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_options import TableOptions
from xstat_ray.inputs.tables import open_table

NOON = dt.datetime(2024, 5, 1, 12)


def int96(path, kind=None, **options):
    table = pa.table({"id": ["1", "2"], "t": pa.array([NOON, None], kind or pa.timestamp("us"))})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True, **options)
    return path


def times(path, int96="refuse"):
    table = open_table(path, id="id", times=["t"], options=TableOptions(int96=int96))
    (chunk,) = table.read(table.pieces(), ["t"])
    return chunk.columns["t"]


def test_int96_is_refused_unless_a_setting_tells_its_zone(tmp_path):
    path = int96(tmp_path / "a.parquet", store_schema=False)
    with pytest.raises(InputError, match="INT96.*column t.*int96=utc") as caught:
        times(path)
    assert caught.value.file == str(path)
    assert times(path, "utc").equals(pa.array([NOON, None], pa.timestamp("us", "UTC")))
    assert times(path, "local").equals(pa.array([NOON, None], pa.timestamp("us")))


def test_int96_beyond_what_nanoseconds_reach(tmp_path):
    path = tmp_path / "a.parquet"
    far = dt.datetime(2500, 1, 1)
    table = pa.table({"id": ["1"], "t": pa.array([far], pa.timestamp("us"))})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True, store_schema=False)
    assert times(path, "local").to_pylist() == [far]


def test_int96_of_a_column_that_is_not_read_is_no_matter(tmp_path):
    path = int96(tmp_path / "a.parquet", store_schema=False)
    assert len(list(open_table(path, id="id").chunks())) == 1


@pytest.mark.parametrize("value", [2**62, -(2**62), 253402300800 * 10**6])
@pytest.mark.parametrize("unit", ["us", "ms"])
def test_years_that_python_has_no_dates_for_have_no_bounds(tmp_path, value, unit):
    array = pa.array([value // (1 if unit == "us" else 1_000)], pa.timestamp(unit))
    pq.write_table(pa.table({"id": ["1"], "t": array}), tmp_path / "a.parquet")
    table = open_table(tmp_path, id="id", times=["t"])
    (piece,) = table.pieces()
    assert piece.group.bounds == {"id": ("1", "1")}
    (chunk,) = table.chunks()
    assert chunk.columns["t"].type == pa.timestamp("us")


WITHOUT_PANDAS = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
from xstat_ray.inputs.tables import open_table
table = open_table(sys.argv[1], id="id", times=["t", "z"])
(piece,) = table.pieces()
print(piece.group.bounds["t"], piece.group.bounds["z"])
(chunk,) = table.chunks()
print(chunk.columns["t"].to_pylist())
"""


def test_nanoseconds_need_no_pandas(tmp_path):
    table = pa.table(
        {
            "id": ["1"],
            "t": pa.array([1_714_521_600_123_456_789], pa.timestamp("ns")),
            "z": pa.array([1_714_521_600_123_456_789], pa.timestamp("ns", "Asia/Tokyo")),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_PANDAS, str(tmp_path / "a.parquet")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.count("datetime.datetime(2024, 5, 1, 0, 0, 0, 123456") == 5
