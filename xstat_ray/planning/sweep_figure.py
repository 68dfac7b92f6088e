"""Draws a sweep: error against the first swept key, a line for each setting of the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isinf
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError
from xstat_ray.planning.sweep import Point, Sweep
from xstat_ray.util.files import write_whole
from xstat_ray.util.plotting import COLOURS, figure_files

_MARKS = "osD^v"


def write_figure(sweep: Sweep, level: str, path: Path) -> None:
    """Draw the errors of a level into an SVG or PNG file.

    Args:
        sweep: what is drawn.
        level: name of the level.
        path: the file; its name ends with .svg or .png.

    Raises:
        InputError: another ending, a level without errors, no matplotlib, or a file that cannot be
            written.
    """
    if path.suffix not in (".svg", ".png"):
        raise InputError(
            "a figure is an SVG or PNG file", key="figure", remedy="End its name with .svg or .png"
        )
    if level not in sweep.levels:
        remedy = f"Use one of {', '.join(sweep.levels)}"
        raise InputError(
            f"no plan has errors of the level {level!r}", key="target_level", remedy=remedy
        )
    try:
        files = figure_files({"sweep": partial(_draw, sweep=sweep, level=level)})
    except ImportError:
        raise InputError(
            "figures need matplotlib", key="figure", remedy="pip install 'xstat-ray[report]'"
        ) from None
    try:
        write_whole(path, files[f"sweep{path.suffix}"])
    except OSError as error:
        raise InputError(
            "the figure cannot be written", file=str(path), remedy=error.strerror
        ) from None


def _draw(new_figure: Any, sweep: Sweep, level: str) -> Any:
    panels = {f"Predicted standard error of a {level} (counts)": lines(sweep, level)}
    if any(point.shown for point in sweep.points):
        panels["Published cells"] = lines_of(sweep, _cells)
        panels["Their relative error, median (%)"] = lines_of(sweep, _percent_off)
    figure = new_figure(figsize=(6.4 if len(panels) == 1 else 12, 4), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, found) in zip(drawn, panels.items(), strict=True):
        _panel(axes, title, sweep.keys[0], found)
    if len(sweep.keys) > 1:
        drawn[-1].legend(title=", ".join(sweep.keys[1:]), frameon=False)
    return figure


def _panel(axes: Any, title: str, first: str, found: dict[str, dict[Any, float]]) -> None:
    for number, (label, line) in enumerate(found.items()):
        colour = COLOURS[number % len(COLOURS)]
        mark = _MARKS[number % len(_MARKS)]
        axes.plot(list(line), list(line.values()), marker=mark, color=colour, label=label)
    axes.set_xlabel(first)
    axes.set_ylabel(title)
    axes.set_ylim(bottom=0)


def _cells(point: Point) -> float | None:
    return point.shown.cells if point.shown else None


def _percent_off(point: Point) -> float | None:
    error = point.shown.error if point.shown else None
    return None if error is None or isinf(error) else 100 * error


def lines(sweep: Sweep, level: str) -> dict[str, dict[Any, float]]:
    """Errors by value of the first key, by the values of the others as text."""
    return lines_of(sweep, lambda point: point.stderrs.get(level))


def lines_of(sweep: Sweep, figure: Callable[[Point], float | None]) -> dict[str, dict[Any, float]]:
    """Figures of points by value of the first key, by the values of the others as text."""
    found: dict[str, dict[Any, float]] = {}
    for point in sweep.points:
        value = figure(point)
        if value is not None:
            first, *others = point.values
            label = ", ".join(map(str, others))
            at = first if isinstance(first, int | float) else str(first)
            found.setdefault(label, {})[at] = value
    return found
