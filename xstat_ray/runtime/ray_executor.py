"""The executor on Ray: actors stand for the isolated environments of the parties, stateless tasks do the rest.

In one Ray cluster this isolation is a simulation, since whoever may submit a task can read an actor's memory.
"""

from __future__ import annotations

import os
import secrets
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from xstat_ray.crypto.kernels import choice, threads
from xstat_ray.errors import PartyError, XstatError
from xstat_ray.files import write_whole
from xstat_ray.roles.party import Role
from xstat_ray.runtime.executor import ROLES, Executor, Instance, Ref, Source
from xstat_ray.study import Study

TASK_RETRIES = 3
"""Times a stateless task is run again after its worker died or for `TRANSIENT`; it is pure, so that changes nothing."""
TRANSIENT = [MemoryError, OSError]
"""Errors of a task that another try, perhaps on another node, may not meet."""


class PartyEnvironment:
    """The body of a party's actor: calls the party, and lets no unexpected error out with its details."""

    def __init__(self, role: Role, study: Study, source: Source, environment: Mapping[str, str]) -> None:
        """`environment` is added to the variables of the actor's process."""
        os.environ.update(environment)
        self._role, self._private = role, source.private
        self._party = ROLES[role](study, source.table, source.excludes)

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the party.

        Raises:
            XstatError: errors made for the reader pass as they are.
            PartyError: any other error, with a reference to the party's own log in place of its text.
        """
        try:
            return getattr(self._party, method)(*args)
        except XstatError:
            raise
        except Exception as error:
            kind, place = type(error).__name__, self._log(traceback.format_exc())
        raise PartyError(f"the {self._role} party failed in {method} ({kind}); its own log, {place}")

    def _log(self, text: str) -> str:
        """Keep the details where only the party reads them; returns where."""
        if self._private is None:
            return "for which no folder was given, is lost"
        reference = secrets.token_hex(4)
        self._private.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._private / f"error-{reference}.log"
        write_whole(path, text.encode(), mode=0o600)
        return f"{path}, has the details"


class RayInstance(Instance):
    """A party's actor."""

    def __init__(self, role: Role, study: Study, source: Source, environment: Mapping[str, str]) -> None:
        # No CPU is reserved: the pool's tasks and the parties take turns on the same cores of a laptop.
        self._actor: Any = ray.remote(PartyEnvironment).options(num_cpus=0).remote(role, study, source, environment)

    def call(self, method: str, *args: Any) -> Ref:
        """Send the call; the actor takes one at a time, in order."""
        return self._actor.call.remote(method, *args)

    def stop(self) -> None:
        """End the actor."""
        ray.kill(self._actor)


class RayExecutor(Executor):
    """Actors and tasks on a Ray that is already initialised."""

    def __init__(self, study: Study, sources: Mapping[Role, Source], replicas: Mapping[Role, int]) -> None:
        # What is forced here, the kernel say, is forced everywhere.
        self._forced = {name: os.environ[name] for name in (choice.VARIABLE, threads.VARIABLE) if name in os.environ}
        self._instances = {
            role: [RayInstance(role, study, source, self._environment(count)) for _ in range(count)]
            for role, source in sources.items()
            for count in [replicas.get(role, 1)]
        }
        self.parties = dict(self._instances)
        self._task: Any = ray.remote(_run).options(
            num_cpus=1, num_returns=2, max_retries=TASK_RETRIES, retry_exceptions=TRANSIENT
        )
        self._ended: dict[Ref, Ref] = {}

    def _environment(self, replicas: int) -> dict[str, str]:
        """Replicas of a party share the cores of the cluster; no thread reserves one, as no actor does."""
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        return {threads.VARIABLE: str(max(1, int(resources.get("CPU", 1)) // replicas)), **self._forced}

    def submit(self, function: Callable[..., Any], *args: Any) -> Ref:
        """A stateless task on any node."""
        result, ended = self._task.remote(self._forced, function, *args)
        self._ended[result] = ended
        return result

    def put(self, value: Any) -> Ref:
        """One copy in the object store."""
        return ray.put(value)

    def get(self, ref: Ref) -> Any:
        """Wait; an error raised for the reader arrives as itself."""
        self._ended.pop(ref, None)
        try:
            return ray.get(ref)
        except (RayTaskError, RayActorError) as error:
            # A task that was to read the result of a failed call fails with that call's error as its cause.
            cause: BaseException = error
            while isinstance(cause, RayTaskError):
                cause = cause.cause
            if isinstance(cause, RayActorError):
                cause = PartyError("a party's environment ended unexpectedly; run the same command again")
            if isinstance(cause, XstatError):
                raise cause from None
            raise

    def wait(self, refs: Sequence[Ref]) -> Ref:
        """The first task that has ended, without fetching its result: each says so by a small second result."""
        result_of = {self._ended[ref]: ref for ref in refs}
        (ended, *_), _ = ray.wait(list(result_of), num_returns=1)
        # Only until here: a handle that is kept keeps the result in the object store.
        del self._ended[result_of[ended]]
        self.get(ended)
        return result_of[ended]

    def close(self) -> None:
        """End the actors."""
        for instances in self._instances.values():
            for instance in instances:
                instance.stop()


def _run(environment: Mapping[str, str], function: Callable[..., Any], *args: Any) -> tuple[Any, None]:
    os.environ.update(environment)
    return function(*args), None
