"""What a person at a terminal sees: plan, live bars, warnings, and the largest totals."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from xstat_ray.planning.plan_report import KINDS, BudgetAnswer, PlanReport, batch_bytes
from xstat_ray.privacy.rounding import decimal
from xstat_ray.publication.release import AREAS, STATISTICS, Release
from xstat_ray.publication.summary import overall_means, summary
from xstat_ray.runtime.ledgers import DebitedPlan, Ledgers, Room
from xstat_ray.runtime.progress import Planned, Progress, Stage
from xstat_ray.util.readable import readable_bytes

_TITLES = {
    "start": "Start environments",
    "intake": "De-identify: keys, tables",
    "exchange": "De-identify: exchanged ids",
    "aggregate": "Aggregate, encrypted",
    "noise": "Noise, once",
    "decrypt": "Release: decrypt",
    "people": "People",
    "lines": "De-identify: lines",
    "presence": "Aggregate: presence",
    "publish": "Publish",
}
_WIDE = 100
"""Columns of a terminal that has room for everything in a bar; at 80 it still fits in one line."""


def make_progress(display: str) -> Progress:
    """Make what shows progress, for `auto`, `quiet` or `json` (conf/base/display.yaml)."""
    return {"auto": Terminal, "quiet": Quiet, "json": JsonLines}[display]()


class Quiet(Progress):
    """Shows warnings only."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True, markup=False, highlight=False)

    def warn(self, message: str) -> None:
        """Print a warning in red."""
        self._console.print(Panel(message, title="WARNING", style="bold red"))


class _Memory(ProgressColumn):
    """Share of this machine's memory in use by all programs, so that one sees it run short."""

    def render(self, task: Task) -> Text:
        """Show the share; nothing where the system does not tell."""
        share = memory_share()
        return Text(
            "" if share is None else f"memory {share:.0%}",
            style="bold red" if (share or 0) > 0.9 else "dim",
        )


def memory_share() -> float | None:
    """Share of this machine's memory that is in use; None where the system does not tell."""
    try:
        lines = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
        kilobytes = {name: int(value) for name, value, *_ in lines}
        return 1 - kilobytes["MemAvailable:"] / kilobytes["MemTotal:"]
    except (OSError, ValueError, KeyError):
        return None


class _Pace(ProgressColumn):
    """What a stage works through in a second, as soon as a call has reported it."""

    def __init__(self, worked: Counter[str]) -> None:
        super().__init__()
        self._worked = worked

    def render(self, task: Task) -> Text:
        """Show mean rates since the stage began."""
        seconds = task.elapsed or 1.0
        return Text(
            ", ".join(f"{count / seconds:,.0f} {what}/s" for what, count in self._worked.items())
        )


class Terminal(Quiet):
    """Shows the plan and live bars on standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._tries = Counter[str]()
        self._worked = Counter[str]()

    def planned(self, plan: Planned) -> None:
        """Print the plan as a table of names and values."""
        self._console.print(_plan_table(plan))

    def note(self, message: str) -> None:
        """Print a line."""
        self._console.print(message)

    def retried(self, task: str, times: int) -> None:
        """Print a line with the total so far."""
        self._tries[task] += times
        self._console.print(
            f"A task of {task} was tried again; {self._tries[task]} times in this run so far."
        )

    def worked(self, what: str, count: int) -> None:
        """Add to what the bar shows as a rate."""
        if count:
            self._worked[what] += count

    @contextmanager
    def display(self, name: str, total: int) -> Iterator[Stage]:
        """Show a bar: count, rates, elapsed time if there is room, time left, and memory."""
        self._worked.clear()
        wide = self._console.width >= _WIDE
        bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16 if wide else 6),
            MofNCompleteColumn(),
            _Pace(self._worked),
            *([TimeElapsedColumn()] if wide else []),
            TextColumn("left"),
            TimeRemainingColumn(),
            _Memory(),
            console=self._console,
        )
        with bars:
            task = bars.add_task(_TITLES.get(name, name), total=total)

            class Bar(Stage):
                def advance(self, units: int = 1) -> None:
                    bars.advance(task, units)

            yield Bar()


class JsonLines(Progress):
    """Writes one JSON object a line on standard error, for logs."""

    def planned(self, plan: Planned) -> None:
        """Write an event `plan`."""
        _event("plan", **plan.as_dict())

    def warn(self, message: str) -> None:
        """Write an event `warning`."""
        _event("warning", message=message)

    def note(self, message: str) -> None:
        """Write an event `note`."""
        _event("note", message=message)

    def retried(self, task: str, times: int) -> None:
        """Write an event `retry`."""
        _event("retry", task=task, times=times)

    @contextmanager
    def display(self, name: str, total: int) -> Iterator[Stage]:
        """Write events `start` and `end`."""
        _event("start", stage=name, units=total)
        yield Stage()
        _event("end", stage=name)


def _event(kind: str, **fields: object) -> None:
    sys.stderr.write(json.dumps({"event": kind, **fields}, ensure_ascii=False) + "\n")


def _plan_table(plan: Planned) -> Table:
    table = Table(title=f"Plan: {plan.name}", show_header=False, title_justify="left")
    for name, value in plan.rows():
        table.add_row(name, value)
    return table


def print_plan(
    report: PlanReport,
    ledgers: Ledgers = (),
    console: Console | None = None,
    rooms: Sequence[Room] = (),
) -> None:
    """Print the plan, what flat and tree give on each level, and the epsilon for a wanted error."""
    console = console or Console(markup=False, highlight=False)
    table = _plan_table(DebitedPlan(report.plan, ledgers))
    for room in rooms:
        table.add_row(*room.row)
    if report.table is not None:
        table.add_row("Row table", report.table.sentence(report.plan))
    console.print(table)
    console.print(_comparison(report))
    console.print(
        "stderr: predicted standard error of a count on that level, before refinement. "
        "noise: scale of what is added to the level's own sums, for its share of the budget."
    )
    if report.batches:
        console.print(_padding_by_batch(report))
    if report.answer is not None:
        console.print(_answer(report.answer))


def _comparison(report: PlanReport) -> Table:
    """A table with a line for each level and three columns for each mechanism.

    A level that is not measured gets no noise. Its error is that of the sum of what is measured
    below and above it.
    """
    table = Table(
        title="Flat and tree", title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0
    )
    table.add_column("level", overflow="fold")
    table.add_column("areas", justify="right")
    errors = {kind: report.stderrs(kind) for kind in KINDS}
    measured = {kind: {m.name: m for m in report.designs[kind].levels} for kind in KINDS}
    for kind in KINDS:
        mark = f"{kind} (chosen)" if kind == report.chosen else kind
        for heading in (f"{mark}\nstderr", "\nnoise", "\nshare"):
            table.add_column(heading, justify="right")
    areas = report.areas
    for name in errors["flat"]:
        row = [name, f"{areas[name]:,}"]
        for kind in KINDS:
            level = measured[kind].get(name)
            noise = (
                ["", ""]
                if level is None
                else [f"{level.mechanism.scale:.3g}", f"{float(level.share):.1%}"]
            )
            row += [f"{errors[kind][name]:.3g}", *noise]
        table.add_row(*row)
    return table


def _padding_by_batch(report: PlanReport) -> Table:
    """A table of what padding adds and how many flags are held together, by length of a batch."""
    table = Table(
        title="Padding by length of a batch", title_justify="left", box=SIMPLE_HEAD, show_edge=False
    )
    table.add_column("batch")
    for heading in ("batches", "rows added", "flags added", "flags of a batch"):
        table.add_column(heading, justify="right")
    for batch, plan in report.batches.items():
        padding = plan.padding
        number = len(plan.grid.batches)
        assert padding is not None
        mark = f"{batch} (chosen)" if number == len(report.plan.grid.batches) else batch
        table.add_row(
            mark,
            f"{number:,}",
            f"{padding.rows_added:,}",
            f"{padding.flags_added:,}",
            readable_bytes(batch_bytes(plan)),
        )
    return table


def _answer(answer: BudgetAnswer) -> str:
    target = answer.target
    privacy = answer.plan.study.privacy
    over = (
        f" That is more than the cap of {decimal(privacy.cap)}."
        if privacy.epsilon > privacy.cap
        else ""
    )
    return (
        f"For a standard error of at most {target.stderr:g} on level {target.level}: "
        f"privacy.epsilon={answer.epsilon}, which predicts {answer.stderr:.4g} "
        f"with {answer.plan.design.kind}.{over}"
    )


def print_summary(release: Release, console: Console | None = None) -> None:
    """Print the totals that say most with 95 % intervals, what was spent, and the files."""
    console = console or Console(markup=False, highlight=False)
    console.print("Largest totals\n", style="bold")
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("what", overflow="fold")
    table.add_column("total", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    for total in summary(release):
        table.add_row(total.what, f"{total.value:,}", f"{total.low:,} to {total.high:,}")
    console.print(table)
    for mean in overall_means(release):
        console.print(
            f"\nMean {mean.what}: {mean.value:,.6g}, 95 % interval {mean.low:,.6g} to "
            f"{mean.high:,.6g}, over all that was counted.",
            soft_wrap=True,
        )
    console.print(
        "\nTotals are sums of unbiased counts; 95 % of their intervals hold, among those listed."
    )
    spent = release.manifest["spent"]
    rows = release.statistics.num_rows
    suppressed = release.statistics["suppressed"].to_numpy().sum()
    console.print(
        f"{rows - suppressed:,} of {rows:,} estimates published, {suppressed:,} suppressed; "
        f"spent epsilon {spent['epsilon']}, delta {float(Fraction(spent['delta'])):.3g}.",
        soft_wrap=True,
    )
    if release.path is not None:
        console.print(f"Statistics: {release.path / STATISTICS} (and .csv)", soft_wrap=True)
        console.print(f"Beside it: {AREAS}, plan.json and manifest.json")
