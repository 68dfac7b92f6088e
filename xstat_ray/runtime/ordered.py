"""Runs similar tasks, at most `in_flight` at once, and yields their results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import ray
from ray.exceptions import RayTaskError

from xstat_ray.planning.cluster import Cluster
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.ray_session import session

T = TypeVar("T")
R = TypeVar("R")


class InOrder(Protocol):
    """Applies a function to many items, and gives the results in order: `map`, or tasks."""

    def __call__(self, function: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]:
        """Apply the function."""


class OrderedMap:
    """A `map` that runs as tasks on Ray; a context manager.

    Ray starts with the first item, and so not at all where there is none.
    """

    def __init__(
        self, in_flight: int, cluster: Cluster | None = None, progress: Progress | None = None
    ) -> None:
        """Choose how tasks run; nothing starts yet.

        Args:
            in_flight: most tasks that run, or whose results wait for their turn.
            cluster: the Ray cluster; by default Ray is started on this machine.
            progress: what is shown while nodes are waited for.
        """
        self._in_flight = in_flight
        self._cluster = cluster
        self._progress = progress
        self._stack = ExitStack()

    def __call__(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Yield the function's results in the order of the items; see `ordered`."""
        if not ray.is_initialized():
            self._stack.enter_context(session(self._cluster, self._progress))
        yield from ordered(function, items, self._in_flight)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()


def ordered(function: Callable[[T], R], items: Iterable[T], in_flight: int) -> Iterator[R]:
    """Yield a function's results in the order of the items, by tasks on the open Ray session.

    Args:
        function: a pure function; a task that a crash interrupts runs again.
        items: arguments, each of one task.
        in_flight: most tasks that run, or whose results wait for their turn.

    Raises:
        Exception: what a task raised.
    """
    task: Any = ray.remote(_call)
    shared = ray.put(function)
    waiting = deque[Any]()
    for item in items:
        waiting.append(task.remote(shared, item))
        if len(waiting) >= in_flight:
            yield _get(waiting.popleft())
    while waiting:
        yield _get(waiting.popleft())


def _get(ref: Any) -> Any:
    try:
        return ray.get(ref)
    except RayTaskError as error:
        # The caller gets the error as if the function had run in this process.
        raise error.cause from None


def _call(function: Callable[[T], R], item: T) -> R:
    return function(item)
