"""A party's part in the joint draw of Laplace noise, and in the covert check of it.

What is computed is in `noise.draw`; here messages are opened and sealed. Every method but
`accept_deal` returns what is for the others, and may be called again: it then returns what it did
before, although the seals are new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xstat_ray.crypto import channel
from xstat_ray.crypto.derive import derive
from xstat_ray.errors import ProtocolError
from xstat_ray.noise.bits import SEED_BYTES
from xstat_ray.noise.checking import AnyRole
from xstat_ray.noise.draw import PartyDraw
from xstat_ray.noise.messages import Deal, Opening
from xstat_ray.noise.plan import NoisePlan, joint_noise
from xstat_ray.privacy.design import Design
from xstat_ray.roles.party import Party
from xstat_ray.roles.seat import Seat


@dataclass(frozen=True)
class ToBoth:
    """What a party tells both other roles."""

    sealed: bytes
    """For the other party."""
    plain: bytes
    """The same for the aggregator."""


class JointDraw(Party):
    """Draws noise with the other party.

    Call `accept_deal`; then, for every part of every set, `begin_noise`, and `advance_noise` on the
    other party's openings. Where the study asks for several sets go through `commit_noise`,
    `toss_noise`, `open_sets` and `check_sets` then.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._dealing = channel.HandOver()
        self._drawing: PartyDraw | None = None

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._drawing = None

    @property
    def _design(self) -> Design:
        return Design.of_study(self._study)

    @property
    def _joint(self) -> NoisePlan | None:
        """How the noise is drawn jointly; None for other noise."""
        return joint_noise(self._design, self._study.slots)

    @property
    def _party_draw(self) -> PartyDraw:
        if self._drawing is None:
            raise ProtocolError("no seed was dealt for the noise")
        return self._drawing

    def dealing_key(self) -> bytes:
        """Return the key to which the aggregator seals what it deals to this party."""
        return self._dealing.offer

    def accept_deal(self, sealed: bytes) -> None:
        """Take the seeds that the aggregator dealt to this party, one for each set.

        A repeat changes nothing.

        Raises:
            ProtocolError: they are not sealed to this environment, are not those of before, or the
                study's noise is not drawn jointly.
        """
        plan = self._joint
        if plan is None:
            raise ProtocolError("the noise of this study is not drawn jointly")
        dealt = self._dealing.open(sealed).get("seed", b"")
        if len(dealt) != SEED_BYTES * self._study.privacy.checked:
            raise ProtocolError("the dealt seed has another size")
        if self._drawing is None:
            seed = derive(self._seed, "seed of the noise", SEED_BYTES)
            self._drawing = PartyDraw(
                self.role,
                plan,
                self.session(),
                seed=seed,
                dealt=dealt,
                study_digest=self._study.digest,
            )
        elif self._drawing.dealt != dealt:
            raise ProtocolError("another seed was dealt for the noise before")

    def begin_noise(self, number: int, sealed: bytes | None = None) -> bytes:
        """Begin to draw a part of the noise.

        Args:
            number: of the part, through all sets.
            sealed: what the aggregator dealt to the column party for it; None for the row party.

        Returns:
            The first opening, sealed for the other party.

        Raises:
            ProtocolError: what was dealt is of another part, or no seed was dealt.
        """
        deal = None
        if sealed is not None:
            opened = self._dealing.open(sealed).get("deal", b"")
            deal = Deal.decode(opened, self._study.digest)
        return self._seal(_purpose(number, 0), self._party_draw.begin(number, deal))

    def advance_noise(self, number: int, turn: int, sealed: bytes) -> bytes | None:
        """Take the other party's opening of a round.

        Args:
            number: of the part, through all sets.
            turn: number of the round.
            sealed: the opening.

        Returns:
            The next opening, sealed for the other party; None once the part is drawn.

        Raises:
            ProtocolError: the opening was altered, or is of another part or round.
        """
        theirs = self._open(_purpose(number, turn), sealed, Opening)
        following = self._party_draw.advance(number, turn, theirs)
        return None if following is None else self._seal(_purpose(number, turn + 1), following)

    def commit_noise(self) -> ToBoth:
        """Commit to all sets, once they are drawn.

        Raises:
            ProtocolError: they are not, or there is one set and nothing to check.
        """
        return self._to_both("commitment", self._party_draw.check.commit())

    def toss_noise(self, of_other: bytes, of_aggregator: bytes) -> ToBoth:
        """Take the others' commitments, and show what this party had committed to.

        Raises:
            ProtocolError: a commitment is malformed, was altered, or is not that of before.
        """
        check = self._party_draw.check
        read = self._of_both("commitment", of_other, of_aggregator)
        return self._to_both("toss", check.toss(read))

    def open_sets(self, of_other: bytes, of_aggregator: bytes) -> bytes:
        """Take what the others had committed to, and open all sets but the one that is used.

        Returns:
            Seeds and digests of these sets, sealed for the other party.

        Raises:
            DepartureError: a role had committed to something else, or to different things.
            ProtocolError: a message is malformed, was altered, or comes too early.
        """
        check = self._party_draw.check
        read = self._of_both("toss", of_other, of_aggregator)
        return self._seal_bytes("sets", check.open(read))

    def check_sets(self, of_other: bytes, of_aggregator: bytes) -> None:
        """Compute the opened sets again; only then can the noise be kept.

        Raises:
            DepartureError: a role did not follow the protocol in one of them; names it.
            ProtocolError: a message is malformed, was altered, or comes too early.
        """
        read = self._of_both("sets", of_other, of_aggregator)
        self._party_draw.check.check(read)

    def _to_both(self, purpose: str, message: bytes) -> ToBoth:
        return ToBoth(self._seal_bytes(purpose, message), message)

    def _seal_bytes(self, purpose: str, message: bytes) -> bytes:
        return self._channel(self.role).seal(message, purpose)

    def _of_both(self, purpose: str, of_other: bytes, plain: bytes) -> dict[AnyRole, bytes]:
        """What both others told, by their roles."""
        opened = self._channel(self.other).open(of_other, purpose)
        return {self.other: opened, "aggregator": plain}


def _purpose(number: int, turn: int) -> str:
    return f"opening {number} {turn}"
