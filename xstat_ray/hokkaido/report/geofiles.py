"""GeoParquet and GeoJSON of published figures, for geographic information systems, in degrees of OGC:CRS84."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xstat_ray.hokkaido.report.data import ABSENT, SUPPRESSED, Layer, Level
from xstat_ray.hokkaido.report.geography import Ground, names, outlines

DATA = Path(__file__).parent / "data"
STAMP = "NOISE OFF: exact counts, not differentially private"
SIDES = ["xmin", "ymin", "xmax", "ymax"]
_POLYGON = 3
_MULTIPOLYGON = 6


def wkb(geometry: Mapping[str, Any]) -> bytes:
    """A GeoJSON Polygon or MultiPolygon as ISO WKB, little-endian."""
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
    """A GeoParquet 1.1 file: `table` with the columns `geometry` and `bbox`, the box around each.

    Args:
        table: the attributes.
        geometries: distinct GeoJSON polygons.
        rows: for every row of `table` the number of its geometry.
        noise_free: stamps the file.
    """
    shapes = pa.array([wkb(geometry) for geometry in geometries], pa.binary())
    points = [
        np.concatenate([np.asarray(ring) for ring in _rings(geometry)]) for geometry in geometries
    ]
    boxes = np.array([[*own.min(axis=0), *own.max(axis=0)] for own in points])
    covering = pa.StructArray.from_arrays([pa.array(side) for side in boxes.T], names=SIDES)
    table = table.append_column("geometry", shapes.take(rows)).append_column(
        "bbox", covering.take(rows)
    )
    column = {
        "encoding": "WKB",
        "geometry_types": sorted({geometry["type"] for geometry in geometries}),
        "crs": json.loads((DATA / "crs84.json").read_text(encoding="utf-8")),
        "orientation": "counterclockwise",
        "edges": "planar",
        "bbox": [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()],
        "covering": {"bbox": {side: ["bbox", side] for side in SIDES}},
    }
    metadata = {
        "geo": json.dumps(
            {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
        )
    }
    if noise_free:
        metadata["WARNING"] = STAMP
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return bytes(sink.getvalue())


def geojson(
    geometries: Sequence[Mapping[str, Any]],
    properties: Iterable[Mapping[str, Any]],
    noise_free: bool,
) -> bytes:
    """A GeoJSON FeatureCollection (RFC 7946, whose only coordinate system is CRS84).

    One feature per geometry.
    """
    features = [
        {"type": "Feature", "properties": dict(own), "geometry": geometry}
        for geometry, own in zip(geometries, properties, strict=True)
    ]
    stamp = {"warning": STAMP} if noise_free else {}
    text = json.dumps(
        {"type": "FeatureCollection", **stamp, "features": features},
        ensure_ascii=False,
        allow_nan=False,
    )
    return (text + "\n").encode()


def layer_files(layer: Layer) -> dict[str, bytes]:
    """<study>.geo.parquet, one row per place and slot, and <study>.geojson, one feature per place.

    None without a map.

    Both hold `estimate` (null where nothing is published); the former also the interval and whether
    it was suppressed.
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


def long_table(layer: Layer, level: Level) -> pa.Table:
    """One row per place and slot: the place, the dimensions, `estimate`, `low95`, `high95`, `suppressed`."""
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


def _identity(level: Level) -> dict[str, list[str]]:
    """Columns that say which place it is."""
    return {"code": list(level.ground.codes), **names(level.ground)}


def _wide(layer: Layer, level: Level) -> Iterable[dict[str, Any]]:
    """For every place: who it is, and the estimate of every slot under the labels of the slot, joined by slashes."""
    headings = [""]
    for dimension in layer.dimensions:
        headings = [
            f"{before}/{label}" if before else label
            for before in headings
            for label in dimension.labels
        ]
    identity = _identity(level)
    for number, values in enumerate(level.estimate.tolist()):
        own = {name: column[number] for name, column in identity.items()}
        yield own | {h: v if v >= 0 else None for h, v in zip(headings, values, strict=True)}


def area_files(name: str, table: pa.Table, noise_free: bool) -> dict[str, bytes]:
    """<name>.geo.parquet and <name>.geojson of a table with one row per municipality, whose column is `code`."""
    shapes = outlines(Ground("municipality", tuple(table["code"].to_pylist())))
    return {
        f"{name}.geo.parquet": geoparquet(
            table, shapes, pa.array(np.arange(len(table))), noise_free
        ),
        f"{name}.geojson": geojson(shapes, table.to_pylist(), noise_free),
    }


def _rings(geometry: Mapping[str, Any]) -> list[Any]:
    """The outer rings."""
    polygons = (
        geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    )
    return [rings[0] for rings in polygons]
