"""Heavy work over rows in as many threads as the process may use.

The kernels in C let go of the interpreter lock, so threads share tables of some 50 to 90 MB that
processes would copy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")

VARIABLE = "XSTAT_THREADS"
_OTHER = "OMP_NUM_THREADS"
"""Ray sets it to the number of cores that a task has reserved."""
_LEAST_ROWS = 64
"""A thread with less to do costs more than it gives."""


def thread_count() -> int:
    """Threads of this process: as many as XSTAT_THREADS or else OMP_NUM_THREADS say, and no more than it has cores."""
    cores = len(os.sched_getaffinity(0))
    for asked in (os.environ.get(name, "") for name in (VARIABLE, _OTHER)):
        if asked.isdecimal() and int(asked) > 0:
            return min(cores, int(asked))
    return cores


def in_threads(work: Callable[[slice], NDArray[np.uint8]], rows: int) -> NDArray[np.uint8]:
    """The results of `work` for consecutive slices of `rows` rows, one below the other.

    Raises:
        Exception: what the first slice raised that raised anything.
    """
    count = min(thread_count(), rows // _LEAST_ROWS)
    if count <= 1:
        return work(slice(0, rows))
    edges = np.linspace(0, rows, count + 1, dtype=np.int64).tolist()
    return np.concatenate(each_in_threads(work, list(map(slice, edges[:-1], edges[1:]))))


def each_in_threads(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """The results of `work` for every item, in their order.

    Raises:
        Exception: what the first item raised that raised anything.
    """
    count = min(thread_count(), len(items))
    if count <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, items))
