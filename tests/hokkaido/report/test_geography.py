"""Labels become places."""

from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.geo import hokkaido, mesh
from xstat_ray.hokkaido.report.geography import NOWHERE, ground, municipality_of, names, outlines


@pytest.mark.parametrize("column", ["code", "name_en", "name_ja"])
def test_municipalities_are_known_by_code_and_by_either_name(column):
    table = hokkaido.municipalities()
    found = ground(table[column].to_pylist())
    assert found.kind == "municipality"
    assert list(found.codes) == table["code"].to_pylist()
    assert names(found)["name_ja"] == table["name_ja"].to_pylist()


def test_a_name_that_is_a_town_and_a_subprefecture_follows_its_level():
    assert ground(["Kushiro", "Nemuro"]).kind == "municipality"
    district = ground(["Kushiro", "Nemuro"], "subprefecture")
    assert district.kind == "subprefecture" and names(district)["name_ja"] == [
        "釧路総合振興局",
        "根室振興局",
    ]


@pytest.mark.parametrize("level", mesh.LEVELS)
def test_squares_of_every_level_are_known_by_their_code(level):
    codes = mesh.encode([43.0, 43.4], [144.3, 145.1], level)
    found = ground([str(code) for code in codes])
    assert (found.kind, found.level) == ("mesh", level)
    for geometry, ring in zip(outlines(found), mesh.polygon(codes, level), strict=True):
        assert geometry == {"type": "Polygon", "coordinates": [ring.tolist()]}


@pytest.mark.parametrize(
    "labels",
    [["Paris"], ["Kushiro", "elsewhere"], ["1234567"], ["644441453", "6444"], ["near home"]],
)
def test_anything_else_is_not_on_the_map(labels):
    assert ground(labels) == NOWHERE


def test_total_is_one_area():
    assert ground(["total"]).kind == "all"


def test_a_square_lies_in_the_municipality_of_its_centre():
    lat = np.array([42.9849, 44.0, 43.5])
    lon = np.array([144.3814, 150.0, 141.0])
    rows = municipality_of(mesh.encode(lat, lon, "500m"), "500m")
    assert hokkaido.municipalities()["name_en"][int(rows[0])].as_py() == "Kushiro"
    assert rows.tolist()[1] == -1


def test_every_municipality_has_an_outline():
    shapes = outlines(ground(hokkaido.municipalities()["code"].to_pylist()))
    assert len(shapes) == 179 and {shape["type"] for shape in shapes} == {"Polygon", "MultiPolygon"}
