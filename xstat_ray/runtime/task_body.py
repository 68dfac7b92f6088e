"""What a worker runs for a task: the task's function, timed.

A worker imports this module before it imports what the function and its arguments are made of.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import ray

from xstat_ray.runtime import workers
from xstat_ray.util.arrow import do_without_pandas

if TYPE_CHECKING:
    from xstat_ray.runtime.task_stats import TaskStats

workers.begin()


def run(
    environment: Mapping[str, str], function: Callable[..., Any], *args: Any
) -> tuple[Any, TaskStats]:
    """Call a function.

    Args:
        environment: variables that are added to those of the worker.
        function: what is called.
        args: its arguments.

    Returns:
        Its result, and what the run may know of the task.
    """
    do_without_pandas()
    from xstat_ray.runtime.task_stats import measure

    os.environ.update(environment)
    start = time.perf_counter()
    result = function(*args)
    seconds = time.perf_counter() - start
    return result, measure(
        ray.get_runtime_context().get_node_id(), _attempt(), seconds, (*args, result)
    )


def _attempt() -> int:
    """Count the tries of the running task before this one; Ray has no public call for it."""
    core: Any = ray._private.worker.global_worker.core_worker  # type: ignore[attr-defined]
    return int(core.get_current_task_attempt_number())
