"""What is done first in a worker of Ray, before it imports what it is to run."""

from __future__ import annotations

import ray

from xstat_ray.util.arrow import hide_pandas


def begin() -> None:
    """Leave pandas out of what a worker imports; elsewhere nothing is done.

    Modules that Ray imports for an actor or a task call this when they are imported, and
    `do_without_pandas` when the actor or the task begins.
    """
    if ray._private.worker.global_worker.mode == ray.WORKER_MODE:
        hide_pandas()
