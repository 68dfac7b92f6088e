"""Helpers of the runtime tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from xstat_ray.model.messages import NoisyTable
from xstat_ray.planning.plan import Plan
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import Executor, LocalExecutor
from xstat_ray.runtime.progress import Progress


def encrypted(executor: Executor, plan: Plan) -> tuple[Driver, NoisyTable]:
    """De-identify, aggregate and add the noise; the caller may release."""
    driver = Driver(executor, plan, Progress())
    public = driver.de_identify()
    return driver, driver.add_noise(public, driver.aggregate(public))


def counts(executor: Executor, plan: Plan) -> NDArray[np.int64]:
    """The whole protocol on an executor."""
    driver, noisy = encrypted(executor, plan)
    return driver.release(noisy).values


def inside(executor: Executor, role: Any, replica: int, function: Any, *args: Any) -> Any:
    """Run `function(environment, *args)` in the memory of a party's actor, as anyone in a Ray cluster may."""
    return ray.get(executor.parties[role][replica]._actor.__ray_call__.remote(function, *args))


def seeds(executor: Executor) -> dict[str, bytes]:
    """What the parties draw from, for the oracle."""
    if isinstance(executor, LocalExecutor):
        return {role: instances[0].party._seed for role, instances in executor.parties.items()}
    return {
        role: inside(executor, role, 0, lambda environment: environment._party._seed)
        for role in executor.parties
    }


def coefficients(plan: Plan, expected: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exact coefficients of exact counts (cells, slots): on every measured level the sums of consecutive cells."""
    slots = expected.shape[1]
    return np.concatenate(
        [expected.reshape(m.nodes, -1, slots).sum(axis=1) for m in plan.design.levels]
    )
