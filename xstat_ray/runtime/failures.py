"""Errors of Ray turned into errors that tell which part failed, what is left, and what to do."""

from __future__ import annotations

from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from xstat_ray.errors import ClusterError, PartyLostError, XstatError

_AGAIN = (
    "Nothing was released; the same command starts over, "
    "or finishes a release whose noise was drawn"
)
_PROBLEMS: list[tuple[tuple[type[BaseException], ...], str, str]] = [
    (
        (OutOfDiskError,),
        "a node's disk is too full to spill objects",
        "Free space, name another cluster.spill, or give the object store more memory "
        "(cluster.store_bytes)",
    ),
    (
        (ObjectStoreFullError, OutOfMemoryError),
        "a node's memory is full",
        "Use fewer shards in flight (window), more shards, or nodes with more memory",
    ),
    (
        (WorkerCrashedError, NodeDiedError, LocalRayletDiedError, ObjectLostError),
        "nodes or workers of the cluster were lost more often than tasks are retried",
        "Look at the cluster's nodes",
    ),
]
"""Errors of Ray, what each means for a run, and its remedy."""


def explained(error: BaseException) -> XstatError | None:
    """Return this package's error for one of Ray's; None for an error that Ray only carries."""
    cause = error
    # A task that was to read the result of a failed call fails with that call's error as its cause.
    while isinstance(cause, RayTaskError):
        cause = cause.cause
    if isinstance(cause, XstatError):
        return cause
    if isinstance(cause, RayActorError):
        return PartyLostError(
            "a party's environment ended unexpectedly; run the same command again"
        )
    for kinds, problem, remedy in _PROBLEMS:
        if isinstance(cause, kinds):
            return ClusterError(f"{problem} ({type(cause).__name__}). {remedy}. {_AGAIN}")
    return None


def pool_lost(seconds: float) -> ClusterError:
    """Return the error for a pool that has had no node for `seconds` seconds."""
    return ClusterError(
        f"the pool of tasks has had no node for {seconds:.0f} s. Start nodes for it. {_AGAIN}"
    )
