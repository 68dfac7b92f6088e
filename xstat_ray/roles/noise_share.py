"""A party's share of the noise, which no role knows as a whole.

Laplace noise is drawn by both parties together, on shares (`noise.sampler`); of Gaussian noise each
role draws a share of its own; where noise is off the shares are zero. In every case a share is
fixed, and on disk, before anything depends on it.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto import channel
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.derive import derive
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.noise.bits import SEED_BYTES, Attempt
from xstat_ray.noise.messages import Deal, Opening
from xstat_ray.noise.plan import joint_noise
from xstat_ray.noise.sampler import PartSampler, Sampler
from xstat_ray.noise.shares import draw_gaussian_share, narrow, pack_shares
from xstat_ray.privacy.design import Design
from xstat_ray.roles.party import Party
from xstat_ray.roles.private_file import write_private

SHARE = "noise"
"""File in the private folder with the party's share of the noise."""


class NoiseShare(Party):
    """Has a share of the noise of every coefficient.

    Where the noise is drawn jointly call `accept_deal`; then, for every part, `begin_noise`, and
    `advance_noise` on the other party's openings. In any case call `keep_noise` then. All of it
    takes place in the party's first environment; `noise_of` hands the share to the others.
    """

    def __init__(
        self, study: Study, source: Source | Path | str, *, seed: bytes | None = None
    ) -> None:
        super().__init__(study, source, seed=seed)
        self._dealing = channel.HandOver()
        self._sampler: Sampler | None = None
        self._parts = dict[int, PartSampler]()
        self._noise: NDArray[np.int64] | None = None

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._noise = None

    @property
    @abstractmethod
    def _public(self) -> PublicKey:
        """The public key under which the table is encrypted."""

    @property
    def _design(self) -> Design:
        return Design.of_study(self._study)

    def dealing_key(self) -> bytes:
        """Return the key to which the aggregator seals what it deals to this party."""
        return self._dealing.offer

    def accept_deal(self, sealed: bytes) -> None:
        """Take the seed that the aggregator dealt to this party.

        Raises:
            ProtocolError: it is not sealed to this environment, or the study's noise is not drawn
                jointly.
        """
        plan = joint_noise(self._design, self._study.slots)
        if plan is None:
            raise ProtocolError("the noise of this study is not drawn jointly")
        attempt = Attempt(bytes.fromhex(self.session()), 0)
        seed = derive(self._seed, "seed of the noise", SEED_BYTES)
        dealt = self._dealing.open(sealed).get("seed", b"")
        if len(dealt) != SEED_BYTES:
            raise ProtocolError("the dealt seed has another size")
        self._sampler = Sampler(self.role, plan, attempt, seed, dealt)
        self._parts = {}

    def begin_noise(self, number: int, sealed: bytes | None = None) -> bytes:
        """Begin to draw a part of the noise.

        Args:
            number: of the part.
            sealed: what the aggregator dealt to the column party for it; None for the row party.

        Returns:
            The first opening, sealed for the other party.

        Raises:
            ProtocolError: what was dealt is of another part, or no seed was dealt.
        """
        if self._sampler is None:
            raise ProtocolError("no seed was dealt for the noise")
        deal = None
        if sealed is not None:
            opened = self._dealing.open(sealed).get("deal", b"")
            deal = Deal.decode(opened, self._study.digest)
        self._parts[number] = self._sampler.begin(number, deal)
        return self._seal_opening(number)

    def advance_noise(self, number: int, sealed: bytes) -> bytes | None:
        """Take the other party's opening of this round.

        Returns:
            The next opening, sealed for the other party; None once the part is drawn.

        Raises:
            ProtocolError: the opening was altered, or is of another part or round.
        """
        sampler = self._parts[number]
        purpose = _purpose(sampler.opening)
        if not sampler.advance(self._open(purpose, sealed, Opening)):
            return None
        return self._seal_opening(number)

    def _seal_opening(self, number: int) -> bytes:
        opening = self._parts[number].opening
        return self._seal(_purpose(opening), opening)

    def keep_noise(self) -> None:
        """Fix the party's share; it is in the private folder before this returns.

        A repeat changes nothing.

        Raises:
            ProtocolError: a part of the joint noise is not drawn yet.
        """
        if self._noise is not None or self._load_share():
            return
        slots = self._study.slots
        plan = joint_noise(self._design, slots)
        if plan is not None:
            parts = [self._parts[part.number].share for part in plan.parts]
            share = np.concatenate(parts, axis=1)
        elif self._design.budget.noise == "gaussian":
            share = narrow(draw_gaussian_share(self._design, slots))
        else:
            share = narrow(np.zeros((self._design.shown, slots), np.int64))
        if self._folder is not None:
            content = io.BytesIO()
            np.save(content, share)
            kept = {"session": self.session().encode(), "share": content.getvalue()}
            write_private(self._folder, SHARE, channel.pack_fields(kept))
        self._noise = share
        self._parts = {}

    def _load_share(self) -> bool:
        """Read the share from the private folder; tells whether that of this session was there.

        One of another session is not this party's share of what both draw now.
        """
        if self._folder is None or not (self._folder / SHARE).exists():
            return False
        kept = channel.unpack_fields((self._folder / SHARE).read_bytes())
        if kept["session"].decode() != self.session():
            return False
        self._noise = np.load(io.BytesIO(kept["share"]))
        return True

    def noise_of(self, nodes: range, packing: Packing) -> bytes:
        """Seal the share of some nodes for this party's environments.

        Raises:
            ProtocolError: the noise has not been drawn.
        """
        if self._noise is None and not self._load_share():
            raise ProtocolError("the noise has not been drawn")
        assert self._noise is not None
        n = self._public.n
        share = self._noise[:, nodes.start : nodes.stop]
        numbers = [number % n for number in pack_shares(share, packing)]
        packed = to_rows(numbers, self._public.width // 2).tobytes()
        return self._within.seal(packed, _purpose_of(nodes))

    def _noise_in(self, sealed: bytes, nodes: range) -> list[mpz]:
        """Open what `noise_of` of the party's first environment gave: numbers modulo n."""
        packed = self._within.open(sealed, _purpose_of(nodes))
        width = self._public.width // 2
        return from_rows(np.frombuffer(packed, np.uint8).reshape(-1, width))


def _purpose(opening: Opening) -> str:
    return f"opening {opening.part} {opening.round}"


def _purpose_of(nodes: range) -> str:
    return f"noise of nodes {nodes.start} to {nodes.stop}"
