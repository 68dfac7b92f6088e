"""The accountant: how debits of one data set add up to epsilon, never rounded down.

A debit is (epsilon, delta) (discrete Laplace noise; its delta is 0 where the noise is drawn
exactly, and positive where two parties draw it together) or zCDP (rho, discrete Gaussian noise).
All are summed as exact rationals. The deltas of the first kind come off the data set's delta. At
what is left of it the total is the smaller of two bounds that both hold:

- by kind: the sum of the epsilons, plus the summed rho converted to epsilon (basic composition);
- all as zCDP: the summed rho plus half the sum of the squared epsilons, converted (a debit of
  epsilon and delta 0 is zCDP with rho = epsilon^2/2: Bun and Steinke 2016, Proposition 1.4; rho
  adds up: Lemma 2.3 there; with a delta all this holds but for an event of that probability, and
  these probabilities add up too: section 8 there).

The conversion is OpenDP's, after Canonne, Kamath and Steinke 2020, Proposition 12. Where no delta
is left only debits without rho have a finite total, which is their exact sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import opendp.prelude as dp

dp.enable_features("contrib")


@dataclass(frozen=True)
class Spending:
    """What the debits of one data set sum to."""

    epsilons: Fraction = Fraction(0)
    """Sum of the epsilons of debits without rho."""
    squares: Fraction = Fraction(0)
    """Sum of the squares of these epsilons."""
    rho: Fraction = Fraction(0)
    """Sum of the rho of zCDP debits."""
    delta: Fraction = Fraction(0)
    """Sum of the deltas of debits without rho."""

    def plus(
        self,
        epsilon: Fraction,
        rho: Fraction,
        times: int = 1,
        *,
        delta: Fraction = Fraction(0),
    ) -> Spending:
        """Add `times` debits: of `epsilon` and `delta` where `rho` is 0, else of `rho` alone."""
        if rho:
            return replace(self, rho=self.rho + times * rho)
        return Spending(
            self.epsilons + times * epsilon,
            self.squares + times * epsilon**2,
            self.rho,
            self.delta + times * delta,
        )

    def epsilon(self, delta: Fraction) -> Fraction:
        """The total at `delta`, at least what is true.

        Raises:
            ValueError: the debits' deltas exceed `delta`, or leave nothing of it for zCDP debits,
                whose epsilon is then infinite.
        """
        left = delta - self.delta
        if left < 0:
            raise ValueError("the deltas that were spent exceed this one")
        by_kind = self.epsilons + zcdp_epsilon(self.rho, left)
        as_zcdp = self.rho + self.squares / 2
        # Epsilon is about rho or more, so a larger rho need not be converted: by_kind is the
        # smaller one, or a bound.
        if not left or as_zcdp >= by_kind:
            return by_kind
        return min(by_kind, zcdp_epsilon(as_zcdp, left))


def zcdp_epsilon(rho: Fraction, delta: Fraction) -> Fraction:
    """Epsilon of a rho-zCDP release at `delta`, rounded up.

    Raises:
        ValueError: `delta` is 0 and `rho` is not.
    """
    if not rho:
        return Fraction(0)
    if not delta:
        raise ValueError("zCDP has no finite epsilon at delta 0")
    # Gaussian noise of scale 1 on a sensitivity of sqrt(2 rho) is rho-zCDP.
    sensitivity = round_up(Fraction(math.isqrt(math.ceil(2 * rho * 4**64)) + 1, 2**64))
    return Fraction(float(_unit_gaussian().map(sensitivity).epsilon(-round_up(-delta))))


@cache
def _unit_gaussian() -> Any:
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    return dp.c.make_zCDP_to_approxDP(
        dp.m.make_gaussian(domain, dp.l2_distance(T=float), scale=1.0)
    )


def round_up(value: Fraction) -> float:
    """The least float that is not below `value`."""
    rounded = float(value)
    return rounded if Fraction(rounded) >= value else math.nextafter(rounded, math.inf)


def readable(epsilon: Fraction) -> str:
    """Write it as a fraction if that is short, such as 1/3; else rounded up to six decimals."""
    if epsilon.denominator <= 10**6:
        return str(epsilon)
    return f"{math.ceil(epsilon * 10**6) / 10**6:.6f}"
