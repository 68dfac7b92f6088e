"""Measurement: contenders take turns, and a record holds the median of the rounds."""

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
"""The unit in which less is better."""


@dataclass(frozen=True)
class Record:
    """One figure of a benchmark."""

    metric: str
    """Dotted name; stays the same from version to version."""
    value: float
    """Median of the rounds."""
    unit: str
    spread: tuple[float, float] | None = None
    """Least and most of the rounds."""
    baseline: float | None = None
    """The median for what we are compared with, measured in the same rounds and in the same
    unit."""
    ratio: float | None = None
    """How many times better than the baseline: above 1 we are the faster."""


@dataclass(frozen=True)
class Work:
    """What is timed in one round."""

    run: Callable[[], object]
    items: int = 1
    """Operations that one `run` performs."""


def alternate(
    runs: Sequence[Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    after: Callable[[], None] = lambda: None,
) -> list[list[float]]:
    """Time every run once a round, in turn (A B A B ...), so that a change in the machine's load meets all of them.

    Args:
        runs: what to time.
        rounds: how often.
        clock: seconds.
        after: called after every run, untimed.

    Returns:
        For each run the seconds of its rounds.
    """
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, own in zip(runs, seconds, strict=True):
            start = clock()
            run()
            own.append(clock() - start)
            after()
    return seconds


def summarize(
    metric: str, unit: str, ours: Sequence[float], baseline: Sequence[float] = ()
) -> Record:
    """The record of the rounds' values, seconds or a rate by `unit`.

    The ratio is that of the medians.
    """
    value = median(ours)
    other = None
    ratio = None
    if baseline:
        other = median(baseline)
        ratio = other / value if unit == SECONDS else value / other
    return Record(metric, value, unit, (min(ours), max(ours)), other, ratio)


def measure(
    metric: str, unit: str, ours: Work, baseline: Work | None, *, rounds: int, progress: Progress
) -> Record:
    """Time our work and the baseline's in turn: operations a second, or with unit "s" the seconds of one operation."""
    works = [ours] if baseline is None else [ours, baseline]
    with progress.stage(metric, rounds * len(works)) as stage:
        seconds = alternate([work.run for work in works], rounds, after=stage.advance)
    values = [
        [time / work.items if unit == SECONDS else work.items / time for time in own]
        for work, own in zip(works, seconds, strict=True)
    ]
    return summarize(metric, unit, *values)


def peak_growth(run: Callable[[], object]) -> int:
    """Bytes by which the process's resident memory grew at most while `run` ran, from Linux's high-water mark.

    Measure a workload on its first run: later ones reuse memory that the process kept.

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
    """`peak_growth` as a record; none where the kernel does not measure it."""
    try:
        return [Record(metric, peak_growth(run), "B")]
    except OSError as error:
        progress.note(f"{metric} is not measured: {error}")
        return []


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and the threads that anything in it starts, on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def optional_module(name: str, progress: Progress) -> ModuleType | None:
    """A package that is only compared with; None, and a note, where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        progress.note(f"{name} is not installed: figures beside it are left out.")
        return None
