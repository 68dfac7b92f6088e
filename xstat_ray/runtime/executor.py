"""The executor: where party calls and stateless tasks run.

`LocalExecutor` runs them here and now.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role, Study
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.party import Party

Ref = Any
"""A handle, hashable, on a result that may still be in the making; passed as an argument it stands
for the value."""

ROLES: dict[Role, type[Party]] = {"row": RowParty, "column": ColumnParty}


def make_party(role: Role, study: Study, source: Source) -> Party:
    """A party, where its environment is."""
    return ROLES[role](study, source.table, source.excludes, skip_damaged=source.skip_damaged)


class Instance(ABC):
    """One instance of a party inside its environment."""

    @abstractmethod
    def call(self, method: str, *args: Any) -> Ref:
        """Call a method of the party; does not wait."""


class Executor(ABC):
    """Runs party methods and stateless functions; a context manager that frees what it holds."""

    parties: dict[Role, Sequence[Instance]]
    """The replicas of each party; the first one makes the secrets."""

    def party(self, role: Role, turn: int = 0) -> Instance:
        """A replica of a party; different turns go to different replicas."""
        replicas = self.parties[role]
        return replicas[turn % len(replicas)]

    @abstractmethod
    def submit(self, function: Callable[..., Any], *args: Any) -> Ref:
        """Run a pure function as a stateless task, which may be retried."""

    @abstractmethod
    def put(self, value: Any) -> Ref:
        """Store a value that several tasks will read."""

    @abstractmethod
    def get(self, ref: Ref) -> Any:
        """Wait for a result; raises what the call raised."""

    @abstractmethod
    def wait(self, refs: Sequence[Ref]) -> tuple[Ref, Ref]:
        """Wait until one of these tasks has ended.

        Returns its handle and that of its result, which may be another.

        Raises:
            Exception: what the task raised.
        """

    def get_all(self, refs: Sequence[Ref]) -> list[Any]:
        """Wait for several results."""
        return [self.get(ref) for ref in refs]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - most executors hold nothing
        """Free what is held."""


class LocalRef:
    """A finished result, or the error in its place."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any]) -> None:
        self.value: Any = None
        self.error: Exception | None = None
        try:
            self.value = function(
                *(arg.get() if isinstance(arg, LocalRef) else arg for arg in args)
            )
        except Exception as error:
            self.error = error

    def get(self) -> Any:
        """The value; raises the error of the call."""
        if self.error is not None:
            raise self.error
        return self.value


class LocalInstance(Instance):
    """A party in this process."""

    def __init__(self, party: Party) -> None:
        self._party = party

    def call(self, method: str, *args: Any) -> Ref:
        """Call at once."""
        return LocalRef(getattr(self._party, method), args)


class LocalExecutor(Executor):
    """Everything in this process, one call after the other; no isolation at all."""

    def __init__(self, study: Study, sources: dict[Role, Source]) -> None:
        self.parties = {
            role: [LocalInstance(make_party(role, study, source))]
            for role, source in sources.items()
        }

    def submit(self, function: Callable[..., Any], *args: Any) -> Ref:
        """Run at once."""
        return LocalRef(function, args)

    def put(self, value: Any) -> Ref:
        """Keep the value."""
        return LocalRef(lambda: value, ())

    def get(self, ref: Ref) -> Any:
        """The value, or the error of the call."""
        return ref.get()

    def wait(self, refs: Sequence[Ref]) -> tuple[Ref, Ref]:
        """The first: all have ended."""
        self.get(refs[0])
        return refs[0], refs[0]
