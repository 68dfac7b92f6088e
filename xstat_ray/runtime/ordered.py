"""Many like tasks whose results are wanted in order, with a bounded number in the making."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import ray

T = TypeVar("T")
R = TypeVar("R")


def ordered(function: Callable[[T], R], items: Iterable[T], window: int) -> Iterator[R]:
    """Results of a pure function for every item, in the order of the items, as tasks on the Ray session that is open.

    Args:
        function: stateless; a task that a crash interrupts runs again.
        items: one task each.
        window: most tasks that run, or whose results wait for their turn.

    Raises:
        Exception: what a task raised.
    """
    task: Any = ray.remote(_call)
    shared, waiting = ray.put(function), deque[Any]()
    for item in items:
        waiting.append(task.remote(shared, item))
        if len(waiting) >= window:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())


def _call(function: Callable[[T], R], item: T) -> R:
    return function(item)
