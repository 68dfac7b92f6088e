"""Runs heavy work over rows in as many threads as the process may use.

The kernels in C release the interpreter lock, so threads share tables of some 50 to 90 MB that
processes would copy. gmpy2 does so in threads whose context says it, and these do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

import numpy as np
from gmpy2 import context, set_context
from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")

VARIABLE = "XSTAT_THREADS"
"""Environment variable that sets the number of threads."""
_OTHER = "OMP_NUM_THREADS"
"""Environment variable that Ray sets to the number of cores that a task has reserved."""
_LEAST_ROWS = 64
"""Rows of light work below which a thread costs more than it gives."""


def thread_count() -> int:
    """Number of threads that this process may use.

    XSTAT_THREADS sets it, or else OMP_NUM_THREADS, or else the number of cores; there are never
    more threads than cores.
    """
    cores = len(os.sched_getaffinity(0))
    for setting in (os.environ.get(name, "") for name in (VARIABLE, _OTHER)):
        if setting.isdecimal() and int(setting) > 0:
            return min(cores, int(setting))
    return cores


def in_threads(
    work: Callable[[slice], NDArray[np.uint8]], rows: int, least_rows: int = _LEAST_ROWS
) -> NDArray[np.uint8]:
    """Work on consecutive slices of `rows` rows, and stack the results.

    Args:
        work: function from a slice to an array with a row for each row of the slice.
        rows: number of rows.
        least_rows: rows below which a thread costs more than it gives; those of light work by
            default.

    Returns:
        (rows, ...) uint8 results in the order of the rows.

    Raises:
        Exception: the exception of the first slice that raised one.
    """
    count = min(thread_count(), rows // least_rows)
    if count <= 1:
        return work(slice(0, rows))
    edges = np.linspace(0, rows, count + 1, dtype=np.int64).tolist()
    return np.concatenate(each_in_threads(work, list(map(slice, edges[:-1], edges[1:]))))


def each_slice(work: Callable[[slice], None], rows: int, least_rows: int = 1 << 16) -> None:
    """Work on consecutive slices of `rows` rows, each in a thread.

    Args:
        work: what is done with a slice.
        rows: number of rows.
        least_rows: rows below which a thread costs more than it gives; those of copies by default.

    Raises:
        Exception: the exception of the first slice that raised one.
    """
    count = max(1, min(thread_count(), rows // least_rows))
    edges = [rows * number // count for number in range(count + 1)]
    each_in_threads(work, list(map(slice, edges[:-1], edges[1:])))


WAITING = 32
"""Threads that wait for answers of an object store at a time."""


def each_waiting(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do work that mostly waits on each item; returns the results in the order of the items.

    Raises:
        Exception: the exception of the first item that raised one.
    """
    if len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(WAITING, len(items))) as pool:
        return list(pool.map(work, items))


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items, each computed by another thread while the one before it is used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield cast(T, item)


def each_in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Work on each item; returns the results in the order of the items.

    Raises:
        Exception: the exception of the first item that raised one.
    """
    count = min(thread_count(), len(items))
    if count <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count, initializer=_let_others_run) as pool:
        return list(pool.map(work, items))


def _let_others_run() -> None:
    """Have gmpy2 release the interpreter lock while it computes, in this thread.

    Its numbers never change once they are made, so threads may share them.
    """
    set_context(context(allow_release_gil=True))
