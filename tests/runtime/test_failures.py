"""Errors of Ray, and the errors of this package that stand for them."""

from __future__ import annotations

import pytest
from ray.exceptions import (
    ActorDiedError,
    LocalRayletDiedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    RayTaskError,
    WorkerCrashedError,
)

from xstat_ray.errors import ClusterError, InputError, PartyLostError
from xstat_ray.runtime.failures import explained


def carried(cause: Exception) -> RayTaskError:
    """Wrap an exception as Ray does where a task reads the result of a task that raised it."""
    inner = RayTaskError("join", "traceback", cause).as_instanceof_cause()
    return RayTaskError("add", "traceback", inner).as_instanceof_cause()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OutOfDiskError("full"), ClusterError, "too full to spill.*cluster.spill"),
        (ObjectStoreFullError("full"), ClusterError, "memory is full"),
        (OutOfMemoryError("killed"), ClusterError, "memory is full"),
        (WorkerCrashedError(), ClusterError, "lost more often than tasks are retried"),
        (LocalRayletDiedError(), ClusterError, "were lost"),
        (
            ObjectLostError("00" * 28, "owner", "site"),
            ClusterError,
            "were lost.*the same command starts over",
        ),
        (ActorDiedError(), PartyLostError, "ended unexpectedly; run the same command again"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_of_ray_are_told_in_our_words(error, kind, message):
    for raised in (error, carried(error)):
        with pytest.raises(kind, match=message) as caught:
            raise explained(raised)
        assert caught.value.exit_code == 1


def test_an_error_for_the_reader_arrives_as_itself_and_others_are_left_alone():
    error = InputError("no such column", column="zone", file="t.parquet")
    found = explained(carried(error))
    assert type(found) is InputError and found.column == "zone"
    assert explained(carried(ValueError("a bug"))) is None
