"""Gaussian noise that three roles draw together: what the sum of their shares protects.

Row party, column party and aggregator each add a discrete Gaussian share of the same sigma. A role
knows its own share, so it faces the sum of the other two; the public faces the sum of all three.
Such a sum is not exactly a discrete Gaussian, but close to one (Kairouz, Liu and Steinke, "The
distributed discrete Gaussian mechanism for federated learning with secure aggregation", ICML 2021,
Proposition 14): where one person moves d coefficients by L2 in all, the sum of n shares is rho-zCDP
with

    rho = (L2 / (sqrt(n) sigma) + tau sqrt(d))^2 / 2,
    tau = 10 * sum over k = 1 ... n-1 of exp(-2 pi^2 sigma^2 k / (k+1)).

Their bound is the sum over coefficients of what each costs, so that it also holds where sigma
differs from coefficient to coefficient: the least one then gives tau.
"""

from __future__ import annotations

import math
from fractions import Fraction

ROLES = 3
"""Roles that add a share: row party, column party, aggregator."""
LEAST_SIGMA = 3.0
"""Least sigma of a share: tau is then below 10^-36."""
_STEPS = 2**64
"""rho is rounded up to a multiple of 1/2^64, so that ledgers keep short fractions."""


def sum_rho(l2_squared: int, variance: Fraction, count: int, touched: int) -> Fraction:
    """Work out the rho at which the sum of shares is zCDP, rounded up.

    Args:
        l2_squared: square of the L2 sensitivity.
        variance: sigma^2 of one share, at most what is drawn.
        count: shares of the sum.
        touched: most coefficients that one person moves.
    """
    exact = l2_squared / (count * variance)
    apart = distance(variance, count)
    length = _root_above(exact)
    drift = apart * _root_above(Fraction(touched))
    rho = (exact + 2 * length * drift + drift**2) / 2
    return Fraction(math.ceil(rho * _STEPS), _STEPS)


def distance(variance: Fraction, count: int) -> Fraction:
    """Work out tau, how far the sum of `count` shares is from a discrete Gaussian, rounded up."""
    decay = -2 * math.pi**2 * float(variance)
    total = math.fsum(math.exp(decay * k / (k + 1)) for k in range(1, count))
    # A part in a thousand is more than any rounding of exponents of this size.
    return Fraction(10.01 * total)


def _root_above(value: Fraction) -> Fraction:
    """An upper bound of the square root, at most 2^-64 too large."""
    return Fraction(math.isqrt(math.ceil(value * _STEPS**2)) + 1, _STEPS)
