"""Prints the errors of a sweep."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from xstat_ray.planning.sweep import Point, Shown, Sweep

_REHEARSED = ("cells\npublished", "off by\n(median)", "of all\ncounts")
_REHEARSAL = (
    "Published, of the counts of sweep.data: cells in a draw of the noise, the median of their "
    "relative errors, and the part of all counts that they hold. Those counts stand for the true "
    "ones; if they were published, they have noise in them themselves."
)


def print_sweep(sweep: Sweep, console: Console | None = None) -> None:
    """Print a line for each point: the swept values, what the plan takes, and its errors."""
    console = console or Console(markup=False, highlight=False)
    table = Table(box=SIMPLE_HEAD, show_edge=False, title="Sweep", title_justify="left")
    for key in sweep.keys:
        table.add_column(key.replace(".", "\n"), justify="right")
    table.add_column("plan")
    for level in sweep.levels:
        table.add_column(f"a\n{level}", justify="right")
    rehearsed = any(point.shown for point in sweep.points)
    for name in _REHEARSED if rehearsed else ():
        table.add_column(name, justify="right")
    for point in sweep.points:
        table.add_row(*map(str, point.values), *_plan(point, sweep), *_shown(point.shown))
    console.print(table)
    console.print(
        "Predicted standard error of a count on each level, before refinement. What bounds drop "
        "comes on top, and no plan knows it."
    )
    if rehearsed:
        console.print(_REHEARSAL)
    for point in sweep.points:
        if point.refusal:
            values = ", ".join(map(str, point.values))
            console.print(f"refused at {values}: {point.refusal}", soft_wrap=True)


def _plan(point: Point, sweep: Sweep) -> list[str]:
    if point.refusal:
        return ["refused"]
    errors = [point.stderrs.get(level) for level in sweep.levels]
    told = ["" if error is None else f"{error:.3g}" for error in errors]
    return [f"{point.noise} {point.mechanism}", *told]


def _shown(shown: Shown | None) -> list[str]:
    if shown is None:
        return []
    error = "" if shown.error is None else f"{shown.error:.0%}"
    return [f"{shown.cells:,.1f}", "all" if error == "inf%" else error, f"{shown.share:.0%}"]
