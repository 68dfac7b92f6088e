"""What the labels of a published table stand for on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.geo import hokkaido, mesh
from xstat_ray.geo.mesh import Level

Kind = Literal["municipality", "subprefecture", "mesh", "all", "none"]
_DIGITS: dict[int, Level] = {
    4: "80km",
    6: "10km",
    7: "5km",
    8: "1km",
    9: "500m",
    10: "250m",
    11: "125m",
}


@dataclass(frozen=True)
class Ground:
    """What the labels of one row dimension, or of one level above it, are."""

    kind: Kind
    """`all` is one area that covers everything, `none` is not a place on a map."""
    codes: tuple[str, ...] = ()
    """By label: code of the municipality or square, English name of the subprefecture."""
    level: Level | None = None
    """Of squares."""


NOWHERE = Ground("none")


def ground(labels: Sequence[str], level: str = "") -> Ground:
    """Recognise municipalities (by English or Japanese name, or by code), subprefectures and grid squares.

    Args:
        labels: at least one.
        level: name of the level of the row tree, if it has one: names of subprefectures are also
            names of towns.
    """
    if list(labels) == ["total"]:
        return Ground("all", ("total",))
    if level == "subprefecture" and all(label in hokkaido.SUBPREFECTURES for label in labels):
        return Ground("subprefecture", tuple(labels))
    table = hokkaido.municipalities()
    codes = table["code"].to_pylist()
    for column in ("name_en", "code", "name_ja"):
        known = dict(zip(table[column].to_pylist(), codes, strict=True))
        if all(label in known for label in labels):
            return Ground("municipality", tuple(known[label] for label in labels))
    return _squares(labels)


def _squares(labels: Sequence[str]) -> Ground:
    level = _level(labels[0])
    if level is None or any(_level(label) != level for label in labels):
        return NOWHERE
    try:
        mesh.decode(np.array(labels, np.int64), level)
    except InputError:
        return NOWHERE
    return Ground("mesh", tuple(labels), level)


def _level(label: str) -> Level | None:
    if not label.isascii() or not label.isdigit():
        return None
    # Codes of 2 km and of 500 m both have nine digits; the former end in 5, the latter in 1 to 4.
    return "2km" if len(label) == 9 and label[-1] == "5" else _DIGITS.get(len(label))


def outlines(place: Ground) -> list[dict[str, Any]]:
    """GeoJSON geometries (RFC 7946) of municipalities or squares, in their order.

    Neighbouring squares share their corners bit by bit.
    """
    if place.kind == "municipality":
        return [_borders()[code] for code in place.codes]
    assert place.level is not None
    rings = mesh.polygon(np.array(place.codes, np.int64), place.level)
    return [{"type": "Polygon", "coordinates": [ring]} for ring in rings.tolist()]


@cache
def _borders() -> dict[str, dict[str, Any]]:
    features = hokkaido.borders()["features"]
    return {feature["properties"]["code"]: feature["geometry"] for feature in features}


def names(place: Ground) -> dict[str, list[str]]:
    """`name_en` and `name_ja` of municipalities and subprefectures by place.

    Nothing for other kinds.
    """
    if place.kind == "subprefecture":
        return {
            "name_en": list(place.codes),
            "name_ja": [hokkaido.SUBPREFECTURES[code] for code in place.codes],
        }
    if place.kind != "municipality":
        return {}
    table = hokkaido.municipalities()
    rows = pc.index_in(pa.array(place.codes, pa.string()), value_set=table["code"].combine_chunks())
    return {name: table[name].take(rows).to_pylist() for name in ("name_en", "name_ja")}


def municipality_of(codes: NDArray[np.int64], level: Level) -> NDArray[np.int64]:
    """(N,) for every square the row in `hokkaido.municipalities()` of its centre, -1 where that is no land."""
    land = hokkaido.cells()
    centres = mesh.encode(*mesh.centre(codes, level), "500m")
    places = pc.index_in(
        pa.array(centres.astype(np.int32)), value_set=land["mesh"].combine_chunks()
    )
    names = land["municipality"].combine_chunks().take(places).cast(pa.string())
    rows: NDArray[np.int64] = (
        pc.index_in(names, value_set=hokkaido.municipalities()["code"]).fill_null(-1).to_numpy()
    )
    return rows.astype(np.int64)
