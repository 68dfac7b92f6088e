"""Gaussian noise that three roles draw together: what the sum of their shares protects.

Row party, column party and aggregator each add a discrete Gaussian share of the same sigma. A role
knows its own share, so it faces the sum of the other two; the public faces the sum of all three.
Such a sum is not exactly a discrete Gaussian, but close to one: the logarithms of both
distributions differ by at most tau everywhere (Kairouz, Liu and Steinke, "The distributed discrete
Gaussian mechanism for federated learning with secure aggregation", ICML 2021, Theorem 5),

    tau = 10 * sum over k = 1 ... n-1 of exp(-2 pi^2 sigma^2 k / (k+1)).

Second differences of the sum's logarithm are therefore at least -(1 / (n sigma^2) + 4 tau), which
is what `gaussian_profile` asks for. Levels with a smaller share of the budget have a larger sigma
and far smaller tau, which are covered by that of all of it.
"""

from __future__ import annotations

import math
from fractions import Fraction

from xstat_ray.privacy.gaussian_profile import unit_rho

ROLES = 3
"""Roles that add a share: row party, column party, aggregator."""
LEAST_SIGMA = 3.0
"""Least sigma of a share: tau is then below 10^-36."""
_STEPS = 2**64
"""rho is rounded up to a multiple of 1/2^64, so that ledgers keep short fractions."""


def sum_rho(l2_squared: int, variance: Fraction, count: int) -> Fraction:
    """Work out the rho of the sum of shares, mu^2 / 2, rounded up.

    Args:
        l2_squared: square of the L2 sensitivity.
        variance: sigma^2 of one share, at most what is drawn.
        count: shares of the sum.
    """
    curvature = 1 / (count * variance) + 4 * distance(variance, count)
    rho = l2_squared * unit_rho(1 / curvature)
    return Fraction(math.ceil(rho * _STEPS), _STEPS)


def distance(variance: Fraction, count: int) -> Fraction:
    """Work out tau, how far the sum of `count` shares is from a discrete Gaussian, rounded up."""
    decay = -2 * math.pi**2 * float(variance)
    total = math.fsum(math.exp(decay * k / (k + 1)) for k in range(1, count))
    # A part in a thousand is more than any rounding of exponents of this size.
    return Fraction(10.01 * total)
