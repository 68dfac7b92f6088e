"""Figures of the privacy suite, drawn from its records; equal records give equal files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from xstat_ray.benchmarks.figure_files import Line, line_chart, write_figures
from xstat_ray.benchmarks.timing import Record
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.plotting import COLOURS

_BLUE, _ORANGE, _GREEN, _PINK = COLOURS
AREAS = {
    "flat": Line("flat", _ORANGE, "s"),
    "haar": Line("Haar wavelet, top-down", _GREEN, "^"),
    "quadtree": Line("quadtree, equal budget", _PINK, "D"),
    "tree": Line("tree", _BLUE, "o"),
}
SHARDS = {
    "per_shard": Line("noise in every shard", _ORANGE, "s"),
    "once": Line("noise once, on the encrypted sum", _BLUE, "o"),
}
_PEOPLE = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)


def draw(records: Sequence[Record], folder: Path, progress: Progress) -> None:
    """Write error_by_area and error_by_shards in PNG and SVG; without matplotlib there is a note.

    Raises:
        InputError: the folder cannot be written to.
    """
    charts = {"error_by_area": _by_area, "error_by_shards": _by_shards}
    drawings = {name: partial(chart, records=records) for name, chart in charts.items()}
    write_figures(drawings, folder, progress)


def _by_area(new_figure: Any, records: Sequence[Record]) -> Any:
    lines = _points(AREAS, records, "privacy.rmse.{}.cells_")
    label = "Root mean square error of its count (people)"
    figure = line_chart(
        new_figure, lines, yscale="log", xlabel="Size of the area (cells)", ylabel=label
    )
    (axes,) = figure.axes
    axes.set_yticks(_PEOPLE, [f"{people:g}" for people in _PEOPLE])
    axes.minorticks_off()
    return figure


def _by_shards(new_figure: Any, records: Sequence[Record]) -> Any:
    lines = _points(SHARDS, records, "privacy.shards.{}.")
    label = "Root mean square error of a count (people)"
    return line_chart(new_figure, lines, ylim=(0, None), xlabel="Shards", ylabel=label)


def _points(
    lines: Mapping[str, Line], records: Sequence[Record], prefix: str
) -> dict[Line, dict[int, float]]:
    """Find the values of each line by the number at the end of their metric.

    Args:
        lines: lines by name.
        records: the records of the suite.
        prefix: the metric before the number, with {} for the name of the line.
    """
    found = {}
    for name, line in lines.items():
        start = prefix.format(name)
        found[line] = {
            int(r.metric.removeprefix(start)): r.value
            for r in records
            if r.metric.startswith(start)
        }
    return found
