"""The draw of the noise as each role has it: all sets of coins, part by part, and their check.

Parts are numbered through all sets: number 3 of two parts is the second part of the second set.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from xstat_ray.errors import ProtocolError
from xstat_ray.model.study import Role
from xstat_ray.noise.bits import SEED_BYTES, Attempt
from xstat_ray.noise.checking import AnyRole, seed_of_set, sets_of
from xstat_ray.noise.covert import CovertCheck
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.messages import Deal, Opening
from xstat_ray.noise.plan import NoisePlan
from xstat_ray.noise.sampler import PartSampler, Sampler
from xstat_ray.util.secrecy import Secret


class Dealing(Secret):
    """The aggregator's side."""

    def __init__(
        self, plan: NoisePlan, session: str, sets: int, *, seed: bytes, study_digest: bytes
    ) -> None:
        """Derive the parties' seeds.

        Args:
            plan: of the release.
            session: name of the session, in hex.
            sets: of coins; with more than one, all but one are checked.
            seed: 32 secret bytes, of this session alone.
            study_digest: to which messages are bound.
        """
        attempts = sets_of(Attempt(bytes.fromhex(session), 0), sets)
        self._plan = plan
        self._dealers = [Dealer(plan, one, seed_of_set(seed, one)) for one in attempts]
        self._check = _check_of("aggregator", plan, attempts, seed, study_digest)

    @property
    def numbers(self) -> range:
        """Of all parts of all sets."""
        return range(len(self._dealers) * len(self._plan.parts))

    def export_seeds(self, role: Role) -> bytes:
        """Export a party's 32 bytes for every set; to be sealed to it."""
        seeds = [dealer.export_seed(role) for dealer in self._dealers]
        if self._check is not None:
            for seed, transcript in zip(seeds, self._check.transcripts, strict=True):
                transcript.add_seed(role, seed)
        return b"".join(seeds)

    def deal(self, number: int) -> Deal:
        """Deal what the column party cannot make from its seed, for a part; to be sealed to it."""
        of_set, part = divmod(number, len(self._plan.parts))
        dealt = self._dealers[of_set].deal(part)
        if self._check is not None:
            self._check.transcripts[of_set].add_deal(dealt)
        return dealt

    @property
    def check(self) -> CovertCheck:
        """The aggregator's side of the check, once it has dealt everything.

        Raises:
            ProtocolError: there is one set, and nothing to check.
        """
        return _several(self._check)


class PartyDraw(Secret):
    """A party's side.

    Call `begin` for the parts in order, and for each `advance` until it gives nothing more; where
    there are several sets go through `check` then. A call that is repeated, as a cluster may do
    that lost its answer, gives what it gave the first time, and changes nothing.
    """

    def __init__(
        self,
        role: Role,
        plan: NoisePlan,
        session: str,
        *,
        seed: bytes,
        dealt: bytes,
        study_digest: bytes,
    ) -> None:
        """Take the seeds.

        Args:
            role: whose side.
            plan: of the release.
            session: name of the session, in hex.
            seed: 32 secret bytes of the party, of this session alone.
            dealt: what the aggregator dealt to the party (`Dealing.export_seeds`).
            study_digest: to which messages are bound.
        """
        seeds = [dealt[at : at + SEED_BYTES] for at in range(0, len(dealt), SEED_BYTES)]
        attempts = sets_of(Attempt(bytes.fromhex(session), 0), len(seeds))
        self.dealt = dealt
        self._plan = plan
        self._parts = len(plan.parts)
        self._role: Role = role
        self._other: Role = "column" if role == "row" else "row"
        self._samplers = [
            Sampler(role, plan, attempt, seed_of_set(seed, attempt), of_set)
            for attempt, of_set in zip(attempts, seeds, strict=True)
        ]
        self._shares = list[NDArray[np.int64]]()
        self._part: PartSampler | None = None
        self._begun = -1
        """Number of the part that was begun last."""
        self._sent = list[Opening | None]()
        """Its openings as far as they were made, and None behind them once it is drawn."""
        self._check = _check_of(role, plan, attempts, seed, study_digest)
        if self._check is not None:
            for of_set, transcript in zip(seeds, self._check.transcripts, strict=True):
                transcript.add_seed(role, of_set)

    def begin(self, number: int, deal: Deal | None = None) -> Opening:
        """Begin a part.

        Args:
            number: of the part, through all sets.
            deal: what the aggregator dealt for it, for the column party alone.

        Returns:
            The first opening.

        Raises:
            ProtocolError: the part is not the next one, or the corrections are not those of it.
        """
        if number != self._begun:
            of_set, part = divmod(number, self._parts)
            under_way = self._sent and self._sent[-1] is not None
            if number != self._begun + 1 or of_set >= len(self._samplers) or under_way:
                raise ProtocolError("the parts of the noise are drawn in their order")
            self._part = self._samplers[of_set].begin(part, deal)
            self._begun = number
            self._sent = [self._part.opening]
            if self._check is not None and deal is not None:
                self._check.transcripts[of_set].add_deal(deal)
            self._note(self._role, self._part.opening)
        first = self._sent[0]
        assert first is not None
        return first

    def advance(self, number: int, turn: int, theirs: Opening) -> Opening | None:
        """Take the other party's opening of a round.

        Args:
            number: of the part that was begun last.
            turn: number of the round.
            theirs: the opening.

        Returns:
            The next opening; None once the part is drawn.

        Raises:
            ProtocolError: the opening is out of turn, or is not of this part, or not of its size.
        """
        done = len(self._sent) - 1
        if number != self._begun or not 0 <= turn < done + (self._sent[-1] is not None):
            raise ProtocolError("an opening of the noise is out of turn")
        if turn == done:
            assert self._part is not None
            more = self._part.advance(theirs)
            self._note(self._other, theirs)
            if more:
                self._note(self._role, self._part.opening)
            else:
                self._shares.append(self._part.share)
            self._sent.append(self._part.opening if more else None)
        return self._sent[turn + 1]

    def _note(self, sender: Role, opening: Opening) -> None:
        if self._check is not None:
            self._check.transcripts[opening.set].add_opening(sender, opening)

    @property
    def check(self) -> CovertCheck:
        """The party's side of the check, once all sets are drawn.

        Raises:
            ProtocolError: there is one set, and nothing to check.
        """
        return _several(self._check)

    @property
    def share(self) -> NDArray[np.int64]:
        """(2, rows, columns) the party's share of the noise, in limbs (`PartSampler.share`).

        Raises:
            ProtocolError: parts have not been drawn, or the sets have not been checked.
        """
        kept = 0
        if self._check is not None:
            if not self._check.passed:
                raise ProtocolError("the sets of the noise have not been checked")
            kept = self._check.kept
        shares = iter(self._shares[kept * self._parts : (kept + 1) * self._parts])
        if len(self._shares) < (kept + 1) * self._parts:
            raise ProtocolError("parts of the noise have not been drawn")
        by_quantity = [
            np.concatenate(list(islice(shares, len(parts))), axis=1)
            for parts in self._plan.by_quantity
        ]
        return np.concatenate(by_quantity, axis=2)


def _check_of(
    role: AnyRole, plan: NoisePlan, attempts: Sequence[Attempt], seed: bytes, study_digest: bytes
) -> CovertCheck | None:
    """A role's side of the check; None where a single set is drawn."""
    if len(attempts) < 2:
        return None
    return CovertCheck(role, plan, attempts, seed=seed, study_digest=study_digest)


def _several(check: CovertCheck | None) -> CovertCheck:
    if check is None:
        raise ProtocolError("a single set of the noise cannot be checked")
    return check
