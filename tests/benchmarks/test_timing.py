"""Timing: contenders in turn, medians, memory, and packages that are not installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.heard import Heard
from xstat_ray.benchmarks.timing import (
    Record,
    Work,
    alternate,
    one_core,
    optional_module,
    peak_growth,
    peak_records,
    summarize,
    timing_record,
)
from xstat_ray.runtime.progress import Progress


class FakeClock:
    """A clock that moves by pretended work alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, log: list[str], name: str, seconds: Iterable[float]) -> Callable[[], None]:
        """Make a run that takes the next of `seconds`."""
        remaining = iter(seconds)

        def run() -> None:
            log.append(name)
            self.now += next(remaining)

        return run


def test_contenders_take_turns_and_what_comes_after_them_is_not_timed():
    clock = FakeClock()
    log = []
    runs = [clock.work(log, "A", [1, 2, 3]), clock.work(log, "B", [10, 20, 30])]

    def pause() -> None:
        clock.now += 1000

    assert alternate(runs, 3, clock, pause) == [[1, 2, 3], [10, 20, 30]]
    assert log == ["A", "B"] * 3


def test_the_ratio_is_of_medians_so_that_one_slow_round_does_not_count():
    record = summarize("m", "1/s", [10, 11, 1000], [2, 1, 4])
    assert record == Record("m", 11, "1/s", (10, 1000), 2, 5.5)


def test_of_seconds_fewer_are_better():
    assert summarize("m", "s", [2.0, 1.0, 3.0], [8.0, 10.0, 9.0]).ratio == 4.5


def test_without_a_baseline_there_is_no_ratio():
    assert summarize("m", "s", [2.0, 1.0]) == Record("m", 1.5, "s", (1.0, 2.0), None, None)


@pytest.mark.parametrize(
    ("unit", "value", "baseline", "ratio"), [("1/s", 50.0, 4.0, 12.5), ("s", 0.02, 0.25, 12.5)]
)
def test_work_of_different_size_is_compared_by_the_operation(unit, value, baseline, ratio):
    clock = FakeClock()
    log = []
    ours = Work(clock.work(log, "A", [2, 2, 2]), 100)
    other = Work(clock.work(log, "B", [1, 1, 1]), 4)
    record = timing_record("m", unit, ours, other, rounds=3, progress=Progress(), clock=clock)
    assert (record.value, record.baseline, record.ratio) == pytest.approx((value, baseline, ratio))


def test_peak_growth_is_what_was_held_at_once_not_what_was_allocated_in_all():
    size = 64 << 20

    def run() -> None:
        for _ in range(3):
            np.ones(size, np.uint8)

    try:
        growth = peak_growth(run)
    except OSError:
        pytest.skip("this kernel does not let a process reset its high-water mark")
    assert 0.9 * size < growth < 1.5 * size


def test_memory_is_left_out_where_the_kernel_does_not_measure_it(monkeypatch):
    def refuse(run: Callable[[], object]) -> int:
        raise OSError("no")

    monkeypatch.setattr("xstat_ray.benchmarks.timing.peak_growth", refuse)
    listener = Heard()
    assert peak_records("m.peak_bytes", lambda: None, listener) == []
    assert len(listener.notes) == 1 and "m.peak_bytes" in listener.notes[0]


def test_a_package_that_is_not_installed_is_left_out_with_a_note():
    listener = Heard()
    assert optional_module("no_such_package", listener) is None
    assert len(listener.notes) == 1 and "no_such_package" in listener.notes[0]
    assert optional_module("json", listener).loads("1") == 1
    assert len(listener.notes) == 1


def test_one_core_holds_for_threads_and_ends_with_the_block():
    before = os.sched_getaffinity(0)
    with one_core(), ThreadPoolExecutor(1) as pool:
        assert len(pool.submit(os.sched_getaffinity, 0).result()) == 1
    assert os.sched_getaffinity(0) == before
