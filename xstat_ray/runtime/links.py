"""The links of the row party with several column parties, as an executor runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate

from xstat_ray.model.study import Role
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.link import Link
from xstat_ray.roles.row_link import RowLink
from xstat_ray.runtime.executor import Executor, Instance, R, Ref, name_of


class LinkInstance(Instance[RowLink]):
    """One of the links that an environment of the row party has."""

    def __init__(self, environment: Instance[RowParty], party: str) -> None:
        """Take the environment, and the name of the column party."""
        self._environment = environment
        self._party = party

    def call(self, method: Callable[Concatenate[RowLink, ...], R], *args: object) -> Ref[R]:
        """Call a method of the link without waiting for its result."""
        return self._environment.call(RowParty.on_link, self._party, name_of(method), *args)


class LinkExecutor(Executor):
    """An executor as one column party and the row party's link with it see it."""

    def __init__(self, executor: Executor, party: str, *, first: bool) -> None:
        """Take what runs everything.

        Args:
            executor: has the environments of both ends, or of one in its own domain.
            party: name of the column party.
            first: whether it is the first of the study, with which the row party is its own end.
        """
        self._executor = executor
        self.row_links: Sequence[Instance[RowLink]] = executor.row
        if not first:
            self.row_links = [LinkInstance(environment, party) for environment in executor.row]
        self.columns: Mapping[str, Sequence[Instance[ColumnParty]]] = {
            party: executor.columns.get(party, ())
        }

    @property
    def ends(self) -> Mapping[Role, Sequence[Instance[Link]]]:
        """Both ends of the link with the column party, as far as here."""
        ends: Mapping[Role, Sequence[Instance[Link]]] = {
            "row": self.row_links,
            "column": self.column,
        }
        return {role: replicas for role, replicas in ends.items() if replicas}

    def submit(self, function: Callable[..., R], *args: object) -> Ref[R]:
        """Run a pure function as a stateless task."""
        return self._executor.submit(function, *args)

    def put(self, value: R) -> Ref[R]:
        """Store a value that several tasks will read."""
        return self._executor.put(value)

    def get(self, ref: Ref[R]) -> R:
        """Wait for a result."""
        return self._executor.get(ref)

    def wait(self, refs: Sequence[Ref[R]]) -> tuple[Ref[R], Ref[R]]:
        """Wait until any of these tasks has ended."""
        return self._executor.wait(refs)


def links(executor: Executor) -> list[LinkExecutor]:
    """List the links with all column parties that run here, in the order of the study."""
    parties = enumerate(executor.columns)
    return [LinkExecutor(executor, party, first=not number) for number, party in parties]
