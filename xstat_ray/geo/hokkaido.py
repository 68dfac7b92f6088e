"""Reference data of Hokkaido: municipalities, land cells of 500 m, airports, coastline and borders.

The files lie in `data/` with their sources and licences (data/SOURCES.md); `python -m
xstat_ray.geo.build_reference` makes them. The six villages of the Northern Territories, which have
no residents in the register, are left out.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from xstat_ray.geo import mesh
from xstat_ray.geo.mesh import Level

DATA = Path(__file__).parent / "data"

SUBPREFECTURES = {
    "Sorachi": "空知総合振興局",
    "Ishikari": "石狩振興局",
    "Shiribeshi": "後志総合振興局",
    "Iburi": "胆振総合振興局",
    "Hidaka": "日高振興局",
    "Oshima": "渡島総合振興局",
    "Hiyama": "檜山振興局",
    "Kamikawa": "上川総合振興局",
    "Rumoi": "留萌振興局",
    "Soya": "宗谷総合振興局",
    "Okhotsk": "オホーツク総合振興局",
    "Tokachi": "十勝総合振興局",
    "Kushiro": "釧路総合振興局",
    "Nemuro": "根室振興局",
}
"""Japanese names of the 14 subprefectures by English name, in the official order."""

DOTO = ("Okhotsk", "Kushiro", "Nemuro", "Tokachi")
"""The subprefectures of eastern Hokkaido (道東)."""

PARENTS: dict[str, Level] = {
    "mesh1km": "1km",
    "mesh2km": "2km",
    "mesh10km": "10km",
    "mesh80km": "80km",
}
"""Levels of the coarser squares around a cell, by the name of their column."""


@cache
def municipalities() -> pa.Table:
    """Read the 179 municipalities, in the order of their codes; Sapporo is a single one.

    Columns: code (5 digits), name_ja, name_en (unique: "Kushiro" is the city, "Kushiro (town)" the
    town), kind ("city", "town", "village"), subprefecture, subprefecture_ja, lat, lon (town hall),
    population (int64, census of 1 October 2020 to the nearest ten).
    """
    table = _csv("municipalities.csv")
    names = pa.array([SUBPREFECTURES[name] for name in table["subprefecture"].to_pylist()])
    return table.add_column(
        table.column_names.index("subprefecture") + 1, "subprefecture_ja", names
    )


@cache
def cells() -> pa.Table:
    """Read the 500 m cells of land, lakes included, sorted by `mesh`.

    Columns: mesh (int32), municipality (dictionary of codes), subprefecture (dictionary), mesh1km,
    mesh2km, mesh10km, mesh80km (int32): the squares around the cell.
    """
    table = pq.read_table(DATA / "cells.parquet")
    columns = {"mesh": table["mesh"], "municipality": _dictionary(table["municipality"])}
    columns["subprefecture"] = _of_municipality(columns["municipality"], "subprefecture")
    codes = table["mesh"].to_numpy()
    for name, level in PARENTS.items():
        columns[name] = pa.array(mesh.parent(codes, "500m", level).astype(np.int32))
    return pa.table(columns)


@cache
def reference() -> pa.Table:
    """Make the public table of cells that a study names in `reference: hokkaido`.

    Columns: mesh, mesh1km, mesh2km, mesh10km, mesh80km (int32), municipality (English name,
    unique), municipality_code, municipality_ja, subprefecture (dictionaries of strings).
    """
    table = cells()
    columns = {column: table[column] for column in ("mesh", *PARENTS)}
    code = _dictionary(table["municipality"])
    columns |= {"municipality": _of_municipality(code, "name_en"), "municipality_code": code}
    columns |= {
        "municipality_ja": _of_municipality(code, "name_ja"),
        "subprefecture": table["subprefecture"],
    }
    return pa.table(columns)


@cache
def airports() -> pa.Table:
    """Read the airports of Hokkaido with scheduled flights, and the airports they fly to.

    Columns: iata, name_ja, name_en, lat, lon (the aerodrome's reference point on the runways,
    within about 1 km of the terminal), municipality (code; outside Hokkaido the prefecture's code,
    as "13000"), mesh (int32, 500 m).
    """
    table = _csv("airports.csv")
    codes = mesh.encode(table["lat"].to_numpy(), table["lon"].to_numpy(), "500m")
    return table.append_column("mesh", pa.array(codes.astype(np.int32)))


@cache
def coast() -> dict[str, Any]:
    """Read land from 139 to 149 east and 41 to 46 north as GeoJSON (RFC 7946), island by island.

    All callers share the result, and must not change it.
    """
    return _geojson("coast.json")


@cache
def borders() -> dict[str, Any]:
    """Read municipalities as GeoJSON (RFC 7946): code, name_ja, name_en, subprefecture.

    All callers share the result, and must not change it.
    """
    return _geojson("borders.json")


def _csv(name: str) -> pa.Table:
    texts = dict.fromkeys(("code", "municipality"), pa.string())
    return pa_csv.read_csv(
        DATA / name, convert_options=pa_csv.ConvertOptions(column_types=texts)
    ).combine_chunks()


def _geojson(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DATA / name).read_text(encoding="utf-8"))
    return document


def _of_municipality(codes: pa.DictionaryArray, column: str) -> pa.DictionaryArray:
    """Look up a column of `municipalities` for each element of `codes`."""
    table = municipalities()
    rows = pc.index_in(codes.dictionary, table["code"].combine_chunks())
    distinct = table[column].combine_chunks().take(rows).dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(codes.indices), distinct.dictionary)


def _dictionary(column: pa.ChunkedArray) -> pa.DictionaryArray:
    combined = column.combine_chunks()
    return combined if pa.types.is_dictionary(combined.type) else combined.dictionary_encode()
