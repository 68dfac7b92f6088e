"""The protocol in this process, with processor seconds, calls and bytes of all that it calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Concatenate, cast

import numpy as np

from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import RowParty
from xstat_ray.roles.id_exchange import Shape
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import (
    Instance,
    LocalExecutor,
    LocalInstance,
    P_co,
    R,
    Ref,
    name_of,
)
from xstat_ray.runtime.progress import Progress


@dataclass
class CallCost:
    """Costs of all calls of a name."""

    seconds: float = 0.0
    calls: int = 0
    out_bytes: int = 0
    """Bytes of the results, which would pass through the object store."""


@dataclass
class Costs:
    """Costs of a run by the name of what is called.

    `row.emit` is a call of the row party, `join` a task, `noise` work of the driver.
    """

    by_name: dict[str, CallCost] = field(default_factory=dict)
    persons: int = 0
    """People of all parties together, as the parties announced them."""
    row_persons: int = 0
    """Those of the row party."""

    def add_persons(self, shape: Shape) -> None:
        """Add what the ends of a link announced of their tables."""
        self.persons += shape.column + (0 if self.row_persons else shape.row)
        self.row_persons = shape.row

    def timed(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function and book its costs under a name."""
        start = time.process_time()
        result = function(*args)
        cost = self.by_name.setdefault(name, CallCost())
        cost.seconds += time.process_time() - start
        cost.calls += 1
        cost.out_bytes += size_of(result)
        return result

    def seconds(self, *names: str) -> float:
        """Processor seconds of several names; those that were never called cost nothing."""
        return sum(self.by_name[name].seconds for name in names if name in self.by_name)

    def out_bytes(self, *names: str) -> int:
        """Bytes of the results of several names."""
        return sum(self.by_name[name].out_bytes for name in names if name in self.by_name)


class _TimedInstance(Instance[P_co]):
    def __init__(self, role: Role, inner: Instance[P_co], costs: Costs) -> None:
        self._role = role
        self._inner = inner
        self._costs = costs

    def call(self, method: Callable[Concatenate[P_co, ...], R], *args: object) -> Ref[R]:
        name = name_of(method)
        # What is called on a link with a further column party is told by its own name.
        shown = str(args[1]) if method is RowParty.on_link else name
        result = self._costs.timed(f"{self._role}.{shown}", self._inner.call, method, *args)
        if self._role == "column" and name == "accept_choices":
            self._costs.add_persons(result.get())
        return cast(Ref[R], result)


class TimedExecutor(LocalExecutor):
    """A `LocalExecutor` that books what it does."""

    def __init__(self, plan: Plan, sources: dict[str, Source], row_environments: int = 1) -> None:
        super().__init__(plan.study, sources)
        self.costs = Costs()
        further = [RowParty(plan.study, sources["row"]) for _ in range(1, row_environments)]
        row = [*self.row, *map(LocalInstance, further)]
        self.row = [_TimedInstance("row", instance, self.costs) for instance in row]
        self.columns = {
            name: [_TimedInstance("column", instance, self.costs) for instance in instances]
            for name, instances in self.columns.items()
        }

    def submit(self, function: Callable[..., R], *args: object) -> Ref[R]:
        """Run at once, and book it under the name of the function."""
        name = function.__name__
        return cast(Ref[R], self.costs.timed(name, super().submit, function, *args))


@dataclass(frozen=True)
class Run:
    """Counts and costs of a run."""

    costs: Costs
    flags: int
    matches: int
    nodes: int
    """Number of cells of the encrypted table, those of upper levels included."""
    counts: Any
    """(cells, slots) counts."""


def intake_timed(plan: Plan, sources: dict[str, Source], row_environments: int) -> Costs:
    """Run intake and ID exchange with so many environments of the row party, in this process."""
    executor = TimedExecutor(plan, sources, row_environments)
    Driver(executor, plan, Progress()).de_identify()
    return executor.costs


def run_timed(plan: Plan, sources: dict[str, Source]) -> Run:
    """Run all stages of a plan whose noise is off, in this process."""
    executor = TimedExecutor(plan, sources)
    driver = Driver(executor, plan, Progress())
    costs = executor.costs
    publics = driver.de_identify()
    costs.timed("noise", driver.draw_noise)
    encrypted = driver.aggregate(publics)
    noisy = costs.timed("sums", driver.rerandomise, publics, encrypted)
    to_open = costs.timed("masks", driver.put_masks, publics, noisy)
    coefficients = driver.release(to_open)
    counts = coefficients.values[: plan.study.cells, : plan.study.slots]
    emitted = costs.out_bytes("column.emit") // (16 + plan.packing.blocks * plan.ciphertext_bytes)
    return Run(costs, emitted, int(counts.sum()), plan.design.shown, counts)


def size_of(value: Any) -> int:
    """Bytes of arrays and encoded messages in a result, also within its parts."""
    value = getattr(value, "value", value)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, list | tuple):
        return sum(map(size_of, value))
    if is_dataclass(value):
        return sum(size_of(getattr(value, item.name)) for item in fields(value))
    return 0
