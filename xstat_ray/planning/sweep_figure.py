"""Draws a sweep: error against the first swept key, a line for each setting of the others."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError
from xstat_ray.planning.sweep import Sweep
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
    figure = new_figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    first, *others = sweep.keys
    for number, (label, line) in enumerate(lines(sweep, level).items()):
        colour = COLOURS[number % len(COLOURS)]
        mark = _MARKS[number % len(_MARKS)]
        axes.plot(list(line), list(line.values()), marker=mark, color=colour, label=label)
    axes.set_xlabel(first)
    axes.set_ylabel(f"Predicted standard error of a {level} (counts)")
    axes.set_ylim(bottom=0)
    if others:
        axes.legend(title=", ".join(others), frameon=False)
    return figure


def lines(sweep: Sweep, level: str) -> dict[str, dict[Any, float]]:
    """Errors by value of the first key, by the values of the others as text."""
    found: dict[str, dict[Any, float]] = {}
    for point in sweep.points:
        if level in point.stderrs:
            first, *others = point.values
            label = ", ".join(map(str, others))
            at = first if isinstance(first, int | float) else str(first)
            found.setdefault(label, {})[at] = point.stderrs[level]
    return found
