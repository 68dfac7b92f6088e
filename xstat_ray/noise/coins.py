"""The coins of the discrete Laplace distribution, and how far they are from it.

A geometric variable G, P(G = g) = (1 - q) q^g, has independent binary digits (Dwork, Kenthapadi,
McSherry, Mironov and Naor, "Our data, ourselves", EUROCRYPT 2006): digit i is 1 with
probability p_i = q^(2^i) / (1 + q^(2^i)). The difference of two such variables has the discrete
Laplace distribution of scale lambda where q = exp(-1 / lambda). Champion, shelat and Ullman
("Securely sampling biased coins with applications to differential privacy", CCS 2019) draw such
coins in a joint computation and bound what their rounding costs.

A coin is [r < c], where r has `bits` uniform bits and c = round(2^bits p_i). What is drawn is
therefore the difference of two sums of L coins, times 2^i each: a finite distribution of
probabilities that are exact fractions. The lowest L digits of G are independent coins of exactly
p_i, and differ from G with probability q^(2^L); the coins differ from these by |c / 2^bits - p_i|.
The total variation distance of both differences is at most

    distance = 2 (sum_i |c_i / 2^bits - p_i| + q^(2^L)).

Where the discrete Laplace D on all coefficients is epsilon-differentially private, what is drawn,
P, is (epsilon, m (1 + e^epsilon) distance)-differentially private, m being the coefficients that
one person touches: with t = m distance, and D' and P' without the person,

    P(S) <= D(S) + t <= e^epsilon D'(S) + t <= e^epsilon (P'(S) + t) + t.

The other coefficients are independent of these and have the same noise with and without the person,
so that it does not matter which of both distributions that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Self

from gmpy2 import mpz, pack, unpack

from xstat_ray.errors import PlanError

MOST_DIGITS = 28
"""With more, limbs of shares (`noise.sampler`) would not fit 64 bits."""
_TRUNCATION_BITS = 5
"""What the digits leave out has a probability of 2^-(bits + 5) at most."""
_PRECISION = 110
"""Decimal digits."""
_PLACES = Decimal(10) ** -105
"""To which probabilities are rounded, so that fractions of tiny ones stay short."""
_SLACK = Fraction(1, 10**100)
"""More than any error of a probability that is computed with this precision."""
_MOST_LISTED = 14
"""Digits of a distribution that is listed outcome by outcome."""


@dataclass(frozen=True)
class Coins:
    """The coins of one coefficient: twice these, for a difference of two geometric variables."""

    scale: float
    """lambda of the discrete Laplace."""
    bits: int
    """Uniform bits of a coin."""
    thresholds: tuple[int, ...]
    """c_i of digit i, the lowest first: the digit is 1 where the bits are a number below it."""

    @classmethod
    def of_scale(cls, scale: float, bits: int = 48) -> Self:
        """The coins for a scale.

        Args:
            scale: lambda, above 0.
            bits: uniform bits of a coin.

        Raises:
            PlanError: the scale is so large that shares would not fit.
        """
        digits = _digits(scale, bits)
        if digits > MOST_DIGITS:
            raise PlanError(
                f"the joint noise would need {digits} binary digits, more than {MOST_DIGITS}",
                key="privacy.epsilon",
                remedy="Raise it, or lower study.bounds (rows, boardings)",
            )
        thresholds = (round(2**bits * probability(scale, digit)) for digit in range(digits))
        return cls(scale, bits, tuple(thresholds))

    @property
    def digits(self) -> int:
        """L: binary digits of a geometric variable."""
        return len(self.thresholds)

    @cached_property
    def distance(self) -> Fraction:
        """Bound on the total variation distance from the discrete Laplace of the scale."""
        wrong = sum(
            abs(Fraction(threshold, 2**self.bits) - probability(self.scale, digit)) + _SLACK
            for digit, threshold in enumerate(self.thresholds)
        )
        with localcontext(prec=_PRECISION):
            left_out = Fraction(_decay(self.scale, self.digits).quantize(_PLACES))
        return 2 * (wrong + left_out + _SLACK)

    def geometric(self) -> list[mpz]:
        """Numerators over 2^(bits L) of the probabilities of 0 to 2^L - 1.

        Raises:
            ValueError: more than 14 digits.
        """
        if self.digits > _MOST_LISTED:
            raise ValueError(f"distributions of more than {_MOST_LISTED} digits are not listed")
        masses = [mpz(1)]
        for threshold in self.thresholds:
            zero = 2**self.bits - threshold
            masses = [mass * zero for mass in masses] + [mass * threshold for mass in masses]
        return masses

    def distribution(self) -> list[Fraction]:
        """Exact probabilities of the noise, from -(2^L - 1) to 2^L - 1.

        Raises:
            ValueError: more than 14 digits.
        """
        masses = self.geometric()
        # One product of big numbers is the convolution: no sum of products overflows its place.
        place = 2 * self.bits * self.digits + self.digits + 1
        product = pack(masses, place) * pack(masses[::-1], place)
        sums = unpack(product, place)
        sums += [mpz(0)] * (2 * len(masses) - 1 - len(sums))
        whole = mpz(1) << (2 * self.bits * self.digits)
        # One factor is reversed, so that the product runs from the lowest outcome upwards.
        return [Fraction(int(mass), int(whole)) for mass in sums]

    def delta(self, shift: int, growth: Fraction) -> Fraction:
        """The least delta at which this noise hides a change of one coefficient.

        Args:
            shift: by how much the coefficient changes.
            growth: a lower bound of e^epsilon.

        Returns:
            The exact hockey-stick divergence, sum of max(0, P(k) - growth P(k - shift)).

        Raises:
            ValueError: more than 14 digits.
        """
        masses = self.distribution()
        moved = [Fraction(0)] * abs(shift) + masses
        masses = masses + [Fraction(0)] * abs(shift)
        excess = (mass - growth * other for mass, other in zip(masses, moved, strict=True))
        return sum((max(e, Fraction(0)) for e in excess), Fraction(0))


@lru_cache(maxsize=1024)
def probability(scale: float, digit: int) -> Fraction:
    """p_i of a digit of the geometric variable, with an error below 10^-100."""
    with localcontext(prec=_PRECISION):
        decay = _decay(scale, digit)
        return Fraction((decay / (1 + decay)).quantize(_PLACES))


def growth_above(epsilon: Fraction) -> Fraction:
    """An upper bound of e^epsilon, nearer than one part in 10^50."""
    with localcontext(prec=_PRECISION):
        power = (Decimal(epsilon.numerator) / Decimal(epsilon.denominator)).exp()
    return Fraction(power) * (1 + Fraction(1, 10**60))


def _decay(scale: float, digit: int) -> Decimal:
    """q^(2^digit), the probability that a geometric variable is not below 2^digit."""
    with localcontext(prec=_PRECISION):
        return (-Decimal(2**digit) / Decimal(scale)).exp()


def _digits(scale: float, bits: int) -> int:
    with localcontext(prec=_PRECISION):
        least = Decimal(scale) * (bits + _TRUNCATION_BITS) * Decimal(2).ln()
    return max(1, (int(least.to_integral_value("ROUND_CEILING")) - 1).bit_length())
