"""Discrete Laplace noise that row and column party draw together and neither knows.

What is drawn, and where it comes from, is in `noise.coins`: the noise of a coefficient is
sum_i 2^i (B_i - B'_i) with independent coins B_i, B'_i = [r < c_i], r uniform and c_i public. Both
parties compute the coins on XOR shares, 64 coefficients to a word (bit slices), and end with
integers N_R + N_K = N. The aggregator deals correlated randomness (`noise.dealing`,
`noise.triples`) and takes no part in the computation. Its steps, for one part of the coefficients:

0. Aggregator -> each party, sealed: a seed; -> column party, sealed: the corrections of the part
   (`Deal`).
1. Each party draws, for each coin, `bits` uniform bits r_R or r_K; r = r_R ^ r_K is uniform as long
   as one of them is. Nothing is sent.
2. Leaves. For bit j of r and of the threshold c, highest first, eq_j = [r_j = c_j] = ~(r_j ^ c_j)
   and lt_j = [r_j < c_j] = c_j & ~r_j = c_j & ~eq_j. As c is public, shares of these come from
   shares of r alone.
3. Six rounds. Neighbours in a binary tree, hi before lo, become one node:
   lt = lt_hi ^ (eq_hi & lt_lo), eq = eq_hi & eq_lo. Both products have eq_hi in common, so that
   one triple with one a and two b serves them. Among leaves one product does:
   eq_hi & lt_lo = c_lo & (eq_hi ^ (eq_hi & eq_lo)). In each round each party -> the other, sealed:
   its shares of the masked operands (`Opening`).
4. At the root lt is the coin B: shares B_R, B_K.
5. One round. The dealer gave a uniform bit t to both as XOR shares, t = t_R ^ t_K, and as integers
   s_R + s_K = t, s_R uniform in [0, 2^63). Each party -> the other, sealed: its share of
   e = B ^ t, which is uniform. Then B = e + (1 - 2 e) t, hence each party's share of the noise is
   sum of +-2^i (1 - 2 e) s over the coins; the row party alone adds the sum of +-2^i e.

A party that follows the steps sees uniform words and, in the column party's integer shares, numbers
that hide their bit except with probability 2^-63 (accounted for in `noise.plan`): nothing about N,
as long as the dealer does not help it.

Everything is a function of the plan, the attempt and the seeds: a part that runs again sends the
same bytes. Openings are not authenticated here: the channel around them is (`crypto.channel`), and
refuses a flipped bit; of a message that was not meant for this place, or has another size, this
module complains itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.errors import ProtocolError
from xstat_ray.model.study import Role
from xstat_ray.noise import triples
from xstat_ray.noise.bits import Attempt, Stream, bits_of, check_seed
from xstat_ray.noise.messages import Deal, Opening
from xstat_ray.noise.plan import NoisePlan, Part
from xstat_ray.noise.triples import Words
from xstat_ray.util.secrecy import Secret

LIMB_BITS = 32
"""A share is low + 2^32 high: with 28 digits each limb is below 2^62."""
_LOW = (1 << LIMB_BITS) - 1
_COINS = "coins"


def rounds(bits: int) -> int:
    """Openings that each party sends for a part with coins of these bits: 7 for 48 or 64."""
    return len(triples.rounds(bits)) + 1


class Sampler(Secret):
    """What a party has to draw its shares, part by part."""

    def __init__(
        self, role: Role, plan: NoisePlan, attempt: Attempt, seed: bytes, dealt: bytes
    ) -> None:
        """Take the seeds.

        Args:
            role: whose shares.
            plan: of the release.
            attempt: for which they are drawn.
            seed: 32 secret bytes of the party, of this attempt and set alone.
            dealt: the 32 bytes that the dealer gave to the party.

        Raises:
            ValueError: a seed does not have 32 bytes.
        """
        check_seed(seed)
        check_seed(dealt)
        self._role = role
        self._plan = plan
        self._attempt = attempt
        self._seed = seed
        self._dealt = dealt

    def begin(self, number: int, deal: Deal | None = None) -> PartSampler:
        """Begin a part; parts may be under way at the same time.

        Args:
            number: of the part.
            deal: the corrections of the part, for the column party alone.

        Raises:
            ProtocolError: the corrections are of another attempt, set or part, or not of its size.
        """
        part = self._plan.parts[number]
        if (deal is None) != (self._role == "row"):
            raise ProtocolError("corrections are for the column party, which needs them")
        if deal is not None:
            _check_deal(deal, self._attempt, part)
        own = Stream(self._seed, self._attempt, number, _COINS)
        return PartSampler(self._role, part, self._attempt, own=own, dealt=self._dealt, deal=deal)


class PartSampler(Secret):
    """One party's side of drawing the noise of one part."""

    def __init__(
        self,
        role: Role,
        part: Part,
        attempt: Attempt,
        *,
        own: Stream,
        dealt: bytes,
        deal: Deal | None,
    ) -> None:
        """Draw the party's bits and mask the operands of the first round (`Sampler.begin`)."""
        self._role: Role = role
        self._part = part
        self._attempt = attempt
        self._dealt = dealt
        self._deal = deal
        self._coins = 2 * part.coins.digits
        self._rounds = triples.rounds(part.coins.bits)
        self._share: NDArray[np.int64] | None = None
        # (coins, pairs, eq of hi and lo, words) of leaves.
        words = own.words(self._coins, part.coins.bits // 2, 2, part.words)
        if role == "row":
            words ^= ~self._thresholds
        self._nodes = words
        self._round = 0
        self._masked = self._mask()

    @property
    def opening(self) -> Opening:
        """What the other party is sent next.

        Raises:
            ProtocolError: the share is there, and there is nothing more to send.
        """
        if self._share is not None:
            raise ProtocolError("all openings of this part of the noise have been made")
        attempt = self._attempt
        place = (attempt.number, attempt.set, self._part.number, self._round)
        return Opening(*place, self._masked)

    @property
    def share(self) -> NDArray[np.int64]:
        """(2, rows, slots) the party's share of the noise: low and high limbs, low + 2^32 high.

        Raises:
            ProtocolError: openings are still missing.
        """
        if self._share is None:
            raise ProtocolError("openings of this part of the noise are still missing")
        return self._share

    def advance(self, other: Opening) -> bool:
        """Take the other party's opening of this round.

        Returns:
            Whether there is another opening to send, and one to take.

        Raises:
            ProtocolError: the opening is not the one of this round, or not of its size.
        """
        mine = self.opening
        theirs = (other.attempt, other.set, other.part, other.round)
        if theirs != (mine.attempt, mine.set, mine.part, mine.round):
            raise ProtocolError("an opening of the noise is of another attempt, set, part or round")
        if other.masked.shape != self._masked.shape:
            raise ProtocolError("an opening of the noise has another size than its part")
        opened = self._masked ^ other.masked
        if self._round == len(self._rounds):
            self._share = self._integers(opened[:, 0, 0])
            # A share is kept for long, and all else is a hundred times as large.
            del self._nodes, self._material, self._masked, self._deal
            return False
        self._nodes = self._combine(self._rounds[self._round], opened)
        self._round += 1
        self._masked = self._mask()
        return True

    def _stream(self, use: str) -> Stream:
        return Stream(self._dealt, self._attempt, self._part.number, use)

    @property
    def _thresholds(self) -> Words:
        """(coins, pairs, 2, 1) words of ones or zeros: bits of the thresholds, highest first."""
        bits = self._part.coins.bits
        rows = [
            [-(threshold >> place & 1) for place in reversed(range(bits))]
            for threshold in 2 * self._part.coins.thresholds
        ]
        return np.array(rows, np.int64).view(np.uint64).reshape(self._coins, -1, 2, 1)

    def _mask(self) -> Words:
        """(coins, pairs, operands, words) masked operands of this round."""
        if self._round == len(self._rounds):
            mask = self._stream(triples.DEALT_BITS).words(self._coins, 1, 1, self._part.words)
            return mask ^ self._nodes[:, :, :1]
        step = self._rounds[self._round]
        stream = self._stream(step.use)
        self._material = step.material(self._role, stream, self._coins, self._part.words)
        pairs = self._pairs(step)
        operands = pairs[:, :, pairs.shape[2] // 2 - 1 :]
        masked: Words = operands ^ self._material[:, :, : 1 + step.products]
        return masked

    def _pairs(self, step: triples.Round) -> Words:
        """(coins, pairs, bits, words): eq_hi, eq_lo of leaves; else lt_hi, eq_hi, lt_lo, eq_lo."""
        paired = self._nodes[:, : 2 * step.pairs]
        return paired.reshape(self._coins, step.pairs, -1, self._part.words)

    def _combine(self, step: triples.Round, opened: Words) -> Words:
        """(coins, nodes, lt and eq, words) of the next round, coin by coin: they fit a cache."""
        pairs = self._pairs(step)
        nodes = np.empty((self._coins, step.pairs + step.odd, 2, self._part.words), np.uint64)
        thresholds = self._thresholds if step.number == 0 else None
        for coin in range(self._coins):
            correction = None
            if self._deal is not None:
                flat = self._deal.corrections[coin, step.corrections]
                correction = flat.reshape(step.pairs, step.products, -1)
            product = triples.multiply(opened[coin], self._material[coin], correction)
            into = nodes[coin, : step.pairs]
            if thresholds is None:
                np.bitwise_xor(pairs[coin, :, 0], product[:, 0], into[:, 0])
                into[:, 1] = product[:, 1]
            else:
                into[:, 0] = self._less(thresholds[coin], pairs[coin, :, 0], product[:, 0])
                into[:, 1] = product[:, 0]
        nodes[:, step.pairs :] = self._nodes[:, 2 * step.pairs :]
        return nodes

    def _less(self, threshold: Words, high: Words, product: Words) -> Words:
        """(pairs, words) lt of pairs of leaves: c_hi & ~eq_hi ^ c_lo & (eq_hi ^ eq_hi & eq_lo)."""
        not_high = ~high if self._role == "row" else high
        less: Words = threshold[:, 0] & not_high
        less ^= threshold[:, 1] & (high ^ product)
        return less

    def _integers(self, opened: Words) -> NDArray[np.int64]:
        """Step 5: the share, of e (coins, words)."""
        part = self._part
        limbs = np.zeros((2, part.coefficients), np.int64)
        stream = self._stream(triples.INTEGER_SHARES)
        for coin in range(self._coins):
            weight = 1 << coin if coin < part.coins.digits else -1 << coin - part.coins.digits
            bits = bits_of(opened[coin], part.coefficients).astype(np.int64)
            signed = weight - 2 * weight * bits
            if self._deal is None:
                dealt = triples.integer_shares(stream, part.coefficients)
                limbs[0] += weight * bits
            else:
                dealt = self._deal.shares[coin]
            limbs[0] += signed * (dealt & _LOW)
            limbs[1] += signed * (dealt >> LIMB_BITS)
        return limbs.reshape(2, len(part.rows), part.slots)


def _check_deal(deal: Deal, attempt: Attempt, part: Part) -> None:
    coins = 2 * part.coins.digits
    if (deal.attempt, deal.set, deal.part) != (attempt.number, attempt.set, part.number):
        raise ProtocolError("corrections of the noise are of another attempt, set or part")
    size = (coins, triples.products(part.coins.bits), part.words)
    if deal.corrections.shape != size or deal.shares.shape != (coins, part.coefficients):
        raise ProtocolError("corrections of the noise have another size than their part")
