"""Grid square codes of JIS X 0410: from point to code, to square, and to the coarser squares.

A level divides the first-level square (40 minutes of latitude by 1 degree of longitude, about 80
km) into n x n parts, so that a point lies in row floor(1.5 n lat) and column floor(n (lon - 100)).
Both are worked out in 64-bit integers on the finest level and divided down; they are therefore
exact, and the codes of all levels of one point nest.

No double equals a row or column line that is not a binary fraction, and the nearest double may lie
below it. So that such a point falls where it is meant, points at most 2**-30 of a 125 m square (0.1
micrometre) south or west of a line count as on it. Coordinates are degrees of JGD2011 or WGS 84;
the two differ by far less than a square.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xstat_ray.errors import InputError

Level = Literal["80km", "10km", "5km", "2km", "1km", "500m", "250m", "125m"]
Integers = NDArray[np.int64]
Degrees = NDArray[np.float64]

SOUTH = 20
NORTH = 46
WEST = 122
EAST = 154
"""Ends, in degrees, of the range in which the codes are used for Japan; the northern and eastern
ends are outside."""


class _Division(NamedTuple):
    parts: int
    coarser: Level | None
    split: int


_DIVISIONS: dict[Level, _Division] = {
    "80km": _Division(1, None, 1),
    "10km": _Division(8, "80km", 8),
    "5km": _Division(16, "10km", 2),
    "2km": _Division(40, "10km", 5),
    "1km": _Division(80, "10km", 10),
    "500m": _Division(160, "1km", 2),
    "250m": _Division(320, "500m", 2),
    "125m": _Division(640, "250m", 2),
}
LEVELS: tuple[Level, ...] = tuple(_DIVISIONS)
"""All levels, coarse to fine. Codes have 4, 6, 7, 9, 8, 9, 10 and 11 digits."""

_FINEST = _DIVISIONS["125m"].parts
_BITS = 48
_SNAP = 1 << (_BITS - 30)
_REACH = 2.0**-30 / _FINEST


def encode(lat: ArrayLike, lon: ArrayLike, level: Level) -> Integers:
    """Find the squares that hold points.

    Args:
        lat: degrees.
        lon: degrees; broadcast with `lat`.
        level: level of the squares.

    Returns:
        Codes, in the broadcast shape.

    Raises:
        InputError: a coordinate is not a number or outside `SOUTH`..`NORTH`, `WEST`..`EAST`; or the
            level is unknown.
    """
    lats, lons = np.broadcast_arrays(
        np.asarray(lat, dtype=np.float64), np.asarray(lon, dtype=np.float64)
    )
    inside = (lats >= SOUTH) & (lats < NORTH - _REACH) & (lons >= WEST) & (lons < EAST - _REACH)
    if not inside.all():
        row = int(np.flatnonzero(~inside.ravel())[0]) + 1
        missing = not np.isfinite(lats.ravel()[row - 1] + lons.ravel()[row - 1])
        problem = (
            "a coordinate is not a number" if missing else "a point lies outside the grid of Japan"
        )
        remedy = (
            f"Give latitudes from {SOUTH} to {NORTH} and longitudes from {WEST} to {EAST} "
            "in degrees"
        )
        raise InputError(problem, row=row, remedy=remedy)
    coarsening = _FINEST // _division(level).parts
    rows = _line(lats, SOUTH, 3 * _FINEST // 2) // coarsening
    return encode_grid(rows, (_line(lons, WEST, _FINEST) - 100 * _FINEST) // coarsening, level)


def _line(degrees: Degrees, origin: int, per_degree: int) -> Integers:
    """Number the finest grid line at or below `degrees`, counted from 0 degrees.

    From 20 to 46 and from 122 to 154 degrees doubles are multiples of 2**-48 and their distance
    from `origin` is exact; the product stays under 2**63.
    """
    fixed = np.ldexp(degrees - origin, _BITS).astype(np.int64)
    return ((fixed * per_degree + _SNAP) >> _BITS) + origin * per_degree


def encode_grid(rows: ArrayLike, columns: ArrayLike, level: Level) -> Integers:
    """Make codes of squares from their grid numbers (see `decode`), which are not checked."""
    y = np.asarray(rows, dtype=np.int64)
    x = np.asarray(columns, dtype=np.int64)
    _, coarser, split = _division(level)
    if coarser is None:
        return y * 100 + x
    around = encode_grid(y // split, x // split, coarser)
    i = y % split
    j = x % split
    if split == 2:
        return around * 10 + 2 * i + j + 1
    if split == 5:
        return around * 1000 + 200 * i + 20 * j + 5
    return around * 100 + 10 * i + j


def decode(codes: ArrayLike, level: Level) -> tuple[Integers, Integers]:
    """Find the grid numbers of squares.

    The south-west corner of a square lies at row / (1.5 n), 100 + column / n degrees.

    Returns:
        Rows and columns, in the shape of `codes`.

    Raises:
        InputError: a code is not of this level or not in the range of Japan; or the level is
            unknown.
    """
    values = np.asarray(codes, dtype=np.int64)
    rows, columns = _grid(values, level)
    parts = _division(level).parts
    known = encode_grid(rows, columns, level) == values
    known &= (2 * rows >= 3 * SOUTH * parts) & (2 * rows < 3 * NORTH * parts)
    known &= (columns >= (WEST - 100) * parts) & (columns < (EAST - 100) * parts)
    if not known.all():
        row = int(np.flatnonzero(~known.ravel())[0]) + 1
        raise InputError(f"not a {level} grid square code of Japan", row=row)
    return rows, columns


def _grid(codes: Integers, level: Level) -> tuple[Integers, Integers]:
    _, coarser, split = _division(level)
    if coarser is None:
        return codes // 100, codes % 100
    if split == 2:
        around = codes // 10
        part = codes % 10 - 1
        i = part // 2
        j = part % 2
    elif split == 5:
        around = codes // 1000
        i = codes // 100 % 10 // 2
        j = codes // 10 % 10 // 2
    else:
        around = codes // 100
        i = codes // 10 % 10
        j = codes % 10
    rows, columns = _grid(around, coarser)
    return rows * split + i, columns * split + j


def degrees(rows: ArrayLike, columns: ArrayLike, level: Level) -> tuple[Degrees, Degrees]:
    """Locate grid points: (lat, lon), each the double nearest to the exact value.

    Half numbers give centres.
    """
    parts = _division(level).parts
    y = np.asarray(rows, dtype=np.float64)
    x = np.asarray(columns, dtype=np.float64)
    return y / (1.5 * parts), (x + 100 * parts) / parts


def corner(codes: ArrayLike, level: Level) -> tuple[Degrees, Degrees]:
    """Locate south-west corners of squares: (lat, lon)."""
    return degrees(*decode(codes, level), level)


def centre(codes: ArrayLike, level: Level) -> tuple[Degrees, Degrees]:
    """Locate centres of squares: (lat, lon)."""
    rows, columns = decode(codes, level)
    return degrees(rows + 0.5, columns + 0.5, level)


def parent(codes: ArrayLike, level: Level, coarser: Level) -> Integers:
    """Find the squares of level `coarser` around squares of `level`.

    Raises:
        InputError: squares of `level` do not lie wholly in squares of `coarser`, such as 2 km in 5
            km.
    """
    factor, rest = divmod(_division(level).parts, _division(coarser).parts)
    if rest:
        raise InputError(f"{level} squares do not divide {coarser} squares")
    rows, columns = decode(codes, level)
    return encode_grid(rows // factor, columns // factor, coarser)


def polygon(codes: ArrayLike, level: Level) -> Degrees:
    """Make closed rings of squares, counter-clockwise from the south-west as RFC 7946 asks.

    Neighbours share their corners bit by bit.

    Returns:
        (..., 5, 2) longitudes and latitudes.
    """
    rows, columns = decode(codes, level)
    lat, lon = degrees(
        rows[..., None] + np.array([0, 0, 1, 1, 0]),
        columns[..., None] + np.array([0, 1, 1, 0, 0]),
        level,
    )
    return np.stack([lon, lat], axis=-1)


def _division(level: Level) -> _Division:
    division = _DIVISIONS.get(level)
    if division is None:
        raise InputError(f"unknown grid level, expected one of {', '.join(LEVELS)}")
    return division
