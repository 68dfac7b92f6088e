"""Randomness that is dealt twice, a dealer that marks it for itself, and roles that depart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xstat_ray.model.study import Role
from xstat_ray.noise.bits import Attempt, Stream
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.draw import Dealing, PartyDraw
from xstat_ray.noise.messages import Deal, Opening
from xstat_ray.noise.sampler import PartSampler
from xstat_ray.noise.triples import DEALT_BITS, Round, Words


def same_dealt_bits(patch: pytest.MonkeyPatch) -> None:
    """Give all coins the dealt bits of the first."""
    begin = Stream.__init__
    words = Stream.words

    def init(self: Stream, seed: bytes, attempt: Attempt, part: int, use: str) -> None:
        begin(self, seed, attempt, part, use)
        self.reused = [] if use == DEALT_BITS else None

    def again(self: Stream, *shape: int) -> Words:
        if self.reused is None:
            return words(self, *shape)
        if not self.reused:
            self.reused.append(words(self, shape[-1]))
        return np.broadcast_to(self.reused[0], shape).copy()

    patch.setattr(Stream, "reused", None, raising=False)
    patch.setattr(Stream, "__init__", init)
    patch.setattr(Stream, "words", again)


def same_triples(patch: pytest.MonkeyPatch) -> None:
    """Multiply all coins of a round with the triples of the first."""
    honest = Round.material
    kept: dict[Stream, Words] = {}

    def material(self: Round, role: Role, stream: Stream, coins: int, words: int) -> Words:
        if stream not in kept:
            kept[stream] = honest(self, role, stream, 1, words)
        return np.repeat(kept[stream], coins, axis=0)

    patch.setattr(Round, "material", material)


MARK = 20
"""Bits below the marks, more than noise and counts take."""


def marked(patch: pytest.MonkeyPatch) -> None:
    """Deal integer shares that are wrong by a power of two, another one for each coin.

    Coin i adds or takes away 2^(MARK + i), as its opened bit says, in the sum of both shares.
    """
    honest = Dealer.deal

    def deal(self: Dealer, number: int) -> Deal:
        dealt = honest(self, number)
        digits = len(dealt.shares) // 2
        for coin, shares in enumerate(dealt.shares):
            shares += 1 << MARK + coin - coin % digits
        return dealt

    patch.setattr(Dealer, "deal", deal)


def counts_of(unmasked: NDArray[np.int64], dealt: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Read exact counts from their sums with the marked noise.

    Args:
        unmasked: (coefficients,) counts and both shares of the noise.
        dealt: (coins, coefficients) the dealt bits.
    """
    weights = weights_of(dealt)
    coins = np.arange(len(dealt))[:, None]
    marks = np.int64(1) << MARK + coins
    plus = unmasked + marks.sum() + (1 << MARK - 1) >> MARK + 1 + coins & 1
    noise = noise_of(plus == (weights < 0), dealt)
    return unmasked - noise - np.where(plus, marks, -marks).sum(axis=0)


def noise_of(opened: NDArray[np.bool_], dealt: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(coefficients,) noise, from the opened bits (coins, coefficients) and the dealt ones."""
    noise: NDArray[np.int64] = (weights_of(dealt) * (opened ^ dealt)).sum(axis=0)
    return noise


def weights_of(dealt: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(coins, 1) what a coin adds to the noise."""
    digits = len(dealt) // 2
    coins = np.arange(2 * digits)[:, None]
    weights: NDArray[np.int64] = np.where(coins < digits, 1, -1) << coins % digits
    return weights


def deals_other_shares(patch: pytest.MonkeyPatch) -> None:
    """Have the aggregator alone deal other integer shares than follow from its seed."""
    honest = Dealer.deal
    of_all_sets = Dealing.deal

    def marked_deal(self: Dealer, number: int) -> Deal:
        dealt = honest(self, number)
        dealt.shares[0] += 1
        return dealt

    def deal(self: Dealing, number: int) -> Deal:
        with patch.context() as inside:
            inside.setattr(Dealer, "deal", marked_deal)
            return of_all_sets(self, number)

    patch.setattr(Dealing, "deal", deal)


def tosses_other_coins(patch: pytest.MonkeyPatch, role: Role) -> None:
    """Have a party draw the bits of one coin otherwise than follows from its seed."""
    begin = PartSampler.__init__
    of_all_sets = PartyDraw.begin

    def other_bits(self: PartSampler, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        self._nodes[0] ^= np.uint64(1)
        self._masked = self._mask()

    def begun(self: PartyDraw, number: int, deal: Deal | None = None) -> Opening:
        with patch.context() as inside:
            if self._role == role:
                inside.setattr(PartSampler, "__init__", other_bits)
            return of_all_sets(self, number, deal)

    patch.setattr(PartyDraw, "begin", begun)
