"""The ID exchange between the environments at both ends of a link, bin by bin."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from xstat_ray.model.study import Role
from xstat_ray.roles.id_exchange import Shape
from xstat_ray.roles.link import Link
from xstat_ray.runtime.executor import ROLES, Executor, Instance, Ref, in_turn
from xstat_ray.runtime.progress import Progress

BINS_IN_FLIGHT = 2
"""Bins under way for each environment: one is worked through while another is on its way."""


def exchange_ids(executor: Executor, progress: Progress) -> None:
    """Give all persons of both parties their keys; every environment has taken in its table.

    Args:
        executor: both ends of its link take part.
        progress: what is shown.
    """
    shape = _agree(executor)
    working = max(len(instances) for instances in executor.ends.values())
    with progress.stage("exchange", shape.bins) as stage:
        under_way = deque[list[Ref[None]]]()
        for number in range(shape.bins):
            under_way.append(_exchange_bin(executor, number))
            while len(under_way) >= BINS_IN_FLIGHT * working:
                executor.get_all(under_way.popleft())
                stage.advance()
        for refs in under_way:
            executor.get_all(refs)
            stage.advance()
        for role in executor.ends:
            executor.get_all(spread(executor, role, shape.bins))
        progress.worked("persons", shape.row + shape.column)


def _agree(executor: Executor) -> Shape:
    """Lead both parties through the oblivious transfers, and tell all their environments."""
    firsts = {role: executor.ends[role][0] for role in executor.ends}
    offers = _crossed(executor, {r: p.call(Link.offer_columns) for r, p in firsts.items()})
    chosen = {r: p.call(Link.choose_columns, offers[r]) for r, p in firsts.items()}
    choices = _crossed(executor, chosen)
    accepted = {r: p.call(Link.accept_choices, choices[r]) for r, p in firsts.items()}
    shapes = executor.get_all(list(accepted.values()))
    for role in executor.ends:
        executor.get_all(tell_others(executor, role))
    return shapes[0]


def _crossed(executor: Executor, refs: Mapping[Role, Ref[bytes]]) -> dict[Role, bytes]:
    """Give each party what the other one made."""
    return {ROLES[role].other: executor.get(ref) for role, ref in refs.items()}


def tell_others(executor: Executor, role: Role) -> list[Ref[None]]:
    """Tell what the transfers gave to the environments of a party that took no part in them."""
    first, *others = executor.ends[role]
    if not others:
        return []
    shared = first.call(Link.share_exchange)
    return [other.call(Link.join_exchange, shared) for other in others]


def holder_of(executor: Executor, role: Role, number: int) -> Instance[Link]:
    """Return the environment of a party that works through a bin."""
    return in_turn(executor.ends[role], number)


def spread(executor: Executor, role: Role, bins: int) -> list[Ref[None]]:
    """Give every environment of a party the keys that others worked out, by one call each."""
    instances = executor.ends[role]
    if len(instances) == 1:
        return []
    holders = [holder_of(executor, role, number) for number in range(bins)]
    keys = [holder.call(Link.keys_of, number) for number, holder in enumerate(holders)]
    refs = []
    for instance in instances:
        numbers = [number for number, holder in enumerate(holders) if holder is not instance]
        refs.append(instance.call(Link.put_keys, numbers, *(keys[number] for number in numbers)))
    return refs


def _exchange_bin(executor: Executor, number: int) -> list[Ref[None]]:
    """Submit the work of both parties on a bin."""
    holders = {role: holder_of(executor, role, number) for role in executor.ends}
    matrices = {role: holder.call(Link.hide, number) for role, holder in holders.items()}
    return [
        holder.call(Link.evaluate, matrices[ROLES[role].other], number)
        for role, holder in holders.items()
    ]
