"""Figures of the suites: charts of lines over sizes that double, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from xstat_ray.runtime.progress import Progress
from xstat_ray.util.files import write_folder
from xstat_ray.util.plotting import Draw, figure_files


class Line(NamedTuple):
    """Label, colour and marker of a series."""

    label: str
    colour: str
    marker: str = "o"


def write_figures(drawings: Mapping[str, Draw], folder: Path, progress: Progress) -> None:
    """Write <name>.png and <name>.svg of all drawings; without matplotlib there is a note instead.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        files = figure_files(drawings)
    except ImportError:
        progress.note("matplotlib is not installed: no figures are drawn.")
        return
    write_folder(folder, files)


def line_chart(
    new_figure: Any, lines: Mapping[Line, Mapping[int, float]], **axes_settings: Any
) -> Any:
    """Draw a line for each series of values by size, with the sizes on a logarithmic axis.

    Args:
        new_figure: matplotlib's class of figures.
        lines: values by size, by line.
        axes_settings: arguments of `Axes.set`.
    """
    figure = new_figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log", base=2)
    for line, points in lines.items():
        axes.plot(
            points.keys(), points.values(), color=line.colour, marker=line.marker, label=line.label
        )
        axes.set_xticks(list(points), [f"{x:,}" for x in points], minor=False)
    axes.set(**axes_settings)
    axes.grid(axis="y", color="#DDDDDD")
    axes.legend(frameon=False)
    return figure
