"""Stateless tasks on Ray, retried where a worker or its node dies, and copied where they are late.

A task is pure, so it does not matter which of its tries ends first.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from xstat_ray.planning.cluster import POOL, Cluster, Labels
from xstat_ray.runtime.executor import R, Ref
from xstat_ray.runtime.failures import pool_lost
from xstat_ray.runtime.heartbeat import LOOK
from xstat_ray.runtime.metrics import Metrics
from xstat_ray.runtime.preflight import alive, nodes_with
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.task_body import run
from xstat_ray.runtime.task_stats import TaskStats

TASK_RETRIES = 3
"""Times that a task is run again after its worker died, or after an error of `TRANSIENT`."""
TRANSIENT = [MemoryError, OSError]
"""Errors that another try, perhaps on another node, may not meet."""
PATIENCE = 60.0
"""Seconds that a task may take, once its arguments are there, before another node gets a copy."""


@dataclass
class Task:
    """A task that is still open."""

    name: str
    function: Callable[..., Any]
    args: Sequence[Any]
    tries: dict[Ref[Any], Ref[Any]]
    """By the small second result of each try, which tells that it has ended: the try's result."""
    ready: float | None = None
    """Time at which its arguments were first seen to be there."""


@dataclass
class Pace:
    """How long tasks of one name have taken so far."""

    longest: float = 0.0
    """Seconds of the slowest."""
    nodes: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds of each, by node."""

    def add(self, stats: TaskStats) -> None:
        """Take account of a task that has ended."""
        self.longest = max(self.longest, stats.seconds)
        self.nodes[stats.node].append(stats.seconds)

    def quickest(self) -> str | None:
        """Return the node whose tasks took least time on average."""
        return min(
            self.nodes, key=lambda node: sum(self.nodes[node]) / len(self.nodes[node]), default=None
        )


class Tasks:
    """The tasks of one run, on the nodes of the pool."""

    def __init__(
        self,
        cluster: Cluster,
        environment: Mapping[str, str],
        progress: Progress,
        look: Callable[[], None],
    ) -> None:
        """Choose where and how tasks run.

        Args:
            cluster: labels of the pool's nodes and limits of time.
            environment: variables that are added to those of the workers.
            progress: what is shown.
            look: called every `LOOK` seconds while no task ends.
        """
        self._cluster = cluster
        self._environment = environment
        self._progress = progress
        self._look = look
        self._metrics = Metrics() if cluster.metrics else None
        self._remote: Any = ray.remote(run)
        self._options: dict[str, Any] = {
            **{
                "num_cpus": 1,
                "num_returns": 2,
                "max_retries": TASK_RETRIES,
                "retry_exceptions": TRANSIENT,
            },
            **selector(cluster.of(POOL)),
        }
        self._open: dict[Ref[Any], Task] = {}
        self._pace: dict[str, Pace] = defaultdict(Pace)

    def submit(self, function: Callable[..., R], *args: object) -> Ref[R]:
        """Start a task, and return the handle of its result."""
        name = getattr(function, "__name__", type(function).__name__)
        result, ended = self._remote.options(**self._options, name=name).remote(
            self._environment, function, *args
        )
        self._open[result] = Task(name, function, args, {ended: result})
        return cast(Ref[R], result)

    def __contains__(self, ref: Ref[Any]) -> bool:
        return ref in self._open

    def wait(self, refs: Sequence[Ref[R]]) -> tuple[Ref[R], Ref[R]]:
        """Wait until any of these tasks has ended.

        Returns:
            The handle of the task, and that of its result, which may be a copy's.

        Raises:
            Exception: what the task raised.
            ClusterError: the pool has lost all its nodes, and none took their place.
        """
        seen = time.monotonic()
        while True:
            tries = {ended: ref for ref in refs for ended in self._open[ref].tries}
            waited_for: list[Any] = list(tries)
            done, _ = ray.wait(waited_for, num_returns=1, timeout=LOOK)
            if done:
                ended = cast(Ref[Any], done[0])
                return tries[ended], self._close(tries[ended], ended)
            self._look()
            self._copy_late(refs)
            seen = self._pool_seen(seen)

    def _pool_seen(self, before: float) -> float:
        """Return the time at which the pool was last seen to have a node.

        Args:
            before: what the last call returned.

        Raises:
            ClusterError: it had none for too long; Ray would let tasks wait for ever.
        """
        now = time.monotonic()
        if nodes_with(self._cluster.of(POOL), alive()):
            return now
        if now - before > self._cluster.wait_seconds + LOOK:
            raise pool_lost(now - before)
        return before

    def _close(self, ref: Ref[Any], ended: Ref[Any]) -> Ref[Any]:
        """Take account of a task that has ended, and forget it.

        A handle that is kept would keep its result in the object store.
        """
        task = self._open.pop(ref)
        result = task.tries.pop(ended)
        for other in task.tries:
            ray.cancel(other, force=True)
        stats: Any = ray.get(cast(Any, ended))
        self._pace[task.name].add(stats)
        self._progress.worked("rows", stats.rows)
        if self._metrics is not None:
            self._metrics.ended(task.name, stats)
        if stats.attempt:
            self._retried(task.name, stats.attempt)
        return result

    def _retried(self, name: str, times: int) -> None:
        self._progress.retried(name, times)
        if self._metrics is not None:
            self._metrics.retried(name, times)

    def _copy_late(self, refs: Sequence[Ref[Any]]) -> None:
        """Start a copy of each task that takes much longer than others, on the quickest node.

        In the queue a task may stand behind as many tasks as the run waits for.
        """
        now = time.monotonic()
        for task in (self._open[ref] for ref in refs):
            pace = self._pace[task.name]
            if task.ready is None:
                task.ready = now if _there(task.args) else None
            elif len(task.tries) == 1 and now - task.ready > max(
                PATIENCE, (1 + len(refs)) * pace.longest
            ):
                result, ended = self._elsewhere(task.name, pace).remote(
                    self._environment, task.function, *task.args
                )
                task.tries[ended] = result
                self._progress.note(
                    f"A task of {task.name} is late by far; "
                    "a copy of it was started on another node."
                )
                self._retried(task.name, 1)

    def _elsewhere(self, name: str, pace: Pace) -> Any:
        quickest = pace.quickest()
        strategy: Any = (
            "SPREAD" if quickest is None else NodeAffinitySchedulingStrategy(quickest, soft=True)
        )
        return self._remote.options(**self._options, name=name, scheduling_strategy=strategy)


def selector(labels: Labels) -> dict[str, Any]:
    """Return the option by which Ray places a task or an actor on nodes with these labels."""
    return {"label_selector": dict(labels)} if labels else {}


def _there(args: Sequence[Any]) -> bool:
    """Tell whether all results that a task reads have been made."""
    needed = list({arg for arg in args if isinstance(arg, ray.ObjectRef)})
    return not needed or len(
        ray.wait(needed, num_returns=len(needed), timeout=0, fetch_local=False)[0]
    ) == len(needed)
