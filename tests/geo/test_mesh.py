"""Grid square codes, compared with the standard in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from xstat_ray.errors import InputError
from xstat_ray.geo import mesh
from xstat_ray.geo.mesh import EAST, LEVELS, NORTH, SOUTH, WEST

PARTS = {
    "80km": 1,
    "10km": 8,
    "5km": 16,
    "2km": 40,
    "1km": 80,
    "500m": 160,
    "250m": 320,
    "125m": 640,
}
SCALES = [
    pytest.param(2_000, 20_000, id="short"),
    pytest.param(200_000, 1_000_000, id="full", marks=pytest.mark.slow),
]


def code_by_the_standard(lat: Fraction, lon: Fraction, level: str) -> int:
    """Encode a point by JIS X 0410 with exact fractions, level by level."""
    p, a = divmod(lat * 60, 40)
    u = floor(lon) - 100
    f = lon - floor(lon)
    code = f"{p}{u:02d}"
    q, b = divmod(a, 5)
    v, g = divmod(f * 60, Fraction(15, 2))
    if level != "80km":
        code += f"{q}{v}"
    if level == "2km":
        return int(f"{code}{floor(b) * 2}{floor(g / Fraction(3, 2)) * 2}5")
    if level == "5km":
        return int(f"{code}{1 + 2 * floor(b / Fraction(5, 2)) + floor(g / Fraction(15, 4))}")
    if level in ("80km", "10km"):
        return int(code)
    r, c = divmod(b * 60, 30)
    w, h = divmod(g * 60, 45)
    code += f"{r}{w}"
    height = Fraction(30)
    width = Fraction(45)
    for finer in ("500m", "250m", "125m")[: ("1km", "500m", "250m", "125m").index(level)]:
        height = height / 2
        width = width / 2
        north, c = divmod(c, height)
        east, h = divmod(h, width)
        code += str(1 + 2 * north + east)
        assert finer
    return int(code)


def edge_points(count: int, level: str, seed: int) -> tuple[np.ndarray, ...]:
    """Draw the doubles nearest to grid points, with the grid numbers that they should have."""
    rng = np.random.default_rng(seed)
    n = PARTS[level]
    rows = rng.integers(-(-3 * SOUTH * n // 2), 3 * NORTH * n // 2, count)
    columns = rng.integers((WEST - 100) * n, (EAST - 100) * n, count)
    return 2 * rows / (3 * n), (columns + 100 * n) / n, rows, columns


def random_points(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw latitudes and longitudes."""
    rng = np.random.default_rng(seed)
    return rng.uniform(SOUTH, NORTH, count), rng.uniform(WEST, EAST, count)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("edges", "points"), SCALES)
def test_points_on_edges_belong_to_the_north_east_square(level, edges, points):
    lat, lon, rows, columns = edge_points(edges, level, seed=1)
    y, x = mesh.decode(mesh.encode(lat, lon, level), level)
    assert np.array_equal(y, rows)
    assert np.array_equal(x, columns)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("edges", "points"), SCALES)
def test_random_points_agree_with_exact_rationals(level, edges, points):
    lat, lon = random_points(points, seed=2)
    y, x = mesh.decode(mesh.encode(lat, lon, level), level)
    n = PARTS[level]
    exact_lat, exact_lon = (np.ldexp(v, 48).astype(np.int64).astype(object) for v in (lat, lon))
    assert np.array_equal(y, (exact_lat * (3 * n) >> 49).astype(np.int64))
    assert np.array_equal(x, (exact_lon * n >> 48).astype(np.int64) - 100 * n)


@pytest.mark.parametrize("level", LEVELS)
def test_digits_are_those_of_the_standard(level):
    lat, lon = random_points(300, seed=3)
    expected = [
        code_by_the_standard(Fraction(a), Fraction(b), level) for a, b in zip(lat, lon, strict=True)
    ]
    assert mesh.encode(lat, lon, level).tolist() == expected


def test_known_codes():
    """Tokyo station has the code that is printed on maps of the Statistics Bureau."""
    codes = [int(mesh.encode(35.681236, 139.767125, level)) for level in ("80km", "10km", "1km")]
    assert codes == [5339, 533946, 53394611]


@pytest.mark.parametrize("decimals", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("level", ["1km", "500m", "125m"])
def test_rounded_decimal_coordinates_fall_where_the_decimal_number_lies(level, decimals):
    rng = np.random.default_rng(4)
    scale = 10**decimals
    n = PARTS[level]
    lat = rng.integers(SOUTH * scale, NORTH * scale, 20_000)
    lon = rng.integers(WEST * scale, EAST * scale, 20_000)
    y, x = mesh.decode(mesh.encode(lat / scale, lon / scale, level), level)
    assert np.array_equal(y, 3 * n * lat // (2 * scale))
    assert np.array_equal(x, n * lon // scale - 100 * n)


@pytest.mark.parametrize("level", LEVELS)
def test_points_just_below_an_edge_snap_and_others_do_not(level):
    lat, lon, rows, columns = edge_points(2_000, level, seed=5)
    inside = (lat > SOUTH + 1) & (lon > WEST + 1)
    lat = lat[inside]
    lon = lon[inside]
    rows = rows[inside]
    columns = columns[inside]
    touching = mesh.encode(np.nextafter(lat, 0), np.nextafter(lon, 0), level)
    assert np.array_equal(touching, mesh.encode_grid(rows, columns, level))
    snap = 2.0**-30 / 640
    below = mesh.encode(lat - 1.1 * snap / 1.5, lon - 1.1 * snap, level)
    assert np.array_equal(below, mesh.encode_grid(rows - 1, columns - 1, level))


@pytest.mark.parametrize("level", LEVELS)
def test_corners_and_centres_map_back(level):
    codes = np.unique(mesh.encode(*random_points(50_000, seed=6), level))
    assert np.array_equal(mesh.encode(*mesh.corner(codes, level), level), codes)
    assert np.array_equal(mesh.encode(*mesh.centre(codes, level), level), codes)


def test_codes_of_one_point_nest_at_all_levels():
    lat, lon, _, _ = edge_points(5_000, "125m", seed=7)
    codes = {level: mesh.encode(lat, lon, level) for level in LEVELS}
    for level in LEVELS:
        for coarser in LEVELS:
            if PARTS[level] % PARTS[coarser] == 0:
                assert np.array_equal(mesh.parent(codes[level], level, coarser), codes[coarser])


@pytest.mark.parametrize(("level", "coarser"), [("2km", "5km"), ("5km", "2km"), ("10km", "1km")])
def test_parent_refuses_levels_that_do_not_nest(level, coarser):
    with pytest.raises(InputError, match="do not divide"):
        mesh.parent(mesh.encode(43.0, 141.0, level), level, coarser)


@pytest.mark.parametrize("level", LEVELS)
def test_polygons_tile_without_gaps(level):
    row, column = (int(v) for v in mesh.decode(mesh.encode(31.1, 130.3, level), level))
    rows, columns = np.mgrid[row : row + 12, column : column + 12]
    rings = mesh.polygon(mesh.encode_grid(rows, columns, level), level)
    south_west, south_east, north_east, north_west = (rings[..., k, :] for k in range(4))
    assert np.array_equal(rings[..., 4, :], south_west)
    assert np.array_equal(south_east[:, :-1], south_west[:, 1:])
    assert np.array_equal(north_east[:, :-1], north_west[:, 1:])
    assert np.array_equal(north_west[:-1], south_west[1:])
    assert np.array_equal(north_east[:-1], south_east[1:])
    lon = rings[..., 0]
    lat = rings[..., 1]
    twice_area = (lon[..., :-1] * lat[..., 1:] - lon[..., 1:] * lat[..., :-1]).sum(axis=-1)
    assert (twice_area > 0).all(), "counter-clockwise"


@pytest.mark.parametrize(
    ("lat", "lon", "problem"),
    [
        (np.nan, 141.0, "not a number"),
        (43.0, np.inf, "not a number"),
        (19.99, 141.0, "outside"),
        (46.0, 141.0, "outside"),
        (43.0, 154.0, "outside"),
        (43.0, 121.99, "outside"),
        (141.0, 43.0, "outside"),
    ],
)
def test_points_that_are_not_in_japan_are_refused_with_their_row(lat, lon, problem):
    with pytest.raises(InputError, match=problem) as error:
        mesh.encode([43.0, lat], [141.0, lon], "500m")
    assert error.value.row == 2


@pytest.mark.parametrize(
    ("code", "level"),
    [
        (53394611, "500m"),
        (533946115, "500m"),
        (533946110, "500m"),
        (533986, "10km"),
        (533948, "10km"),
        (533946116, "2km"),
        (533946105, "2km"),
        (2941, "80km"),
        (6941, "80km"),
        (6454, "80km"),
        (0, "1km"),
        (-53394611, "1km"),
    ],
)
def test_codes_that_do_not_exist_are_refused_with_their_row(code, level):
    good = int(mesh.encode(43.0, 141.0, level))
    with pytest.raises(InputError, match=f"not a {level}") as error:
        mesh.decode([good, good, code], level)
    assert error.value.row == 3


def test_an_unknown_level_is_refused():
    with pytest.raises(InputError, match="unknown grid level"):
        mesh.encode(43.0, 141.0, "100m")


def test_a_point_that_would_snap_over_the_northern_or_eastern_end_is_refused():
    last = mesh.decode(mesh.encode(46.0 - 2e-12, 154.0 - 2e-12, "125m"), "125m")
    assert [int(v) for v in last] == [46 * 960 - 1, 54 * 640 - 1]
    for point in ((np.nextafter(46.0, 0), 141.0), (43.0, np.nextafter(154.0, 0))):
        with pytest.raises(InputError, match="outside"):
            mesh.encode(*point, "125m")


@pytest.mark.parametrize(
    ("level", "number"),
    [("80km", 1), ("10km", 2), ("1km", 3), ("500m", 4), ("250m", 5), ("125m", 6)],
)
def test_interior_points_agree_with_jismesh(level, number):
    jismesh = pytest.importorskip("jismesh.utils")
    codes = np.unique(mesh.encode(*random_points(5_000, seed=8), level))
    lat, lon = mesh.centre(codes, level)
    assert np.array_equal(np.asarray(jismesh.to_meshcode(lat, lon, number)).astype(np.int64), codes)
