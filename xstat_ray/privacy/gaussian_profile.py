"""The exact privacy of Gaussian noise, and why discrete Gaussian noise has nearly the same.

What one person changes is told apart at most as well as N(0, 1) from N(mu, 1): mu-Gaussian
differential privacy (Dong, Roth and Su, "Gaussian differential privacy", JRSS B 84, 2022). The
squares of mu add up over coefficients, levels and releases, also where a release depends on earlier
ones (Corollary 3.3 there), so that ledgers sum rho = mu^2 / 2. At a given epsilon (Balle and Wang,
"Improving the Gaussian mechanism for differential privacy", ICML 2018, Theorem 8)

    delta = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu).

Discrete noise. Let p be a distribution on the integers whose logarithm has second differences of
-1/s or more, as a discrete Gaussian of sigma^2 = s has. Moved by c it is c / sqrt(a)-Gaussian
differentially private, a = s - 1/11, for a >= 1:

1. Cut N(0, a) into cells of length 1, anywhere. The logarithm of the mass of a cell has, as a
   function of the place of the cell, the second derivative -1/a + V/a^2, V being the variance of
   what lies in the cell. That density is log-concave, so that V is at most that of the exponential
   density in the cell with the same mean, and this at most 1/12. Second differences are weighted
   means of second derivatives: at most -1/a + 1/(12 a^2), which is at most -1/s for this a.
2. Lay the cells so that one begins at t with as much mass of N(0, a) to its left as p has below t.
   By 1 the ratio r of p to the cells' masses is log-convex. If r > 1 at t, then r < 1 at places on
   one side of t only, and on the other side p would have more mass than the cells. So p(t) is at
   most the mass of one cell: with u(t) = Phi^-1(P(X < t)), u(t + 1) - u(t) <= 1 / sqrt(a).
3. Whoever tells X from X + c best cuts at some t, and is right and wrong as often as somebody who
   tells N(0, 1) from N(u(t) - u(t - c), 1); and u(t) - u(t - c) <= c / sqrt(a).
"""

from __future__ import annotations

import math
from fractions import Fraction

from xstat_ray.privacy.rounding import round_up

LEAST_VARIANCE = Fraction(12, 11)
"""Least sigma^2 of discrete Gaussian noise of which the above is proven."""
_LOST = Fraction(1, 11)
_ERROR = 1e-12
"""More than the relative error of any function that is computed here."""
_FAR = 25.0
"""From here on e^(x^2/2) and the normal tail are close to what a double can hold."""


def unit_rho(variance: Fraction) -> Fraction:
    """Work out mu^2 / 2 of a change by one under discrete noise.

    A change by L2 in all costs L2^2 times that.

    Args:
        variance: sigma^2 of a discrete Gaussian; else s, where second differences of the logarithm
            of the noise's distribution are at least -1/s.

    Raises:
        ValueError: it is below `LEAST_VARIANCE`.
    """
    if variance < LEAST_VARIANCE:
        raise ValueError("discrete Gaussian noise of so small a sigma is not proven")
    return 1 / (2 * (variance - _LOST))


def gaussian_epsilon(rho: Fraction, delta: Fraction) -> Fraction:
    """Work out epsilon of sqrt(2 rho)-Gaussian differential privacy at `delta`, rounded up.

    Raises:
        ValueError: `delta` is 0 and `rho` is not.
    """
    if not rho:
        return Fraction(0)
    if not delta:
        raise ValueError("Gaussian noise has no finite epsilon at delta 0")
    mu = root_above(2 * rho)
    wanted = -round_up(-delta)
    if _delta_above(mu, 0.0) <= wanted:
        return Fraction(0)
    low = 0.0
    high = mu * mu / 2 + mu * (1 + math.sqrt(2 * math.log(1 / wanted)))
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _delta_above(mu, middle) <= wanted else (middle, high)
    return Fraction(high)


def root_above(value: Fraction) -> float:
    """Give a float that is not below the square root, and hardly above it."""
    scale = 4**64
    return round_up(Fraction(math.isqrt(math.ceil(value * scale**2)) + 1, scale))


def _delta_above(mu: float, epsilon: float) -> float:
    """Bound delta at `epsilon` from above: the tail at z less a multiple of the tail at z + mu."""
    z = epsilon / mu - mu / 2
    tail = math.erfc(z / math.sqrt(2)) / 2
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return tail * (1 + _ERROR) - density * _mills_below(z + mu) * (1 - _ERROR)


def _mills_below(x: float) -> float:
    """Bound Mills' ratio (1 - Phi(x)) / phi(x) of a positive x from below (Gordon 1941)."""
    if x > _FAR:
        return x / (x * x + 1)
    return math.sqrt(math.pi / 2) * math.exp(x * x / 2) * math.erfc(x / math.sqrt(2))
