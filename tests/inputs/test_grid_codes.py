"""Grid square codes of other sizes: finer ones count in the square around, coarser ones do not."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.errors import InputError
from xstat_ray.geo import mesh
from xstat_ray.inputs.domains import Encoder
from xstat_ray.inputs.grid_codes import GridCodes
from xstat_ray.inputs.tables import Chunk
from xstat_ray.model.dimension import Dimension

HALVES = ("644142771", "644142772")
AREA = Dimension("area", "mesh", ("Kushiro", "Nemuro"), tuple((code,) for code in HALVES))


def positions(*values: str | None) -> list[int]:
    return Encoder([AREA]).encode({"mesh": pa.array(values)}).tolist()


def test_finer_squares_are_taken_into_the_square_around_them():
    found = positions("644142771", "6441427711", "64414277244", None, "644142773", "6441427731")
    assert found == [0, 0, 1, -1, -1, -1]
    assert positions("6441427711", "x", "64414277115", "644142779") == [0, -1, -1, -1]


def test_whole_numbers_are_codes_too():
    columns = {"mesh": pa.array([6441427711, 644142772], pa.int64())}
    assert Encoder([AREA]).encode(columns).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("64414277", "1km"),
        ("644142", "10km"),
        ("6441", "80km"),
        ("6441424", "5km"),
        ("644142665", "2km"),
    ],
)
def test_coarser_squares_are_refused_by_name(code, level):
    with pytest.raises(InputError, match=f"holds squares of {level}, .*squares of 500m") as caught:
        positions("644142771", code)
    assert caught.value.column == "mesh" and code not in str(caught.value)


def test_coarser_squares_elsewhere_are_outside_the_domain():
    assert positions("53394611", "533946", "5339", "5339465") == [-1] * 4


def test_tenths_look_like_other_squares():
    with pytest.raises(InputError, match="tenths of 1km"):
        positions("6441427709")
    # Codes of 250 m have as many digits, and none above 4 at the end.
    quarters = Dimension("area", "mesh", ("a",), (("6441427711",),))
    for code in ("6441427709", "6441427750", "6441427795"):
        with pytest.raises(InputError, match="tenths of 1km"):
            Encoder([quarters]).encode({"mesh": pa.array([code])})
    assert Encoder([quarters]).encode({"mesh": pa.array(["64414277114"])}).tolist() == [0]
    tenths = Dimension("area", "mesh", ("a",), (("64414277",),))
    columns = {"mesh": pa.array(["6441427709", "6441427711", "644142771"])}
    assert Encoder([tenths]).encode(columns).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "values",
    [(), ("Kushiro",), ("64414277", "644142771"), ("644142",), ("644142779",), ("99999999",)],
)
def test_other_domains_are_no_grids(values):
    assert GridCodes.of(values) is None


LEVELS = {"1km": 8, "500m": 9, "250m": 10, "125m": 11}


@given(
    st.floats(41, 45.9),
    st.floats(139, 146),
    st.sampled_from([*LEVELS]),
    st.sampled_from(mesh.LEVELS),
)
def test_sizes_agree_with_the_grid_itself(lat, lon, level, other):
    code = str(mesh.encode(lat, lon, level))
    written = str(mesh.encode(lat, lon, other))
    grid = GridCodes.of([code])
    assert grid is not None
    if mesh.LEVELS.index(other) < mesh.LEVELS.index(level):
        with pytest.raises(InputError, match=f"squares of {other}, "):
            grid.fit(pa.array([written]), "mesh")
    else:
        assert grid.fit(pa.array([written]), "mesh").to_pylist() == [code]


@pytest.mark.parametrize("place", [0, 1, 5, 6])
def test_a_refused_code_is_told_by_file_and_row(place):
    codes = ["644142771"] * 7
    codes[place] = "64414277"
    column = pa.array(codes).dictionary_encode()
    chunk = Chunk({"mesh": column, "id": column}, "presence.csv", 11)
    with pytest.raises(InputError) as caught:
        Encoder([AREA]).encode_chunk(chunk)
    found = caught.value
    assert (found.file, found.column, found.row) == ("presence.csv", "mesh", 11 + place)
