"""The executor on Ray: an actor for each environment of a party, and stateless tasks for the rest.

In one Ray cluster the isolation of these environments is a simulation, since whoever may submit a
task can read an actor's memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Concatenate, cast

import ray
from ray.exceptions import RayActorError, RayError

from xstat_ray.crypto.kernels import choice
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role, Study
from xstat_ray.planning.cluster import Cluster, Labels
from xstat_ray.runtime.executor import Executor, Instance, P_co, R, Ref, name_of
from xstat_ray.runtime.failures import explained
from xstat_ray.runtime.heartbeat import LOOK, Heartbeat
from xstat_ray.runtime.party_environment import PartyEnvironment
from xstat_ray.runtime.preflight import alive, await_nodes, cores, nodes_with
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.tasks import TASK_RETRIES, Tasks, selector
from xstat_ray.util import threads

PLACED = 3
"""Times that an environment is placed until it runs: for some seconds Ray takes a node that is
gone for alive."""
_HEARTBEAT = "heartbeat"
"""Name of the group of an actor's calls that are answered while it works at another call."""


class RayInstance(Instance[P_co]):
    """A party's actor.

    Ray does not restart it, as its secrets are lost with its memory; a new run resumes from disk.
    """

    def __init__(
        self,
        name: str,
        study: Study,
        source: Source,
        environment: Mapping[str, str],
        labels: Labels,
    ) -> None:
        """Place the actor on a node with these labels; see `PartyEnvironment` for the rest."""
        # No CPU is reserved: on a laptop the parties and the pool's tasks share the cores. Calls
        # are retried where a result is lost with a node: emitted again, it gives the same counts.
        remote: Any = ray.remote
        actor = remote(concurrency_groups={_HEARTBEAT: 1})(PartyEnvironment).options(
            num_cpus=0, max_task_retries=TASK_RETRIES, **selector(labels)
        )
        self._place = partial(actor.remote, name, study, source, environment)
        self._actor: Any = self._place()

    def await_running(self, before_another: Callable[[], None]) -> None:
        """Wait until the actor runs; if it was placed on a node that is gone, place it anew.

        Args:
            before_another: waits for a node where it can run; called as long as it does not run.

        Raises:
            PartyLostError: it ran nowhere.
        """
        for left in reversed(range(PLACED)):
            ready = self._actor.__ray_ready__.remote()
            while not ray.wait([ready], timeout=LOOK)[0]:
                before_another()
            try:
                ray.get(ready)
                return
            except RayActorError as error:
                if not left:
                    raise explained(error) or error from None
            self.stop()
            before_another()
            self._actor = self._place()

    def call(self, method: Callable[Concatenate[P_co, ...], R], *args: object) -> Ref[R]:
        """Send the call; the actor takes one at a time, in order."""
        return cast(Ref[R], self._actor.call.remote(name_of(method), *args))

    def heartbeat(self) -> Ref[None]:
        """Ask whether the actor is there; it answers even while it works."""
        heartbeat = self._actor.heartbeat.options(concurrency_group=_HEARTBEAT)
        return cast(Ref[None], heartbeat.remote())

    def stop(self) -> None:
        """End the actor."""
        ray.kill(self._actor)


class RayExecutor(Executor):
    """Runs actors and tasks on a Ray that is already initialised."""

    def __init__(
        self,
        study: Study,
        sources: Mapping[str, Source],
        replicas: Mapping[Role, int],
        cluster: Cluster | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Start the environments, and wait until they run.

        Args:
            study: what is counted.
            sources: the table of each party that runs here.
            replicas: environments of each row party and of each column party; one by default.
            cluster: labels of nodes and limits of time.
            progress: what is shown.

        Raises:
            InputError: the cluster has no node for an environment or for tasks.
        """
        cluster = cluster or Cluster()
        progress = progress or Progress()
        forced = _forced()

        def environments(role: Role, name: str) -> list[RayInstance[Any]]:
            count = replicas.get(role, 1) if name in sources else 0
            labels = cluster.of(role)
            variables = _threads(count, labels) | forced if count else {}
            return [
                RayInstance(name, study, sources[name], variables, labels) for _ in range(count)
            ]

        rows = {terms.name: environments("row", terms.name) for terms in study.row_parties}
        columns = {
            terms.name: environments("column", terms.name)
            for terms in study.column_parties
            if terms.name in sources
        }
        of_parties = (*rows.values(), *columns.values())
        self._instances: list[RayInstance[Any]] = [*chain.from_iterable(of_parties)]
        self.row_name = study.row_parties[0].name
        self.row = rows.pop(self.row_name)
        self.further_rows = rows
        self.columns = columns
        for instance in self._instances:
            instance.await_running(lambda: await_nodes(cluster, progress))
        heartbeats = [one.heartbeat for one in self._instances]
        self._heartbeat = Heartbeat(heartbeats, cluster.silence_seconds)
        self._tasks = Tasks(cluster, forced, progress, self._heartbeat.look)

    def submit(self, function: Callable[..., R], *args: object) -> Ref[R]:
        """Start a stateless task on any node of the pool."""
        return self._tasks.submit(function, *args)

    def put(self, value: R) -> Ref[R]:
        """Keep one copy in the object store."""
        return cast(Ref[R], ray.put(value))

    def get(self, ref: Ref[R]) -> R:
        """Wait for a result.

        Raises:
            XstatError: what the call raised, or what an error of Ray means for the run.
        """
        # Ray's handles serve as ours; only the type checker sees two kinds.
        handle = cast(Any, ref)
        try:
            if ref in self._tasks:
                handle = self._tasks.wait([ref])[1]
            else:
                while not ray.wait([handle], timeout=LOOK)[0]:
                    self._heartbeat.look()
            return cast(R, ray.get(handle))
        except RayError as error:
            raise explained(error) or error from None

    def wait(self, refs: Sequence[Ref[R]]) -> tuple[Ref[R], Ref[R]]:
        """Wait until any of these tasks has ended, without fetching its result."""
        try:
            return self._tasks.wait(refs)
        except RayError as error:
            raise explained(error) or error from None

    def close(self) -> None:
        """End the actors."""
        for instance in self._instances:
            instance.stop()


def _forced() -> dict[str, str]:
    """A kernel or a number of threads that is forced in this process, and so in all."""
    names = (choice.VARIABLE, threads.VARIABLE)
    return {name: os.environ[name] for name in names if name in os.environ}


def _threads(replicas: int, labels: Labels) -> dict[str, str]:
    """Limit the threads of each replica, so that all together use the cores of their nodes."""
    return {threads.VARIABLE: str(max(1, int(cores(nodes_with(labels, alive()))) // replicas))}
