from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.util import threads


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XSTAT_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))


@pytest.mark.parametrize(
    ("xstat", "omp", "expected"),
    [
        (None, None, 8),
        ("3", None, 3),
        (None, "2", 2),
        ("3", "2", 3),
        ("99", None, 8),
        ("0", None, 8),
        ("x", "5", 5),
    ],
)
def test_the_number_of_threads(
    xstat: str | None, omp: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("XSTAT_THREADS", xstat), ("OMP_NUM_THREADS", omp)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert threads.thread_count() == expected


@given(st.integers(0, 3000), st.integers(1, 9))
def test_every_row_is_worked_on_once_and_in_order(rows: int, count: int) -> None:
    numbers = np.arange(rows, dtype=np.uint16).view(np.uint8).reshape(rows, 2)
    seen = []

    def work(part: slice) -> np.ndarray:
        seen.append(part)
        return numbers[part]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "thread_count", lambda: count)
        assert np.array_equal(threads.in_threads(work, rows), numbers)
    assert len(seen) == max(1, min(count, rows // 64))


def test_slices_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)

    def work(part: slice) -> np.ndarray:
        both.wait()
        return np.zeros((part.stop - part.start, 1), np.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "thread_count", lambda: 2)
        assert threads.in_threads(work, 128).shape == (128, 1)


def test_the_error_of_the_first_slice_is_raised() -> None:
    def work(part: slice) -> np.ndarray:
        raise ValueError(part.start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "thread_count", lambda: 4)
        with pytest.raises(ValueError, match=r"^0$"):
            threads.in_threads(work, 1000)
