"""Exact privacy of composed releases, by convolution of integers: the accountant's counterpart."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import mpmath
from gmpy2 import mpz, pack, unpack

BITS = 256
"""Probabilities are multiples of 2^-256, rounded down."""
_PLACE = 2 * BITS + 24


@dataclass(frozen=True)
class Losses:
    """A distribution of privacy losses on a lattice."""

    lowest: float
    step: float
    masses: tuple[mpz, ...]
    """Probabilities of lowest, lowest + step, ..., times 2^BITS."""

    def times(self, count: int) -> Losses:
        """The loss of so many independent releases of this kind."""
        total = None
        power = self
        while count:
            if count % 2:
                total = power if total is None else total.plus(power)
            count //= 2
            if count:
                power = power.plus(power)
        assert total is not None
        return total

    def plus(self, other: Losses) -> Losses:
        """The loss of both, on the same lattice."""
        product = pack(list(self.masses), _PLACE) * pack(list(other.masses), _PLACE)
        sums = [mass >> BITS for mass in unpack(product, _PLACE)]
        sums += [mpz(0)] * (len(self.masses) + len(other.masses) - 1 - len(sums))
        first = next(i for i, mass in enumerate(sums) if mass)
        last = next(i for i, mass in enumerate(reversed(sums)) if mass)
        kept = sums[first : len(sums) - last]
        return Losses(self.lowest + other.lowest + first * self.step, self.step, tuple(kept))

    def delta(self, epsilon: float, rest: Callable[[float], float] | None = None) -> float:
        """The exact delta at `epsilon`; of this beside another loss, whose delta `rest` tells."""
        one = rest or (lambda left: -math.expm1(left) if left < 0 else 0.0)
        terms = (
            float(mpmath.mpf(int(mass)) / 2**BITS) * one(epsilon - self.lowest - i * self.step)
            for i, mass in enumerate(self.masses)
        )
        return math.fsum(terms)


def fixed(value: mpmath.mpf) -> mpz:
    """A probability as a multiple of 2^-BITS."""
    return mpz(int(mpmath.floor(value * 2**BITS)))


def laplace(epsilon: float, units: int) -> Losses:
    """One discrete Laplace noise of scale units / epsilon, against the same moved by all units."""
    with mpmath.workdps(100):
        q = mpmath.exp(-mpmath.mpf(epsilon) / units)
        inner = [(1 - q) / (1 + q) * q ** (units - x) for x in range(1, units)]
        masses = [q**units / (1 + q), *inner, 1 / (1 + q)]
        return Losses(-epsilon, 2 * epsilon / units, tuple(map(fixed, masses)))


def gaussian(sigma: float, shift: int) -> Losses:
    """One discrete Gaussian noise, against the same moved."""
    reach = math.ceil(20 * sigma)
    with mpmath.workdps(100):
        weights = [
            mpmath.exp(-(mpmath.mpf(z) ** 2) / (2 * sigma**2)) for z in range(-reach, reach + 1)
        ]
        total = mpmath.fsum(weights)
        step = shift / sigma**2
        masses = tuple(fixed(weight / total) for weight in weights)
    return Losses(shift * step / 2 - reach * step, step, masses)


def gaussian_delta(mu: float) -> Callable[[float], float]:
    """The exact delta of mu-Gaussian differential privacy, as a function of epsilon."""

    def delta(epsilon: float) -> float:
        with mpmath.workdps(40):
            upper = mpmath.ncdf(mpmath.mpf(mu) / 2 - epsilon / mpmath.mpf(mu))
            lower = mpmath.ncdf(-mpmath.mpf(mu) / 2 - epsilon / mpmath.mpf(mu))
            return float(upper - mpmath.exp(epsilon) * lower)

    return delta
