"""Environments that run nothing and note their calls, for tests of who is asked for what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.synthetic import make_study
from xstat_ray.runtime.executor import Instance, LocalExecutor, LocalRef, Ref


class Call(NamedTuple):
    """A call of an environment's party; it is also its result."""

    environment: str
    method: str
    args: tuple[Any, ...]


@dataclass
class Noting(Instance[Any]):
    """An environment, by name, that adds its calls to a list."""

    name: str
    calls: list[Call]

    def call(self, method: Callable[..., Any], *args: object) -> Ref[Any]:
        """Note the call, with the values of its arguments."""
        values = [arg.get() if isinstance(arg, LocalRef) else arg for arg in args]
        call = Call(self.name, method.__name__, tuple(values))
        self.calls.append(call)
        return LocalRef(lambda: call, ())


def noting_executor(row: Sequence[str], column: Sequence[str]) -> tuple[LocalExecutor, list[Call]]:
    """Make an executor with environments of these names, and the list of their calls."""
    calls: list[Call] = []
    executor = LocalExecutor(make_study(), {})
    executor.row = [Noting(name, calls) for name in row]
    executor.columns = {"column": [Noting(name, calls) for name in column]}
    return executor, calls
