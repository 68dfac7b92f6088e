"""Many like tasks whose results are wanted in order, with a bounded number in the making."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

import ray
from ray.exceptions import RayTaskError

from xstat_ray.planning.cluster import Cluster
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.ray_session import session

T = TypeVar("T")
R = TypeVar("R")


class OrderedMap:
    """`map` by tasks; a context manager.

    Ray starts with the first item, so not at all where nothing is to be done.
    """

    def __init__(
        self, window: int, cluster: Cluster | None = None, progress: Progress | None = None
    ) -> None:
        """Remember how.

        Args:
            window: most tasks that run, or whose results wait for their turn.
            cluster: where; None starts Ray on this machine.
            progress: what is shown while nodes are waited for.
        """
        self._window = window
        self._cluster = cluster
        self._progress = progress
        self._stack = ExitStack()

    def __call__(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """As `ordered`."""
        if not ray.is_initialized():
            self._stack.enter_context(session(self._cluster, self._progress))
        yield from ordered(function, items, self._window)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()


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
    shared = ray.put(function)
    waiting = deque[Any]()
    for item in items:
        waiting.append(task.remote(shared, item))
        if len(waiting) >= window:
            yield _get(waiting.popleft())
    while waiting:
        yield _get(waiting.popleft())


def _get(ref: Any) -> Any:
    try:
        return ray.get(ref)
    except RayTaskError as error:
        # What the task raised, as it would have reached the caller from this process.
        raise error.cause from None


def _call(function: Callable[[T], R], item: T) -> R:
    return function(item)
