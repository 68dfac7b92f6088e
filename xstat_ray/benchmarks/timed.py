"""The protocol in this process, with the processor seconds, calls and bytes of everything that is called."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Concatenate, cast

import numpy as np

from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role
from xstat_ray.planning.plan import Plan
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import Instance, LocalExecutor, P_co, R, Ref, name_of
from xstat_ray.runtime.progress import Progress


@dataclass
class Spent:
    """What the calls of one name cost."""

    seconds: float = 0.0
    calls: int = 0
    out_bytes: int = 0
    """Bytes of the results: what would pass through the object store."""


@dataclass
class Ledger:
    """Costs by name: `row.emit` is a call of the row party, `join` a task, `noise` the driver's own work."""

    of: dict[str, Spent] = field(default_factory=dict)
    persons: int = 0
    """Of both parties together."""

    def timed(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call the function and book it."""
        start = time.process_time()
        result = function(*args)
        own = self.of.setdefault(name, Spent())
        own.seconds += time.process_time() - start
        own.calls += 1
        own.out_bytes += size_of(result)
        return result

    def seconds(self, *names: str) -> float:
        """Of several names together; those that were never called cost nothing."""
        return sum(self.of[name].seconds for name in names if name in self.of)

    def out_bytes(self, *names: str) -> int:
        """As `seconds`."""
        return sum(self.of[name].out_bytes for name in names if name in self.of)


class _TimedInstance(Instance[P_co]):
    def __init__(self, role: Role, inner: Instance[P_co], ledger: Ledger) -> None:
        self._role = role
        self._inner = inner
        self._ledger = ledger

    def call(self, method: Callable[Concatenate[P_co, ...], R], *args: object) -> Ref[R]:
        name = name_of(method)
        result = self._ledger.timed(f"{self._role}.{name}", self._inner.call, method, *args)
        if name == "intake":
            self._ledger.persons += result.get()
        return cast(Ref[R], result)


class TimedExecutor(LocalExecutor):
    """A `LocalExecutor` that books what it does."""

    def __init__(self, plan: Plan, sources: dict[Role, Source]) -> None:
        super().__init__(plan.study, sources)
        self.ledger = Ledger()
        self.row = [_TimedInstance("row", instance, self.ledger) for instance in self.row]
        self.column = [_TimedInstance("column", instance, self.ledger) for instance in self.column]

    def submit(self, function: Callable[..., R], *args: object) -> Ref[R]:
        """Run at once."""
        name = function.__name__
        return cast(Ref[R], self.ledger.timed(name, super().submit, function, *args))


@dataclass(frozen=True)
class Run:
    """What one run did and what it cost."""

    ledger: Ledger
    flags: int
    matches: int
    nodes: int
    """Cells of the encrypted table, those of upper levels included."""
    counts: Any
    """(cells, slots)"""


def run_timed(plan: Plan, sources: dict[Role, Source]) -> Run:
    """All stages of a plan whose noise is off, in this process."""
    executor = TimedExecutor(plan, sources)
    driver = Driver(executor, plan, Progress())
    ledger = executor.ledger
    public = driver.de_identify()
    encrypted = driver.aggregate(public)
    noisy = ledger.timed("noise", driver.add_noise, public, encrypted)
    coefficients = driver.release(noisy)
    counts = coefficients.values[: plan.study.cells]
    emitted = ledger.out_bytes("column.emit") // (16 + plan.packing.blocks * plan.ciphertext_bytes)
    return Run(ledger, emitted, int(counts.sum()), plan.design.nodes, counts)


def size_of(value: Any) -> int:
    """Bytes of a result: arrays and encoded messages, also within references, sequences and messages."""
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
