"""The figure of the shards suite: location rows a second by number of shards, a line for each number of workers."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xstat_ray.benchmarks.measure import Record
from xstat_ray.files import unwritable, write_whole
from xstat_ray.runtime.progress import Progress

_STYLE = {"svg.hashsalt": "xstat-ray", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""Okabe and Ito's, which colour-blind people can tell apart."""


def points(records: Sequence[Record]) -> dict[int, dict[int, float]]:
    """By number of workers, then of shards: millions of location rows a second."""
    found: dict[int, dict[int, float]] = {}
    for record in records:
        match record.metric.split("."):
            case ["shards", shards, "workers", workers, "rows_per_s"]:
                found.setdefault(int(workers), {})[int(shards)] = record.value / 1e6
    return found


def draw(records: Sequence[Record], folder: Path, progress: Progress) -> None:
    """Write throughput_by_shards.svg; only a note where matplotlib is not installed.

    Raises:
        InputError: the folder cannot be written to.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
        new_figure = importlib.import_module("matplotlib.figure").Figure
    except ImportError:
        progress.note("matplotlib is not installed: no figures are drawn.")
        return
    content = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        _figure(new_figure, points(records)).savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    try:
        write_whole(folder / "throughput_by_shards.svg", content.getvalue())
    except OSError as error:
        raise unwritable(folder, error) from None


def _figure(new_figure: Any, lines: dict[int, dict[int, float]]) -> Any:
    figure = new_figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log", base=2)
    for colour, (workers, line) in zip(_COLOURS * len(lines), lines.items(), strict=False):
        axes.plot(line.keys(), line.values(), color=colour, marker="o", label=f"{workers} worker{'s' * (workers > 1)}")
        axes.set_xticks(list(line), [f"{x:,}" for x in line], minor=False)
    axes.set(ylim=(0, None), xlabel="Shards", ylabel="Million location rows a second")
    axes.grid(axis="y", color="#DDDDDD")
    axes.legend(frameon=False)
    return figure
