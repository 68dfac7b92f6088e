"""Timing: contenders take turns, and a record holds the median of the rounds."""

from __future__ import annotations

import importlib
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import ModuleType

from xstat_ray.runtime.progress import Progress

SECONDS = "s"
"""Unit in which less is better; in all others more is."""


@dataclass(frozen=True)
class Record:
    """A value that a benchmark found, and what it is compared with."""

    metric: str
    """Dotted name, which does not change from version to version."""
    value: float
    """Median of the rounds."""
    unit: str
    spread: tuple[float, float] | None = None
    """Least and most of the rounds."""
    baseline: float | None = None
    """Median of the baseline, from these rounds and in this unit."""
    ratio: float | None = None
    """Factor by which we are better than the baseline."""


@dataclass(frozen=True)
class Work:
    """Work that is timed once in a round."""

    run: Callable[[], object]
    items: int = 1
    """Number of operations in a `run`."""


def alternate(
    runs: Sequence[Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    after: Callable[[], None] = lambda: None,
) -> list[list[float]]:
    """Time runs in turn (A B A B ...), so that a change in the machine's load meets all of them.

    Args:
        runs: what to time.
        rounds: how often each run is timed.
        clock: tells the time in seconds.
        after: called after each run, untimed.

    Returns:
        Seconds of the rounds, by run.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, seconds_of_run in zip(runs, seconds, strict=True):
            start = clock()
            run()
            seconds_of_run.append(clock() - start)
            after()
    return seconds


def summarize(
    metric: str, unit: str, ours: Sequence[float], baseline: Sequence[float] = ()
) -> Record:
    """Make a record of the values of the rounds; the ratio is that of the medians.

    Args:
        metric: name of the record.
        unit: `SECONDS`, or the unit of a rate.
        ours: our values.
        baseline: values of the baseline, if any.
    """
    value = median(ours)
    other = None
    ratio = None
    if baseline:
        other = median(baseline)
        ratio = other / value if unit == SECONDS else value / other
    return Record(metric, value, unit, (min(ours), max(ours)), other, ratio)


def timing_record(
    metric: str,
    unit: str,
    ours: Work,
    baseline: Work | None,
    *,
    rounds: int,
    progress: Progress,
    clock: Callable[[], float] = time.perf_counter,
) -> Record:
    """Time our work and that of the baseline in turn.

    Returns:
        A record of operations a second, or with unit `SECONDS` of the seconds of an operation.
    """
    works = [ours] if baseline is None else [ours, baseline]
    with progress.stage(metric, rounds * len(works)) as stage:
        seconds = alternate([work.run for work in works], rounds, clock, stage.advance)
    values = [
        [time / work.items if unit == SECONDS else work.items / time for time in times]
        for work, times in zip(works, seconds, strict=True)
    ]
    return summarize(metric, unit, *values)


def peak_growth(run: Callable[[], object]) -> int:
    """Find the most bytes by which resident memory grows during a run, by Linux's high-water mark.

    The first run of a workload tells; later ones reuse memory that the process kept.

    Raises:
        OSError: the kernel does not let a process reset its mark.
    """
    Path("/proc/self/clear_refs").write_text("5")
    before = _high_water_mark()
    run()
    return _high_water_mark() - before


def _high_water_mark() -> int:
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if match is None:
        raise OSError("the kernel reports no high-water mark")
    return 1024 * int(match[1])


def peak_records(metric: str, run: Callable[[], object], progress: Progress) -> list[Record]:
    """Make a record of `peak_growth`; none where the kernel does not measure it."""
    try:
        return [Record(metric, peak_growth(run), "B")]
    except OSError as error:
        progress.note(f"{metric} is not measured: {error}")
        return []


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and the threads that start in it on a single core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def optional_module(name: str, progress: Progress) -> ModuleType | None:
    """Import a package that is only compared with; None, and a note, where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        progress.note(f"{name} is not installed: comparisons with it are left out.")
        return None
