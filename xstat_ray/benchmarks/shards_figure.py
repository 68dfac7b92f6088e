"""The figure of the shards suite: location rows a second by number of shards and workers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import cycle
from pathlib import Path

from xstat_ray.benchmarks.figure_files import Line, line_chart, write_figures
from xstat_ray.benchmarks.timing import Record
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.plotting import COLOURS


def points(records: Sequence[Record]) -> dict[int, dict[int, float]]:
    """Find millions of location rows a second, by number of workers, then of shards."""
    found: dict[int, dict[int, float]] = {}
    for record in records:
        match record.metric.split("."):
            case ["shards", shards, "workers", workers, "rows_per_s"]:
                found.setdefault(int(workers), {})[int(shards)] = record.value / 1e6
    return found


def draw(records: Sequence[Record], folder: Path, progress: Progress) -> None:
    """Write throughput_by_shards.png and .svg; without matplotlib there is a note instead.

    Raises:
        InputError: the folder cannot be written to.
    """
    lines = {
        Line(f"{workers} worker{'s' * (workers > 1)}", colour): line
        for colour, (workers, line) in zip(cycle(COLOURS), points(records).items(), strict=False)
    }
    chart = partial(
        line_chart,
        lines=lines,
        ylim=(0, None),
        xlabel="Shards",
        ylabel="Million location rows a second",
    )
    write_figures({"throughput_by_shards": chart}, folder, progress)
