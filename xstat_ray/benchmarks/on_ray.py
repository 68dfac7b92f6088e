"""A run of a plan on a new Ray, on some cores of this machine, with times and memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks.processes import peak_of_all
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Partial
from xstat_ray.model.study import Role
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.plan import Plan
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.ray_executor import RayExecutor
from xstat_ray.runtime.ray_session import session

P = ParamSpec("P")
T = TypeVar("T")

STORE_BYTES = 1 << 30


@dataclass(frozen=True)
class Timed:
    """Times, memory and counts of a run."""

    seconds: Mapping[str, float]
    """Seconds by stage."""
    peak_memory: int
    """Most bytes of all processes together; what several share is counted once."""
    counts: NDArray[np.int64]
    """(cells, slots) counts."""

    @property
    def without_exchange(self) -> float:
        """Seconds without the ID exchange, but with the start of Ray."""
        return sum(self.seconds.values()) - self.seconds["exchange"]


def in_own_process(function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Call a function in a new process, which has nothing in memory yet.

    Ray, with a new token, cannot be started twice in a process.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **named).result()


def run_on_ray(plan: Plan, sources: Mapping[str, Source], cores: int, window: int) -> Timed:
    """Run all stages of a plan whose noise is off."""
    progress = Progress()
    with ExitStack() as stack:
        peak = stack.enter_context(peak_of_all())
        stack.enter_context(on_cores(cores))
        with progress.stage("start", 1):
            executor = stack.enter_context(open_ray(plan, sources, cores))
        driver = Driver(executor, plan, progress, window)
        publics = driver.de_identify()
        driver.draw_noise()
        counts = release(driver, publics, driver.aggregate(publics), plan)
    return Timed(progress.seconds, peak.memory, counts)


def release(
    driver: Driver, publics: Sequence[PublicKey], encrypted: Sequence[Partial], plan: Plan
) -> NDArray[np.int64]:
    """Release the counts (cells, slots) of a plan whose noise is off."""
    to_open = driver.put_masks(publics, driver.rerandomise(publics, encrypted))
    coefficients = driver.release(to_open)
    return coefficients.values[: plan.study.cells]


@contextmanager
def open_ray(plan: Plan, sources: Mapping[str, Source], cores: int) -> Iterator[Executor]:
    """Start a Ray for the parties and the pool.

    Each party has an environment, with a thread for each core. With the portable kernel, whose
    threads wait for each other, the column party has an environment for each core instead.
    """
    # Ray lets its workers yield to everything else on a machine, and the baselines do not yield.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    cluster = Cluster(cpus=cores, store_bytes=STORE_BYTES)
    replicas: dict[Role, int] = {"row": 1, "column": cores if kernel().name == "portable" else 1}
    with (
        session(cluster),
        RayExecutor(plan.study, sources, replicas, cluster) as executor,
    ):
        yield executor


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on `count` of its cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
