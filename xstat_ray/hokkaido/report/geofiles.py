"""GeoParquet and GeoJSON of published statistics, in degrees of OGC:CRS84."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.report.data import ABSENT, SUPPRESSED, Layer, LayerLevel
from xstat_ray.hokkaido.report.geography import Ground, names, outlines
from xstat_ray.publication.publish import STAMP
from xstat_ray.publication.release import parquet_bytes

DATA = Path(__file__).parent / "data"
WARNING = STAMP["WARNING"]
"""Warning in the files that were made without noise."""
SIDES = ["xmin", "ymin", "xmax", "ymax"]
_POLYGON = 3
_MULTIPOLYGON = 6


def wkb(geometry: Mapping[str, Any]) -> bytes:
    """Encode a GeoJSON Polygon or MultiPolygon as ISO WKB, little-endian."""
    if geometry["type"] == "MultiPolygon":
        parts = [_polygon(rings) for rings in geometry["coordinates"]]
        return struct.pack("<BII", 1, _MULTIPOLYGON, len(parts)) + b"".join(parts)
    return _polygon(geometry["coordinates"])


def _polygon(rings: Sequence[Any]) -> bytes:
    coordinates = [np.asarray(ring, "<f8") for ring in rings]
    body = b"".join(struct.pack("<I", len(ring)) + ring.tobytes() for ring in coordinates)
    return struct.pack("<BII", 1, _POLYGON, len(coordinates)) + body


def geoparquet(
    table: pa.Table, geometries: Sequence[Mapping[str, Any]], rows: pa.Array, noise_free: bool
) -> bytes:
    """Encode a table as GeoParquet 1.1, with columns `geometry` and `bbox`, the box around it.

    Args:
        table: the attributes.
        geometries: distinct GeoJSON polygons.
        rows: number of the geometry of each row of `table`.
        noise_free: whether the file is stamped as made without noise.
    """
    shapes = pa.array([wkb(geometry) for geometry in geometries], pa.binary())
    points = [
        np.concatenate([np.asarray(ring) for ring in _rings(geometry)]) for geometry in geometries
    ]
    boxes = np.array([[*corners.min(axis=0), *corners.max(axis=0)] for corners in points])
    covering = pa.StructArray.from_arrays([pa.array(side) for side in boxes.T], names=SIDES)
    table = table.append_column("geometry", shapes.take(rows)).append_column(
        "bbox", covering.take(rows)
    )
    metadata = {"geo": json.dumps(_geo_metadata(geometries, boxes))}
    if noise_free:
        metadata |= STAMP
    return parquet_bytes(table.replace_schema_metadata(metadata))


def _geo_metadata(
    geometries: Sequence[Mapping[str, Any]], boxes: NDArray[np.float64]
) -> dict[str, Any]:
    """Describe the column of geometries in the metadata of GeoParquet."""
    column = {
        "encoding": "WKB",
        "geometry_types": sorted({geometry["type"] for geometry in geometries}),
        "crs": json.loads((DATA / "crs84.json").read_text(encoding="utf-8")),
        "orientation": "counterclockwise",
        "edges": "planar",
        "bbox": [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()],
        "covering": {"bbox": {side: ["bbox", side] for side in SIDES}},
    }
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def geojson(
    geometries: Sequence[Mapping[str, Any]],
    properties: Iterable[Mapping[str, Any]],
    noise_free: bool,
) -> bytes:
    """Encode a GeoJSON FeatureCollection (RFC 7946, whose only coordinate system is CRS84).

    Each geometry becomes a feature.
    """
    features = [
        {"type": "Feature", "properties": dict(attributes), "geometry": geometry}
        for geometry, attributes in zip(geometries, properties, strict=True)
    ]
    stamp = {"warning": WARNING} if noise_free else {}
    text = json.dumps(
        {"type": "FeatureCollection", **stamp, "features": features},
        ensure_ascii=False,
        allow_nan=False,
    )
    return (text + "\n").encode()


def layer_files(layer: Layer) -> dict[str, bytes]:
    """Make <study>.geo.parquet with a row for each place and slot, and <study>.geojson by place.

    Both hold `estimate`, null where nothing is published; GeoParquet also has the interval and
    whether the estimate was suppressed. There are no files where the places are not on a map.
    """
    level = layer.levels[0]
    if level.ground.kind not in ("municipality", "mesh"):
        return {}
    shapes = outlines(level.ground)
    rows = pa.array(np.repeat(np.arange(len(level.places)), level.estimate.shape[1]))
    return {
        f"{layer.study}.geo.parquet": geoparquet(
            long_table(layer, level), shapes, rows, layer.noise_free
        ),
        f"{layer.study}.geojson": geojson(shapes, _wide(layer, level), layer.noise_free),
    }


def long_table(layer: Layer, level: LayerLevel) -> pa.Table:
    """Make a table with a row for each place and slot.

    Its columns are those of the place, the dimensions, `estimate`, `low95`, `high95`, `suppressed`.
    """
    places, slots = level.estimate.shape
    columns = {name: _repeated(values, slots) for name, values in _identity(level).items()}
    each = slots
    times = places
    for dimension in layer.dimensions:
        each //= len(dimension.labels)
        index = np.tile(np.repeat(np.arange(len(dimension.labels)), each), times)
        columns[dimension.name] = pa.array(dimension.labels).take(pa.array(index))
        times *= len(dimension.labels)
    estimate = level.estimate.ravel()
    hidden = estimate < 0
    for name, values in {
        "estimate": estimate,
        "low95": level.low.ravel(),
        "high95": level.high.ravel(),
    }.items():
        columns[name] = pa.array(
            values if name == "estimate" else np.maximum(values, 0), mask=hidden
        )
    columns["suppressed"] = pa.array(estimate == SUPPRESSED, mask=estimate == ABSENT)
    return pa.table(columns)


def _repeated(values: Sequence[str], times: int) -> pa.Array:
    return pa.array(values).take(pa.array(np.repeat(np.arange(len(values)), times)))


def _identity(level: LayerLevel) -> dict[str, list[str]]:
    """Make the columns that identify a place."""
    return {"code": list(level.ground.codes), **names(level.ground)}


def _wide(layer: Layer, level: LayerLevel) -> Iterable[dict[str, Any]]:
    """Yield the attributes of each place: its names, and its estimates under labels of the slots.

    Labels of a slot are joined by slashes.
    """
    headings = [""]
    for dimension in layer.dimensions:
        headings = [
            f"{before}/{label}" if before else label
            for before in headings
            for label in dimension.labels
        ]
    identity = _identity(level)
    for number, values in enumerate(level.estimate.tolist()):
        place = {name: column[number] for name, column in identity.items()}
        yield place | {h: v if v >= 0 else None for h, v in zip(headings, values, strict=True)}


def area_files(name: str, table: pa.Table, noise_free: bool) -> dict[str, bytes]:
    """Make <name>.geo.parquet and <name>.geojson of a table whose `code` is a municipality."""
    shapes = outlines(Ground("municipality", tuple(table["code"].to_pylist())))
    return {
        f"{name}.geo.parquet": geoparquet(
            table, shapes, pa.array(np.arange(len(table))), noise_free
        ),
        f"{name}.geojson": geojson(shapes, table.to_pylist(), noise_free),
    }


def _rings(geometry: Mapping[str, Any]) -> list[Any]:
    """List the outer rings of a geometry."""
    polygons = (
        geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    )
    return [rings[0] for rings in polygons]
