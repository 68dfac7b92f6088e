"""Ids and codes in columns of floats and decimals: their digits, or a refusal."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.inputs.tables import read, write
from xstat_ray.errors import InputError
from xstat_ray.inputs.tables import open_table

PHONE = 9011110001
NAN = float("nan")


@pytest.mark.parametrize("name", ["x.parquet", "x.arrow"])
@pytest.mark.parametrize(
    ("array", "ids"),
    [
        (pa.array([PHONE, None, NAN, 2.5, -0.0, float("inf")], pa.float64()), [0, None, 4]),
        (pa.array([PHONE, None, 7]).cast(pa.float64()).dictionary_encode(), [0, None, 7]),
        (pa.array([7, None, 9], pa.float32()), [7, None, 9]),
        (pa.array([Decimal(PHONE), None, Decimal(8)], pa.decimal128(38, 0)), [0, None, 8]),
        (pa.array([Decimal("90.0"), Decimal("0.5"), None], pa.decimal128(12, 3)), None),
        (pa.array([Decimal(10**40)], pa.decimal256(60, 2)), None),
    ],
)
def test_whole_numbers_are_read_by_their_digits(
    tmp_path: Path, name: str, array: pa.Array, ids: list[int | None] | None
) -> None:
    if pa.types.is_dictionary(array.type) and name == "x.parquet":
        pytest.skip("Parquet has no dictionaries of floats")
    path = write(tmp_path / name, pa.table({"c": array}))
    plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    expected = [
        str(int(value)) if value is not None and value == value and _is_whole(value) else None
        for value in plain.to_pylist()
    ]
    assert read(path, id="c")["c"] == expected


def _is_whole(value: float | Decimal) -> bool:
    return abs(value) != float("inf") and value == int(value)


def test_fractions_among_values_keep_their_shortest_text(tmp_path: Path) -> None:
    table = pa.table({"c": [0.5, 31001.0, None, NAN], "d": [Decimal("0.50"), Decimal("7.00")] * 2})
    found = read(write(tmp_path / "x.parquet", table), values=["c", "d"])
    assert found["c"] == ["0.5", "31001", None, None]
    assert found["d"] == ["0.5", "7", "0.5", "7"]


@pytest.mark.parametrize(
    ("kind", "limit"), [(pa.float16(), 1 << 11), (pa.float32(), 1 << 24), (pa.float64(), 1 << 53)]
)
@pytest.mark.parametrize("use", ["id", "values"])
def test_floats_that_stand_for_several_numbers_are_refused_with_their_row(
    tmp_path: Path, kind: pa.DataType, limit: int, use: str
) -> None:
    """The number behind the limit is the first that is stored as another one."""
    numbers = np.array([1, limit - 1, -limit, 2], kind.to_pandas_dtype())
    path = write(tmp_path / "x.arrow", pa.table({"c": numbers}))
    table = open_table(path, **{use: "c" if use == "id" else ["c"]})
    with pytest.raises(InputError, match=r"several whole numbers .*column c, row 3") as caught:
        list(table.chunks())
    assert str(limit) not in str(caught.value)
    assert read(write(tmp_path / "y.arrow", pa.table({"c": numbers[:2]})), id="c")["c"] == [
        "1",
        str(limit - 1),
    ]


def test_files_with_whole_numbers_and_with_floats_are_one_table(tmp_path: Path) -> None:
    """A data frame has floats in the files in which an id is missing."""
    write(tmp_path / "t" / "a.parquet", pa.table({"c": [1, 2]}))
    write(tmp_path / "t" / "b.parquet", pa.table({"c": [3.0, None]}))
    assert read(tmp_path / "t", id="c")["c"] == ["1", "2", "3", None]


def test_decimals_whose_last_digits_are_left_out_are_whole_numbers(tmp_path: Path) -> None:
    """Their text has an exponent, as one of them shows that has lost digits."""
    numbers = pa.array([901111000100, 500]).cast(pa.decimal128(19, 0)).cast(pa.decimal128(18, -2))
    path = tmp_path / "a.arrow"
    write(path, pa.table({"id": numbers, "v": numbers}))
    assert read(path, id="id", values=["v"])["id"] == ["901111000100", "500"]
    assert read(path, id="id", values=["v"])["v"] == ["901111000100", "500"]


@pytest.mark.parametrize("kind", [pa.decimal32(9, 2), pa.decimal64(18, 2)])
def test_narrow_decimals(tmp_path: Path, kind: pa.DataType) -> None:
    numbers = pa.array([Decimal(12345), None, Decimal("7.50")], kind)
    path = write(tmp_path / "a.arrow", pa.table({"id": numbers, "v": numbers, "w": numbers}))
    columns = read(path, id="id", values=["v"], numbers=["w"])
    assert columns["id"] == ["12345", None, None]
    assert columns["v"] == ["12345", None, "7.5"]
    assert columns["w"][2] == 7.5
