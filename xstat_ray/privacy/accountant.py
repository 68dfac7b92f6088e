"""The accountant: how debits of one data set add up to epsilon, never rounded down.

A debit is (epsilon, delta) (discrete Laplace noise; its delta is 0 where the noise is drawn
exactly, and positive where two parties draw it together) or rho (discrete Gaussian noise). All are
summed as exact rationals. The deltas of the first kind come off the data set's delta. At what is
left of it the total is the smallest of bounds that all hold:

- by kind: the sum of the epsilons, plus the summed rho converted to epsilon (basic composition);
- all as zCDP: the summed rho plus half the sum of the squared epsilons, converted (a debit of
  epsilon and delta 0 is zCDP with rho = epsilon^2/2: Bun and Steinke 2016, Proposition 1.4; rho
  adds up: Lemma 2.3 there; with a delta all this holds but for an event of that probability, and
  these probabilities add up too: section 8 there);
- the privacy loss distribution of all of them together (`loss_distribution`).

A summed rho is mu^2/2 of Gaussian differential privacy, and converted exactly, where every debit
says so (`GAUSSIAN`). Those of earlier versions are known to be zCDP and no more: one of them, and
the data set is reckoned as it was then. Where no delta is left only debits without rho have a
finite total, which is their exact sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import Any

from xstat_ray.privacy import open_dp
from xstat_ray.privacy.gaussian_profile import gaussian_epsilon
from xstat_ray.privacy.loss_distribution import Laplace, composed_epsilon, worst_together
from xstat_ray.privacy.rounding import round_up

GAUSSIAN = "gaussian"
"""What is known of the noise of a debit: rho is mu^2/2 of Gaussian differential privacy."""
_LAPLACE = "laplace "


def laplace_noise(units: int) -> str:
    """Write what is known of the noise of a debit: Laplace, of a person who moves so many units."""
    return f"{_LAPLACE}{units}"


@dataclass(frozen=True)
class Spending:
    """What the debits of one data set sum to."""

    epsilons: Fraction = Fraction(0)
    """Sum of the epsilons of debits without rho."""
    squares: Fraction = Fraction(0)
    """Sum of the squares of these epsilons."""
    rho: Fraction = Fraction(0)
    """Sum of the rho of debits that have one."""
    delta: Fraction = Fraction(0)
    """Sum of the deltas of debits without rho."""
    only_zcdp: bool = False
    """Whether a debit with rho is known to be zCDP and no more."""
    kinds: Mapping[tuple[Fraction, int], int] = field(default_factory=dict)
    """Debits without rho: how many by epsilon and units."""

    def plus(
        self,
        epsilon: Fraction,
        rho: Fraction,
        times: int = 1,
        *,
        delta: Fraction = Fraction(0),
        noise: str = "",
    ) -> Spending:
        """Add `times` debits: of `epsilon` and `delta` where `rho` is 0, else of `rho` alone.

        Args:
            epsilon: of one debit.
            rho: of one debit.
            times: how many there are of it.
            delta: of one debit.
            noise: what is known of its noise (`GAUSSIAN`, `laplace_noise`); empty: nothing but
                these amounts.
        """
        if rho:
            return replace(
                self,
                rho=self.rho + times * rho,
                only_zcdp=self.only_zcdp or noise != GAUSSIAN,
            )
        units = int(noise.removeprefix(_LAPLACE)) if noise.startswith(_LAPLACE) else 1
        kind = (epsilon, units)
        return replace(
            self,
            epsilons=self.epsilons + times * epsilon,
            squares=self.squares + times * epsilon**2,
            delta=self.delta + times * delta,
            kinds={**self.kinds, kind: self.kinds.get(kind, 0) + times},
        )

    def epsilon(self, delta: Fraction, enough: Fraction | None = None) -> Fraction:
        """The total at `delta`, at least what is true.

        Args:
            delta: of the data set.
            enough: a total that need not be made smaller, where that would take time.

        Raises:
            ValueError: the debits' deltas exceed `delta`, or leave nothing of it for debits with
                rho, whose epsilon is then infinite.
        """
        left = delta - self.delta
        if left < 0:
            raise ValueError("the deltas that were spent exceed this one")
        least = self._bound(left)
        if (enough is not None and least <= enough) or self._is_exact(left):
            return least
        laplace = [Laplace(*kind, times) for kind, times in self.kinds.items() if kind[0]]
        composed = composed_epsilon(laplace, self.rho, left)
        return least if composed is None else min(least, composed)

    def _bound(self, left: Fraction) -> Fraction:
        """The smaller of the bounds that are sums."""
        convert = zcdp_epsilon if self.only_zcdp else gaussian_epsilon
        by_kind = self.epsilons + convert(self.rho, left)
        as_zcdp = self.rho + self.squares / 2
        # Epsilon is about rho or more, so a larger rho need not be converted: by_kind is the
        # smaller one, or a bound.
        if not left or not self.squares or as_zcdp >= by_kind:
            return by_kind
        return min(by_kind, zcdp_epsilon(as_zcdp, left))

    def _is_exact(self, left: Fraction) -> bool:
        """Whether a loss distribution would give no less, or cannot be had."""
        if not left or not self.epsilons or self.only_zcdp:
            return True
        laplace = [Laplace(*kind, times) for kind, times in self.kinds.items()]
        return not self.rho and worst_together(laplace, left)


def zcdp_epsilon(rho: Fraction, delta: Fraction) -> Fraction:
    """Epsilon of a rho-zCDP release at `delta`, rounded up.

    OpenDP's conversion, after Canonne, Kamath and Steinke 2020, Proposition 12.

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
    return open_dp.with_delta(open_dp.gaussian(1.0))
