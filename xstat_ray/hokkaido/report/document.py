"""The JSON document of a page: releases, answers and geography, and nothing that was suppressed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xstat_ray.geo import hokkaido, mesh
from xstat_ray.hokkaido.report.answers import Answers
from xstat_ray.hokkaido.report.data import Layer, LayerLevel
from xstat_ray.hokkaido.report.geography import municipality_of, names
from xstat_ray.hokkaido.report.packing import columns, pack
from xstat_ray.util.software_digest import software_version

_NEEDS = (
    "code", "rank", "rank_low", "rank_high", "in_top", "need", "need_low95", "need_high95",
    "visitors", "visitors_stderr", "flyers", "air_share", "landing_minutes",
    "landing_minutes_stderr", "road_minutes", "main_airport", "overlap",
)  # fmt: skip
_SHOWN = {
    "needs": _NEEDS,
    "hours": ("code", "hour", "visitors", "stderr"),
    "watershed": ("code", "airport", "share", "low95", "high95"),
    "opening": (
        "code",
        "before",
        "before_stderr",
        "after",
        "after_stderr",
        "change",
        "low95",
        "high95",
        "changed",
    ),
    "boarding": ("airport", "flight", "before", "state", "share", "low95", "high95"),
}
"""Columns of the answers that a page shows; counts of single cells are not among them."""


def document(layers: Sequence[Layer], answers: Answers | None, language: str) -> dict[str, Any]:
    """Make the document of a page; equal releases give equal documents.

    Args:
        layers: releases, in the order in which the page offers them.
        answers: the tables of `xstat-ray needs`, if any.
        language: "ja" or "en", which is shown first.
    """
    return {
        "language": language,
        "version": software_version(),
        "noise_free": any(layer.noise_free for layer in layers)
        or (answers is not None and answers.noise_free),
        "layers": [_layer(layer) for layer in layers],
        "answers": None if answers is None else _answers(answers),
        "municipalities": columns(
            hokkaido.municipalities(), ("code", "name_ja", "name_en", "subprefecture", "lat", "lon")
        ),
        "subprefectures": hokkaido.SUBPREFECTURES,
        "airports": columns(hokkaido.airports(), ("iata", "name_ja", "name_en", "lat", "lon")),
        "borders": hokkaido.borders(),
        "coast": hokkaido.coast(),
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "study": layer.study,
        "title": dict(layer.title),
        "noise_free": layer.noise_free,
        "facts": dict(layer.facts),
        "place": layer.place,
        "dimensions": [{"name": d.name, "labels": d.labels} for d in layer.dimensions],
        "levels": [_level(level) for level in layer.levels],
        **({"mean": layer.mean._asdict()} if layer.mean else {}),
    }


def _level(level: LayerLevel) -> dict[str, Any]:
    """Describe a level: its places, estimates and intervals.

    `below` is how far the interval reaches under the estimate, `width` its length; both are 0 where
    nothing is published.
    """
    shown = level.estimate >= 0
    below, width = (
        np.where(shown, part, 0) for part in (level.estimate - level.low, level.high - level.low)
    )
    # The width is equal everywhere in most releases; writing it where nothing is published, too,
    # costs no byte.
    widths = np.unique(width[shown])
    return {
        "name": level.name,
        **_places(level),
        "estimate": pack(level.estimate),
        "below": pack(below),
        "width": pack(np.full_like(width, widths[0]) if len(widths) == 1 else width),
    }


def _places(level: LayerLevel) -> dict[str, Any]:
    """Describe the places; from the grid numbers of squares the page draws them exactly."""
    ground = level.ground
    if ground.kind != "mesh":
        places = list(ground.codes) or list(level.places)
        return {"kind": ground.kind, "places": places, **names(ground)}
    assert ground.level is not None
    codes = np.array(ground.codes, np.int64)
    rows, cols = mesh.decode(codes, ground.level)
    towns = municipality_of(codes, ground.level)
    return {
        "kind": "mesh",
        "grid": ground.level,
        "parts": round(1 / float(mesh.degrees(0, 1, ground.level)[1] - 100)),
        "rows": pack(rows),
        "columns": pack(cols),
        "codes": pack(codes // 1000),
        "tails": pack(codes % 1000),
        "municipality": pack(towns),
    }


def _answers(answers: Answers) -> dict[str, Any]:
    tables = {name: columns(table, _SHOWN[name]) for name, table in answers.tables.items()}
    return {"tables": tables, "facts": dict(answers.facts), "noise_free": answers.noise_free}
