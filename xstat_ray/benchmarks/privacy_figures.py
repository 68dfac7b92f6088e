"""The figures of the privacy suite, drawn from its records as SVG files that are the same for the same records."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xstat_ray.benchmarks.measure import Record
from xstat_ray.files import unwritable, write_whole
from xstat_ray.runtime.progress import Progress


class Line(NamedTuple):
    """How one series is drawn; the colours are Okabe and Ito's, which colour-blind people can tell apart."""

    label: str
    colour: str
    marker: str


AREAS = {
    "flat": Line("flat", "#E69F00", "s"),
    "haar": Line("Haar wavelet, top-down", "#009E73", "^"),
    "quadtree": Line("quadtree, equal budget", "#CC79A7", "D"),
    "tree": Line("tree", "#0072B2", "o"),
}
SHARDS = {
    "per_shard": Line("noise in every shard", "#E69F00", "s"),
    "once": Line("noise once, on the encrypted sum", "#0072B2", "o"),
}
_PEOPLE = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)
_STYLE = {"svg.hashsalt": "xstat-ray", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}


def draw(records: Sequence[Record], folder: Path, progress: Progress) -> None:
    """Write error_by_area.svg and error_by_shards.svg; only a note where matplotlib is not installed.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
        new_figure = importlib.import_module("matplotlib.figure").Figure
    except ImportError:
        progress.note("matplotlib is not installed: no figures are drawn.")
        return
    with matplotlib.rc_context(_STYLE):
        for name, make in {"error_by_area.svg": _by_area, "error_by_shards.svg": _by_shards}.items():
            content = io.BytesIO()
            make(new_figure, records).savefig(content, format="svg", metadata={"Date": None, "Creator": None})
            try:
                write_whole(folder / name, content.getvalue())
            except OSError as error:
                raise unwritable(folder, error) from None


def _by_area(new_figure: Any, records: Sequence[Record]) -> Any:
    figure, axes = _figure(new_figure, AREAS, records, "privacy.rmse.{}.cells_")
    axes.set(yscale="log", xlabel="Size of the area (cells)", ylabel="Root mean square error of its count (people)")
    axes.set_yticks(_PEOPLE, [f"{people:g}" for people in _PEOPLE])
    axes.minorticks_off()
    return figure


def _by_shards(new_figure: Any, records: Sequence[Record]) -> Any:
    figure, axes = _figure(new_figure, SHARDS, records, "privacy.shards.{}.")
    axes.set(ylim=(0, None), xlabel="Shards", ylabel="Root mean square error of a count (people)")
    return figure


def _figure(new_figure: Any, lines: Mapping[str, Line], records: Sequence[Record], prefix: str) -> tuple[Any, Any]:
    """One line for each of `lines`: records whose metric is the prefix, with its name in it, and then a number."""
    figure = new_figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log", base=2)
    for name, line in lines.items():
        start = prefix.format(name)
        points = {int(r.metric.removeprefix(start)): r.value for r in records if r.metric.startswith(start)}
        axes.plot(points.keys(), points.values(), color=line.colour, marker=line.marker, label=line.label)
        axes.set_xticks(list(points), [f"{x:,}" for x in points], minor=False)
    axes.grid(axis="y", color="#DDDDDD")
    axes.legend(frameon=False)
    return figure, axes
