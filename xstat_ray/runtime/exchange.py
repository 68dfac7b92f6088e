"""The ID exchange between the environments of both parties, in parts.

What is finished is kept on disk, so that a later run need not exchange it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xstat_ray.model.study import Role
from xstat_ray.roles.party import Party
from xstat_ray.runtime.executor import ROLES, Executor, Instance, Ref, in_turn
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.ranges import cut

PERSONS_A_CALL = 10_000
"""Persons blinded by one call: about a second with the portable kernel, a fifth with the native."""
PARTS_KEPT = 25
"""Parts after which their keys are written to disk: what an interruption costs at most."""


class Holder(NamedTuple):
    """Environments of a party that hold the same persons, and how these are exchanged."""

    role: Role
    instances: Sequence[Instance[Party]]
    parts: list[range]
    """Ranges of persons, each exchanged by one call."""
    folder: Path | None
    """The party's private folder, where person keys are kept; None if they are not."""

    @classmethod
    def of(
        cls, role: Role, instances: Sequence[Instance[Party]], persons: int, folder: Path | None
    ) -> Holder:
        """Cut the `persons` persons of these environments into parts."""
        parts = list(cut(persons, PERSONS_A_CALL)) if persons else []
        return cls(role, instances, parts, folder)

    @property
    def rounds(self) -> list[list[range]]:
        """The parts in groups; after each group its keys are written to disk."""
        return [self.parts[i : i + PARTS_KEPT] for i in range(0, len(self.parts), PARTS_KEPT)]

    def turn(self, number: int) -> Instance[Party]:
        """Return one of the environments; consecutive numbers go to different ones."""
        return in_turn(self.instances, number)


def exchange_ids(executor: Executor, holders: Sequence[Holder], progress: Progress) -> None:
    """Give all persons of both parties their keys: each party blinds, the other evaluates.

    Args:
        executor: its parties take part.
        holders: the environments of both parties, by the persons that they hold.
        progress: what is shown.
    """
    total = sum(len(holder.parts) for holder in holders)
    with progress.stage("exchange", total) as stage:
        rounds = [
            (holder, parts, _evaluated(executor, holder, parts))
            for holder in holders
            for parts in holder.rounds
        ]
        for holder, parts, refs in rounds:
            returned = []
            for part, ref in zip(parts, refs, strict=True):
                returned.append(executor.get(ref))
                stage.advance()
                progress.worked("persons", len(part))
            first, *copies = holder.instances
            done = [first.call(Party.finalize, returned, parts, holder.folder)]
            done += [copy.call(Party.finalize, returned, parts) for copy in copies]
            executor.get_all(done)


def _evaluated(executor: Executor, holder: Holder, parts: Sequence[range]) -> list[Ref[bytes]]:
    """Submit the blinding of these parts, and their evaluation by the other party."""
    others = executor.parties[ROLES[holder.role].other]
    return [
        in_turn(others, turn).call(Party.evaluate, holder.turn(turn).call(Party.blind, part), part)
        for turn, part in enumerate(parts)
    ]
