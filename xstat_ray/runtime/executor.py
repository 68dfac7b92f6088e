"""The executor: where the parties' methods and stateless tasks run.

`LocalExecutor` runs them in this process, at once; `ray_executor.RayExecutor` as actors and tasks
on Ray. Calls are typed: `instance.call(RowParty.emit, shard)` gives a `Ref[Rows]`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Concatenate, Generic, Self, TypeVar, cast

from xstat_ray.inputs.source import Source
from xstat_ray.model.parties import ONLY_ROW
from xstat_ray.model.study import Role, Study
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.link import Link
from xstat_ray.roles.party import Party

P_co = TypeVar("P_co", bound=Link, covariant=True)
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

ROLES: Mapping[Role, type[Party]] = {"row": RowParty, "column": ColumnParty}
"""The class of each party, by its role."""


def make_party(name: str, study: Study, source: Source) -> Party:
    """Make a party.

    Args:
        name: name of a row party, `row` where there is one, or of a column party, `column` where
            there is one.
        study: what is counted.
        source: the party's table.
    """
    if study.role_of(name) == "row":
        return RowParty(study, source, name=name)
    return ColumnParty(study, source, party=name)


class Ref(Generic[R_co]):
    """A hashable handle on a result that may not be ready yet.

    As an argument of a call it stands for its value. Only the executor that made it can `get` that.
    """


class Instance(ABC, Generic[P_co]):
    """One instance of a party inside its environment."""

    @abstractmethod
    def call(self, method: Callable[Concatenate[P_co, ...], R], *args: object) -> Ref[R]:
        """Call a method of the party, such as `RowParty.emit`, without waiting for its result.

        Args:
            method: a method of the party's class, or of a class above it.
            args: its arguments: values, or handles on values.
        """


class Executor(ABC):
    """Runs party methods and stateless functions; a context manager that frees what it holds."""

    row: Sequence[Instance[RowParty]] = ()
    """Environments of the row party, or of the first one; the first makes the secrets. Empty where
    the party runs in another domain."""
    further_rows: Mapping[str, Sequence[Instance[RowParty]]] = {}
    """Environments of each other row party by its name, likewise, in the order of the study."""
    row_name: str = ONLY_ROW
    """Name of the row party, or of the first one."""
    columns: Mapping[str, Sequence[Instance[ColumnParty]]] = {}
    """Environments of each column party by its name, likewise, in the order of the study."""

    @property
    def column(self) -> Sequence[Instance[ColumnParty]]:
        """Environments of the column party, or of the first one; empty where none runs here."""
        return next(iter(self.columns.values()), ())

    @property
    def parties(self) -> Mapping[str, Sequence[Instance[Party]]]:
        """The environments of every party that runs here, row parties first, by name."""
        instances: Mapping[str, Sequence[Instance[Party]]] = {**self.rows, **self.columns}
        return {name: replicas for name, replicas in instances.items() if replicas}

    @property
    def rows(self) -> Mapping[str, Sequence[Instance[RowParty]]]:
        """The environments of every row party by its name, in the order of the study."""
        return {self.row_name: self.row, **self.further_rows}

    @property
    def ends(self) -> Mapping[Role, Sequence[Instance[Link]]]:
        """Both ends of the link of row party and column party, or of the first, as far as here."""
        ends: Mapping[Role, Sequence[Instance[Link]]] = {"row": self.row, "column": self.column}
        return {role: replicas for role, replicas in ends.items() if replicas}

    def first(self, party: str) -> Instance[Party]:
        """The environment of a party that makes its secrets."""
        return self.parties[party][0]

    @abstractmethod
    def submit(self, function: Callable[..., R], *args: object) -> Ref[R]:
        """Run a pure function as a stateless task, which may run more than once."""

    @abstractmethod
    def put(self, value: R) -> Ref[R]:
        """Store a value that several tasks will read."""

    @abstractmethod
    def get(self, ref: Ref[R]) -> R:
        """Wait for a result.

        Raises:
            Exception: what the call raised.
        """

    @abstractmethod
    def wait(self, refs: Sequence[Ref[R]]) -> tuple[Ref[R], Ref[R]]:
        """Wait until any of these tasks has ended.

        Returns:
            The handle of the task, and that of its result: another one, where a copy of the task
            ended first.

        Raises:
            Exception: what the task raised.
        """

    def get_all(self, refs: Sequence[Ref[R]]) -> list[R]:
        """Wait for several results; see `get`."""
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
        """Free what is held; nothing can be called afterwards."""


def in_turn(instances: Sequence[Instance[P_co]], number: int) -> Instance[P_co]:
    """Return one of a party's environments; consecutive numbers go to different ones."""
    return instances[number % len(instances)]


def name_of(method: Callable[..., object]) -> str:
    """Return the name of a method; called by name, a method that a subclass overrides is found."""
    return str(method.__name__)


class LocalRef(Ref[R_co]):
    """A finished result, or the error that was raised instead."""

    def __init__(self, function: Callable[..., R_co], args: Sequence[object]) -> None:
        """Call a function, and keep its result or its error."""
        self.error: Exception | None = None
        self.value: Any = None
        try:
            self.value = function(
                *(arg.get() if isinstance(arg, LocalRef) else arg for arg in args)
            )
        except Exception as error:
            self.error = error

    def get(self) -> R_co:
        """Return the value, or raise the error of the call."""
        if self.error is not None:
            raise self.error
        return cast(R_co, self.value)


class LocalInstance(Instance[P_co]):
    """A party in this process."""

    def __init__(self, party: P_co) -> None:
        self.party = party

    def call(self, method: Callable[Concatenate[P_co, ...], R], *args: object) -> Ref[R]:
        """Call the method at once."""
        return LocalRef[R](getattr(self.party, name_of(method)), args)


class LocalExecutor(Executor):
    """Runs everything in this process, one call after the other, without any isolation."""

    def __init__(self, study: Study, sources: Mapping[str, Source]) -> None:
        """Make the parties whose tables are given, by the names of `make_party`."""
        rows = {
            terms.name: [LocalInstance(RowParty(study, sources[terms.name], name=terms.name))]
            for terms in study.row_parties
            if terms.name in sources
        }
        self.row_name = study.row_parties[0].name
        self.row = rows.pop(self.row_name, [])
        self.further_rows = rows
        names = [terms.name for terms in study.column_parties if terms.name in sources]
        self.columns = {
            name: [LocalInstance(ColumnParty(study, sources[name], party=name))] for name in names
        }

    def submit(self, function: Callable[..., R], *args: object) -> Ref[R]:
        """Run the function at once."""
        return LocalRef(function, args)

    def put(self, value: R) -> Ref[R]:
        """Keep the value."""
        return LocalRef(lambda: value, ())

    def get(self, ref: Ref[R]) -> R:
        """Return the value, or raise the error of the call."""
        assert isinstance(ref, LocalRef)
        return cast(R, ref.get())

    def wait(self, refs: Sequence[Ref[R]]) -> tuple[Ref[R], Ref[R]]:
        """Return the first task, as all have ended."""
        self.get(refs[0])
        return refs[0], refs[0]
