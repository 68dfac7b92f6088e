"""The links of row parties and column parties, as an executor runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate

from xstat_ray.model.study import Role
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.link import Link
from xstat_ray.roles.many_links import ManyLinks
from xstat_ray.roles.row_link import RowLink
from xstat_ray.runtime.executor import Executor, Instance, P_co, R, Ref, name_of


class LinkInstance(Instance[P_co]):
    """One of the links that an environment of a party has."""

    def __init__(self, environment: Instance[ManyLinks[Link]], party: str) -> None:
        """Take the environment, and the name of the party at the other end."""
        self._environment = environment
        self._party = party

    def call(self, method: Callable[Concatenate[P_co, ...], R], *args: object) -> Ref[R]:
        """Call a method of the link without waiting for its result."""
        return self._environment.call(ManyLinks.on_link, self._party, name_of(method), *args)


class LinkExecutor(Executor):
    """An executor as both ends of one link see it."""

    def __init__(
        self, executor: Executor, party: str, row_party: str | None = None, *, first: bool
    ) -> None:
        """Take what runs everything.

        Args:
            executor: has the environments of both ends, or of one in its own domain.
            party: name of the column party.
            row_party: name of the row party; by default the first.
            first: whether it is the first column party of the study, with which a row party is its
                own end.
        """
        self._executor = executor
        self.row_name = executor.row_name if row_party is None else row_party
        rows = executor.rows.get(self.row_name, ())
        self.row_links: Sequence[Instance[RowLink]] = rows
        columns = executor.columns.get(party, ())
        self.column_links: Sequence[Instance[Link]] = columns
        if not first:
            self.row_links = [LinkInstance[RowLink](one, party) for one in rows]
        if self.row_name != executor.row_name:
            self.column_links = [LinkInstance[Link](one, self.row_name) for one in columns]
        self.columns: Mapping[str, Sequence[Instance[ColumnParty]]] = {party: columns}

    @property
    def ends(self) -> Mapping[Role, Sequence[Instance[Link]]]:
        """Both ends of the link, as far as here."""
        ends: Mapping[Role, Sequence[Instance[Link]]] = {
            "row": self.row_links,
            "column": self.column_links,
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


def links(executor: Executor, row_party: str | None = None) -> list[LinkExecutor]:
    """List the links of a row party with all column parties that run here, in the study's order.

    Args:
        executor: runs everything.
        row_party: name of the row party; by default the first.
    """
    parties = enumerate(executor.columns)
    return [LinkExecutor(executor, party, row_party, first=not number) for number, party in parties]


def shake_hands(link: LinkExecutor) -> None:
    """Lead both ends of a link through the handshake."""
    row = link.row_links[0]
    column = link.column_links[0]
    row_hello = link.get(row.call(RowLink.hello))
    column_hello = link.get(column.call(Link.hello))
    row_confirmation = row.call(RowLink.agree, column_hello)
    column_confirmation = column.call(Link.agree, row_hello)
    confirmed = [
        row.call(RowLink.confirm, column_confirmation),
        column.call(Link.confirm, row_confirmation),
    ]
    link.get_all(confirmed)


def meet(executor: Executor) -> None:
    """Lead the first row party and each other one through their handshake (`joint_opening.meet`).

    All have gone through those with the column parties. The first tells the others the order of
    cells.
    """
    get = executor.get
    for name, others in executor.further_rows.items():
        first = executor.row[0]
        other = others[0]
        hello = get(first.call(RowParty.row_channel_hello, name))
        of_other = get(other.call(RowParty.row_channel_hello, name))
        confirmation = get(first.call(RowParty.row_channel_agree, name, of_other))
        of_other = get(other.call(RowParty.row_channel_agree, name, hello))
        get(first.call(RowParty.row_channel_confirm, name, of_other))
        get(other.call(RowParty.row_channel_confirm, name, confirmation))
        get(other.call(RowParty.accept_order, first.call(RowParty.share_order, name)))
        get(first.call(RowParty.accept_sessions, name, other.call(RowParty.tell_sessions)))
