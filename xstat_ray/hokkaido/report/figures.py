"""Figures for slides, in PNG and SVG: maps, profiles over time, airports by municipality.

They need matplotlib.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.report.answers import Answers
from xstat_ray.hokkaido.report.data import Layer, LayerLevel
from xstat_ray.hokkaido.report.geofiles import WARNING
from xstat_ray.hokkaido.report.geography import Ground, outlines
from xstat_ray.util.plotting import COLOURS, Draw

AIRPORTS = dict(zip(("KUH", "MMB", "SHB", "OBO"), COLOURS, strict=True))
_SEA = "#DFE8EF"
_LAND = "#FBFAF6"
_COAST = "#7D8A97"
_HIDDEN = "#ECEFF2"
_ASPECT = 1 / np.cos(np.radians(43.3))


def drawings(layers: Sequence[Layer], answers: Answers | None) -> dict[str, Draw]:
    """List what can be drawn, by name; drawings are stamped if any source holds exact counts."""
    found = _drawings(layers, answers)
    if any(layer.noise_free for layer in layers) or (answers is not None and answers.noise_free):
        return {name: partial(_stamped, draw=draw) for name, draw in found.items()}
    return found


def _stamped(new_figure: Any, draw: Draw) -> Any:
    figure = draw(new_figure)
    figure.text(0.5, 0.5, WARNING, color="#A3160C", alpha=0.75, size=15, rotation=20, ha="center")
    return figure


def _drawings(layers: Sequence[Layer], answers: Answers | None) -> dict[str, Draw]:
    found: dict[str, Draw] = {}
    for layer in layers:
        if layer.levels[0].ground.kind in ("municipality", "mesh"):
            found[f"map_{layer.study}"] = partial(_map, layer=layer)
        if _time(layer) is not None:
            found[f"profile_{layer.study}"] = partial(_profile, layer=layer)
    if answers is not None:
        found["watershed"] = partial(_watershed, answers=answers)
        found["needs"] = partial(_needs, answers=answers)
    return found


def _time(layer: Layer) -> int | None:
    """Find the dimension of time: of moments before or after something, or of hours."""
    for axis, dimension in enumerate(layer.dimensions):
        moments = all("+" in label or "-" in label for label in dimension.labels)
        if len(dimension.labels) > 2 and (dimension.name in ("offset", "time", "hour") and moments):
            return axis
    return None


def _busiest(level: LayerLevel) -> int:
    """Find the slot in which most people were published."""
    return int(np.maximum(level.estimate, 0).sum(axis=0).argmax())


def _slot_name(layer: Layer, slot: int) -> str:
    sizes = [len(dimension.labels) for dimension in layer.dimensions]
    if not sizes:
        return ""
    return ", ".join(
        d.labels[i] for d, i in zip(layer.dimensions, np.unravel_index(slot, sizes), strict=True)
    )


def _map(new_figure: Any, layer: Layer) -> Any:
    """Draw the estimates of the busiest slot on a map.

    Places are hatched where nothing is published, and pale where the interval reaches zero.
    """
    level = layer.levels[0]
    slot = _busiest(layer.levels[-1])
    value = level.estimate[:, slot]
    uncertain = (value >= 0) & (level.low[:, slot] <= 0) & (level.high[:, slot] > value)
    figure, axes = _blank(new_figure)
    colours = importlib.import_module("matplotlib.colors")
    norm = colours.LogNorm(max(1, value[value >= 0].min(initial=1)), max(10, value.max(initial=10)))
    shades = importlib.import_module("matplotlib").colormaps["YlGnBu"]
    face = [shades(norm(max(v, 1))) if v >= 0 else _HIDDEN for v in value.tolist()]
    _fill(
        axes,
        level.ground,
        face,
        ["///" if v < 0 else "" for v in value],
        np.where(uncertain, 0.5, 1.0),
    )
    _coast(axes)
    scale = importlib.import_module("matplotlib.cm").ScalarMappable(norm, shades)
    figure.colorbar(
        scale, ax=axes, shrink=0.6, label=layer.mean.label if layer.mean else "people (estimate)"
    )
    axes.set_title(f"{layer.study}: {_slot_name(layer, slot)}", size=10)
    _note(axes, "hatched: not published (not zero); pale: 95 % interval reaches zero")
    return figure


def _profile(new_figure: Any, layer: Layer) -> Any:
    """Draw the coarsest level over time with 95 % intervals, around the busiest slot."""
    level = layer.levels[-1]
    axis = _time(layer)
    assert axis is not None
    sizes = [len(dimension.labels) for dimension in layer.dimensions]
    place = int(np.maximum(level.estimate, 0).sum(axis=1).argmax())
    at = list(np.unravel_index(_busiest(level), sizes))
    figure = new_figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    labels = layer.dimensions[axis].labels
    for x in range(len(labels)):
        at[axis] = np.intp(x)
        slot = int(np.ravel_multi_index(at, sizes))
        value, low, high = (
            int(part[place, slot]) for part in (level.estimate, level.low, level.high)
        )
        if value < 0:
            axes.text(x, 0, "not\npublished", ha="center", va="bottom", size=7, color="#6B7480")
            continue
        axes.bar(x, value, width=0.65, color="#1F80B8")
        axes.plot([x, x], [max(low, 0), max(high, 0)], color="#17212E", linewidth=1.2)
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", size=8)
    others = [
        d.labels[i] for n, (d, i) in enumerate(zip(layer.dimensions, at, strict=True)) if n != axis
    ]
    axes.set_title(f"{layer.study}: {', '.join([level.places[place], *others])}", size=10)
    what = layer.mean.label if layer.mean else "people"
    axes.set_ylabel(f"{what}, 95 % interval")
    axes.grid(axis="y", color="#DDDDDD")
    axes.set_axisbelow(True)
    return figure


def _watershed(new_figure: Any, answers: Answers) -> Any:
    """Draw the airport that most passengers of a municipality came through, where it is told."""
    needs = answers.tables["needs"]
    main = needs["main_airport"].to_pylist()
    figure, axes = _blank(new_figure)
    face = [AIRPORTS.get(code or "", _HIDDEN) for code in main]
    _fill(axes, _towns(needs), face, ["" if code else "///" for code in main], np.ones(len(main)))
    _coast(axes)
    patch = importlib.import_module("matplotlib.patches").Patch
    handles = [patch(color=colour, label=code) for code, colour in AIRPORTS.items() if code in main]
    handles.append(
        patch(facecolor=_HIDDEN, hatch="///", edgecolor="#B4BCC6", label="cannot be told")
    )
    axes.legend(handles=handles, loc="lower right", frameon=True, title="airport used most")
    axes.set_title("Which airport serves which municipality", size=10)
    return figure


def _needs(new_figure: Any, answers: Answers) -> Any:
    """Draw the fifteen neediest municipalities with 95 % intervals."""
    rows = [row for row in answers.tables["needs"].to_pylist() if row["rank"]][:15]
    figure = new_figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.add_subplot()
    y = np.arange(len(rows))[::-1]
    axes.barh(y, [row["need"] for row in rows], color="#1F80B8", height=0.65)
    axes.hlines(
        y,
        [row["need_low95"] for row in rows],
        [row["need_high95"] for row in rows],
        color="#17212E",
    )
    axes.set_yticks(y, [f"{row['rank']}. {row['name_en']}" for row in rows])
    axes.set_xlabel("visitor-hours a day, 95 % interval")
    axes.set_title("Where transport is missing", size=10)
    axes.grid(axis="x", color="#DDDDDD")
    axes.set_axisbelow(True)
    return figure


def _blank(new_figure: Any) -> tuple[Any, Any]:
    figure = new_figure(figsize=(7, 5.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set(
        xlim=(139.3, 146.1), ylim=(41.3, 45.6), aspect=_ASPECT, xticks=[], yticks=[], facecolor=_SEA
    )
    axes.spines[:].set_visible(False)
    return figure, axes


def _coast(axes: Any) -> None:
    """Draw land under everything else, and its outline on top."""
    land = [feature["geometry"] for feature in hokkaido.coast()["features"]]
    _polygons(axes, land, facecolor=_LAND, zorder=0)
    _polygons(axes, land, facecolor="none", edgecolor=_COAST, linewidth=0.6, zorder=3)


def _fill(
    axes: Any, ground: Ground, face: Sequence[Any], hatch: Sequence[str], alpha: NDArray[np.float64]
) -> None:
    for geometry, colour, pattern, strength in zip(
        outlines(ground), face, hatch, alpha, strict=True
    ):
        edge = "#B4BCC6" if ground.kind == "municipality" else "none"
        _polygons(
            axes,
            [geometry],
            facecolor=colour,
            edgecolor=edge,
            hatch=pattern,
            linewidth=0.4,
            alpha=strength,
        )


def _polygons(axes: Any, geometries: Sequence[Mapping[str, Any]], **style: Any) -> None:
    path = importlib.import_module("matplotlib.path").Path
    patch = importlib.import_module("matplotlib.patches").PathPatch
    rings = []
    for geometry in geometries:
        parts = (
            geometry["coordinates"]
            if geometry["type"] == "MultiPolygon"
            else [geometry["coordinates"]]
        )
        rings += [path(np.asarray(ring), closed=True) for part in parts for ring in part]
    axes.add_patch(patch(path.make_compound_path(*rings), **style))


def _towns(needs: Any) -> Ground:
    return Ground("municipality", tuple(needs["code"].to_pylist()))


def _note(axes: Any, text: str) -> None:
    axes.text(0.01, 0.01, text, transform=axes.transAxes, size=7, color="#55606E")
