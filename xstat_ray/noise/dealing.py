"""The aggregator's part of the joint sampler: it deals randomness and sees no noise.

What it gives depends on nothing but its seed. It learns nothing of what is computed with it, since
the parties' openings are sealed from it, and what it gets of a number that the parties computed has
another mask on it, up to the published table. A dealer of bad faith could deal integer shares that
tell it coins by what is published, or by whether it is: `noise.checking` finds that, where a
study asks for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import derive
from xstat_ray.model.study import Role
from xstat_ray.noise import triples
from xstat_ray.noise.bits import SEED_BYTES, Attempt, Stream, bits_of, check_seed
from xstat_ray.noise.messages import Deal
from xstat_ray.noise.plan import NoisePlan, Part
from xstat_ray.noise.triples import Words
from xstat_ray.util.secrecy import Secret


class Dealer(Secret):
    """Deals multiplication triples, and random bits in two forms, to both parties."""

    def __init__(self, plan: NoisePlan, attempt: Attempt, seed: bytes) -> None:
        """Derive the parties' seeds.

        Args:
            plan: of the release.
            attempt: for which it deals.
            seed: 32 secret bytes, of this attempt and set alone.

        Raises:
            ValueError: the seed does not have 32 bytes.
        """
        check_seed(seed)
        self._plan = plan
        self._attempt = attempt
        self._seed = seed

    def export_seed(self, role: Role) -> bytes:
        """The 32 bytes from which a party makes its part; to be sealed to it."""
        purpose = f"{self._attempt.purpose('dealt to', 0)} {role}"
        return derive(self._seed, purpose, SEED_BYTES)

    def deal(self, number: int) -> Deal:
        """What the column party cannot make from its seed, for a part; to be sealed to it."""
        part = self._plan.parts[number]
        coins = 2 * part.coins.digits
        count = triples.products(part.coins.bits)
        corrections = np.empty((coins, count, part.words), np.uint64)
        for step in triples.rounds(part.coins.bits):
            self._correct(part, step, corrections[:, step.corrections])
        shares = np.empty((coins, part.coefficients), np.int64)
        self._share(part, shares)
        attempt = self._attempt
        return Deal(attempt.number, attempt.set, number, corrections, shares)

    def _correct(self, part: Part, step: triples.Round, into: Words) -> None:
        """The corrections of one round, coin by coin, as these fit a processor's cache."""
        row = self._stream("row", part, step.use)
        column = self._stream("column", part, step.use)
        for correction in into:
            both = (
                step.material("row", row, 1, part.words)[0],
                step.material("column", column, 1, part.words)[0],
            )
            share = triples.corrections(*both, step.products)
            correction[:] = share.reshape(correction.shape)

    def _share(self, part: Part, into: NDArray[np.int64]) -> None:
        """Integer shares: the dealt bit minus the share of the row party."""
        row = self._stream("row", part, triples.DEALT_BITS)
        column = self._stream("column", part, triples.DEALT_BITS)
        masks = self._stream("row", part, triples.INTEGER_SHARES)
        for shares in into:
            bits = row.words(part.words) ^ column.words(part.words)
            shares[:] = bits_of(bits, part.coefficients)
            np.subtract(shares, triples.integer_shares(masks, part.coefficients), shares)

    def _stream(self, role: Role, part: Part, use: str) -> Stream:
        return Stream(self.export_seed(role), self._attempt, part.number, use)
