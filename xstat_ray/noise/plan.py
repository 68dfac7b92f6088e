"""What is drawn for a release, as every role works it out for itself from the public study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import groupby

from xstat_ray.errors import PlanError
from xstat_ray.noise.bits import WORD_BITS
from xstat_ray.noise.coins import Coins, growth_above
from xstat_ray.noise.triples import MASK_BITS
from xstat_ray.privacy.design import Design, MeasuredLevel
from xstat_ray.privacy.noise_choice import MOST_DELTA

COIN_BITS = (48, 64)
"""Bits of a coin: the first that keep delta below this are taken."""
MOST_COEFFICIENTS = 1 << 16
"""Coefficients of a part, which bounds the memory of whoever computes it: to some 45 MB at scale
24, 170 MB with 28 digits of 64 bits; and to 19 and 72 MB of openings, which a party keeps until the
next part, as a call may be repeated."""
_SHOWN_DIGITS = 3


@dataclass(frozen=True)
class Part:
    """Consecutive rows of the noisy table, all of one measured level: their counts, or sums."""

    number: int
    level: int
    """Number of the measured level, from the cells up."""
    coins: Coins
    rows: range
    """Rows of the noisy table."""
    slots: int
    quantity: int = 0
    """0 for counts, then the measures in their order."""

    @property
    def coefficients(self) -> int:
        """Coefficients that get noise."""
        return len(self.rows) * self.slots

    @property
    def words(self) -> int:
        """Words of 64 bits that hold a bit for each coefficient."""
        return -(-self.coefficients // WORD_BITS)


@dataclass(frozen=True)
class NoisePlan:
    """Which coefficients get which noise, in parts, and what that costs beside epsilon."""

    parts: tuple[Part, ...]
    """First all counts in the order of the rows of the noisy table, then the sums of each measure
    in this order."""
    delta: Fraction
    """Upper bound of the delta at which the release is (epsilon, delta)-differentially private,
    towards the public and towards each role alone; rounded up to three digits."""

    @property
    def largest(self) -> int:
        """Size that no noise of the release exceeds: all digits of a geometric variable are 1."""
        return max(self.largest_by_quantity)

    @property
    def largest_by_quantity(self) -> tuple[int, ...]:
        """The same for the noise of the counts, and of the sums of every measure."""
        return tuple(
            max((1 << part.coins.digits) - 1 for part in parts) for parts in self.by_quantity
        )

    @property
    def by_quantity(self) -> list[list[Part]]:
        """The parts of the counts, and those of the sums of every measure."""
        groups = groupby(self.parts, lambda part: part.quantity)
        return [list(parts) for _, parts in groups]

    @classmethod
    def of_design(cls, design: Design, slots: int) -> NoisePlan:
        """The plan of a release.

        Args:
            design: what is measured, with Laplace noise.
            slots: columns of the table.

        Raises:
            PlanError: a scale is too large, or a person touches so many coefficients, or epsilon is
                so large, that coins of 64 bits do not do.
            ValueError: the noise of the design is no Laplace noise.
        """
        if design.budget.noise != "laplace":
            raise ValueError("the joint sampler draws Laplace noise")
        return _of_levels(design.levels, slots, design.budget.epsilon)


def joint_noise(design: Design, slots: int) -> NoisePlan | None:
    """How Laplace noise of a design is drawn; None for other noise.

    Raises:
        PlanError: as `NoisePlan.of_design`.
    """
    return NoisePlan.of_design(design, slots) if design.budget.noise == "laplace" else None


def spent_delta(design: Design, slots: int) -> Fraction:
    """The delta that a release of this design is debited with.

    That of the joint draw of Laplace noise, computed; of other noise, what the study declares.

    Raises:
        PlanError: as `NoisePlan.of_design`.
    """
    noise = joint_noise(design, slots)
    return design.budget.delta if noise is None else noise.delta


@lru_cache(maxsize=8)
def _of_levels(levels: tuple[MeasuredLevel, ...], slots: int, epsilon: Fraction) -> NoisePlan:
    for bits in COIN_BITS:
        coins = [_coins(level, bits) for level in levels]
        delta = _delta(levels, coins, slots, epsilon)
        if delta <= MOST_DELTA:
            return NoisePlan(tuple(_parts(levels, coins, slots)), _rounded_up(delta))
    raise PlanError(
        "one person touches so many coefficients that the joint noise costs a delta above 1e-9",
        key="study.bounds",
        remedy="Lower rows, boardings, the study's windows, or privacy.epsilon",
    )


def _coins(level: MeasuredLevel, bits: int) -> list[Coins]:
    """The coins of the counts of a level, and of the sums of every measure.

    Raises:
        PlanError: a scale is too large.
    """
    count = Coins.of_scale(level.mechanism.scale, bits)
    try:
        return [count, *(Coins.of_scale(noise.scale, bits) for noise in level.sums)]
    except PlanError as error:
        raise PlanError(
            f"{error.problem} for the sums of a measure",
            key="study.column.measures",
            remedy="Narrow its low and high, give it in a larger unit, raise its share in "
            "privacy.split, or choose gaussian noise",
        ) from None


def _delta(
    levels: tuple[MeasuredLevel, ...], coins: list[list[Coins]], slots: int, epsilon: Fraction
) -> Fraction:
    """What the coins cost (`noise.coins`) and the integer shares of their bits (`noise.triples`).

    A share tells its bit with probability 2^-MASK_BITS. Only coefficients that a person touches
    count: the others have the same noise and the same shares without the person. A person moves the
    counts of a level by L1 in all, and therefore no more coefficients of it than that; and of each
    measure only the sums that belong to these counts.
    """
    growth = growth_above(epsilon)
    total = Fraction(0)
    for level, of_level in zip(levels, coins, strict=True):
        touched = min(level.mechanism.l1, level.shown * slots)
        for of_quantity in of_level:
            told = Fraction(2 * of_quantity.digits, 2**MASK_BITS)
            total += touched * ((1 + growth) * of_quantity.distance + told)
    return total


def _parts(
    levels: tuple[MeasuredLevel, ...], coins: list[list[Coins]], slots: int
) -> Iterator[Part]:
    step = max(1, MOST_COEFFICIENTS // slots)
    number = 0
    for quantity in range(len(coins[0])):
        first = 0
        for place, (level, of_level) in enumerate(zip(levels, coins, strict=True)):
            stop = first + level.shown
            for start in range(first, stop, step):
                rows = range(start, min(start + step, stop))
                yield Part(number, place, of_level[quantity], rows, slots, quantity)
                number += 1
            first = stop


def _rounded_up(value: Fraction) -> Fraction:
    """The value with three digits: what a ledger keeps should be short."""
    unit = Fraction(1)
    while value < 10 ** (_SHOWN_DIGITS - 1) * unit:
        unit /= 10
    return -(-value // unit) * unit
