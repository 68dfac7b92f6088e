"""Places that the labels of a published table stand for."""

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
    """Places of the labels of a row dimension, or of a level above it."""

    kind: Kind
    """`all` is one area that covers everything, `none` is not a place on a map."""
    codes: tuple[str, ...] = ()
    """Code of the municipality or square, or English name of the subprefecture, by label."""
    level: Level | None = None
    """Level of the grid, where the places are squares."""


NOWHERE = Ground("none")


def ground(labels: Sequence[str], level: str = "") -> Ground:
    """Recognise municipalities, subprefectures and grid squares.

    Args:
        labels: at least one label; municipalities by English or Japanese name, or by code.
        level: name of the level of the row tree, if any; it tells subprefectures from the towns
            after which they are named.
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
    # Codes of 2 km and of 500 m have nine digits; those of 2 km end in 5, the others in 1 to 4.
    return "2km" if len(label) == 9 and label[-1] == "5" else _DIGITS.get(len(label))


def outlines(place: Ground) -> list[dict[str, Any]]:
    """Make GeoJSON geometries (RFC 7946) of municipalities or squares, in their order.

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
    """Find `name_en` and `name_ja` of municipalities and subprefectures, in their order.

    Other kinds of places have no names, and the result is empty.
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
    """Find the municipalities of squares by their centres.

    Args:
        codes: (N,) codes of squares.
        level: level of the grid.

    Returns:
        (N,) rows of `hokkaido.municipalities()`; -1 where the centre is not on land.
    """
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
