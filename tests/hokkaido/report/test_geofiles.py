"""Files for geographic information systems: valid, and equal to what was published."""

from __future__ import annotations

import json

import geopandas
import geoparquet_validator
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from geojson_pydantic import FeatureCollection

from tests.sizes import thorough
from xstat_ray.hokkaido.report.data import read_layers
from xstat_ray.hokkaido.report.geofiles import layer_files, long_table, wkb
from xstat_ray.hokkaido.report.geography import ground, outlines

FILES = ("doto_movement", "catchment", "needs")


@pytest.mark.parametrize("name", FILES)
def test_geoparquet_keeps_the_specification(report, name):
    verdict = geoparquet_validator.check(str(report / f"{name}.geo.parquet"))
    assert geoparquet_validator.conformant(verdict), geoparquet_validator.failed(verdict)


@pytest.mark.parametrize("name", FILES)
def test_geopandas_reads_it_with_its_coordinate_system(report, name):
    frame = geopandas.read_parquet(report / f"{name}.geo.parquet")
    assert frame.crs.to_authority() == ("OGC", "CRS84")
    assert not frame.geometry.is_empty.any() and frame.geometry.notna().all()
    west, south, east, north = frame.total_bounds
    assert (139 < west < east < 149) and (41 < south < north < 46)


@pytest.mark.parametrize("name", FILES)
def test_geojson_is_valid_and_lies_as_rfc_7946_says(report, name):
    text = (report / f"{name}.geojson").read_text()
    collection = FeatureCollection.model_validate_json(text)
    assert "crs" not in json.loads(text), "RFC 7946 knows one coordinate system alone"
    for feature in collection.features:
        polygons = feature.geometry.coordinates
        for rings in polygons if feature.geometry.type == "MultiPolygon" else [polygons]:
            assert shapely.LinearRing(rings[0]).is_ccw and not any(
                shapely.LinearRing(hole).is_ccw for hole in rings[1:]
            )


@pytest.mark.parametrize("study", ["movement", "catchment"])
def test_values_equal_the_statistics(country, report, study):
    published = pq.read_table(getattr(country, study) / "statistics.parquet")
    name = json.loads((getattr(country, study) / "manifest.json").read_text())["study"]
    table = pq.read_table(report / f"{name}.geo.parquet")
    assert table["estimate"].to_pylist() == published["estimate"].to_pylist()
    assert table["suppressed"].to_pylist() == published["suppressed"].to_pylist()
    assert table["name_en"].to_pylist() == published["municipality"].to_pylist()
    assert "noisy" not in table.column_names
    hidden = np.array(table["suppressed"])
    assert table.filter(hidden)["low95"].null_count == hidden.sum()
    features = json.loads((report / f"{name}.geojson").read_text())["features"]
    wide = [value for f in features for key, value in f["properties"].items() if "/" in key]
    assert wide == published["estimate"].to_pylist()


@thorough
def test_squares_are_exact(squares):
    layer = read_layers(squares)[0]
    small = layer.levels[0]
    table = long_table(layer, small)
    assert table.num_rows == 20_000 * 144 and table["code"][144].as_py() == small.places[1]
    shapes = shapely.from_wkb([wkb(shape) for shape in outlines(small.ground)[:500]])
    sides = [shape.bounds for shape in shapes]
    # Squares of 500 m span 15 seconds of latitude by 22.5 of longitude.
    assert np.allclose([north - south for _, south, _, north in sides], 15 / 3600, atol=1e-12)
    assert np.allclose([east - west for west, _, east, _ in sides], 22.5 / 3600, atol=1e-12)


@pytest.mark.parametrize("codes", [["01206"], ["01101", "01100"], ["01100"]])
def test_wkb_equals_that_of_geos(codes):
    codes = [code for code in codes if ground([code]).kind == "municipality"]
    for geometry in outlines(ground(codes)):
        assert wkb(geometry) == shapely.to_wkb(shapely.geometry.shape(geometry), byte_order=1)


def test_exact_counts_are_stamped(exact):
    files = layer_files(read_layers(exact.catchment)[0])
    schema = pq.read_schema(pa.BufferReader(files["catchment.geo.parquet"]))
    assert b"NOISE OFF" in schema.metadata[b"WARNING"]
    assert "NOISE OFF" in json.loads(files["catchment.geojson"])["warning"]


def test_studies_that_are_not_on_the_map_make_no_files(country):
    assert layer_files(read_layers(country.preboarding)[0]) == {}
