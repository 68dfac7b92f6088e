"""Helpers of the runtime tests."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.crypto.handshake import SharedSecrets
from xstat_ray.model.row_tree import tree_of
from xstat_ray.model.study import Role
from xstat_ray.planning.plan import Plan
from xstat_ray.roles.opening import ToOpen
from xstat_ray.roles.party import Party
from xstat_ray.roles.session import SECRETS
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.party_environment import PartyEnvironment
from xstat_ray.runtime.progress import Progress


def encrypted(executor: Executor, plan: Plan) -> tuple[Driver, ToOpen]:
    """De-identify, aggregate, add noise and masks; the driver may then release."""
    driver = Driver(executor, plan, Progress())
    public = driver.de_identify()
    driver.draw_noise()
    noisy = driver.rerandomise(public, driver.aggregate(public))
    return driver, driver.put_masks(public, noisy)


def counts(executor: Executor, plan: Plan) -> NDArray[np.int64]:
    """Run the whole protocol on an executor."""
    driver, to_open = encrypted(executor, plan)
    return driver.release(to_open).values


def actor_of(executor: Executor, role: Role, replica: int = 0) -> Any:
    """Return the Ray actor of a party's environment, as anyone in a Ray cluster may find it."""
    return executor.parties[role][replica]._actor


def party_in(environment: PartyEnvironment) -> Party:
    """Return the party of an environment, to code that runs in the same process."""
    return environment._party


def inside(executor: Executor, role: Role, replica: int, function: Any, *args: Any) -> Any:
    """Run `function(environment, *args)` in a party's actor, as anyone in a Ray cluster may."""
    return ray.get(actor_of(executor, role, replica).__ray_call__.remote(function, *args))


def secrets_of(executor: Executor, role: Role) -> dict[str, bytes]:
    """Read by name what a party on this machine saves for a resumed run."""
    with TemporaryDirectory() as folder:
        executor.get(executor.first(role).call(Party.save, Path(folder)))
        secrets = unpack_fields((Path(folder) / SECRETS).read_bytes())
    secrets.pop("libraries")
    shared = SharedSecrets.from_bytes(secrets.pop("shared"))
    return secrets | {"salt": shared.salt, "tag key": shared.tag_key}


def seeds(executor: Executor) -> dict[str, bytes]:
    """Read the seeds from which the parties draw, for the oracle."""
    return {role: secrets_of(executor, role)["seed"] for role in executor.parties}


def coefficients(plan: Plan, expected: NDArray[np.int64]) -> NDArray[np.int64]:
    """Work out the exact coefficients of exact counts (cells, slots).

    On every measured level they are sums of the cells below.
    """
    tree = tree_of(plan.study.row.dimensions)
    sums = []
    for measured in plan.design.levels:
        level = np.zeros((measured.nodes, expected.shape[1]), np.int64)
        area = tree.nodes[measured.level][tree.ancestors(0, measured.level)]
        np.add.at(level, area, expected[tree.nodes[0]])
        sums.append(level)
    return np.concatenate(sums)
