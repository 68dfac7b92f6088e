"""The noise of one level of counts or sums, as data.

Privacy unit: one person over the whole release, add or remove. Each party bounds what a person
contributes; what follows for L1 and L2 is in `Study.sensitivity`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstat_ray.errors import PlanError
from xstat_ray.model.study import Insiders, Noise, Privacy, Study
from xstat_ray.privacy import joint_gaussian, open_dp
from xstat_ray.privacy.accountant import GAUSSIAN, laplace_noise
from xstat_ray.privacy.gaussian_profile import LEAST_VARIANCE, gaussian_epsilon, unit_rho
from xstat_ray.privacy.rounding import round_up

FAILURE_BITS = 64
"""The noise leaves its slot with probability below 2^-64 over the whole table."""
_DRAW_SLICE = 1 << 16
_FACED: Mapping[Insiders, int] = {"full": joint_gaussian.ROLES - 1, "shared": joint_gaussian.ROLES}
"""Gaussian shares that together give the declared guarantee."""
STDERRS95 = {"laplace": math.log(20) / math.sqrt(2), "gaussian": 1.959964, "off": 0.0}
"""Standard errors on either side of a 95 % interval."""


@dataclass(frozen=True)
class Mechanism:
    """Discrete Laplace or Gaussian noise of one scale on all coefficients."""

    noise: Noise
    l1: int
    """L1 sensitivity, in units."""
    l2_squared: int
    """Square of the L2 sensitivity."""
    epsilon: Fraction
    delta: Fraction
    """0 for Laplace noise, which is pure; what a joint draw of it adds is accounted beside it."""
    scale: float
    """lambda of the discrete Laplace, sigma of the discrete Gaussian (Canonne, Kamath and Steinke
    2020) that is in the published values; 0 is off."""
    insiders: Insiders | None = None
    """Of Gaussian noise that three roles draw together: which of the shares give epsilon and delta
    (`Privacy.insiders`). None where it is drawn as a whole."""

    @classmethod
    def of_study(cls, study: Study, noise: Noise | None = None) -> Mechanism:
        """The smallest noise that gives the declared epsilon and delta, drawn together.

        Args:
            study: what is counted.
            noise: its kind; None: the one that the study names.

        Raises:
            PlanError: no finite scale gives the declared budget.
            ValueError: the study names none, and asks for the better one.
        """
        return cls.calibrated(
            replace(study.privacy, noise=noise or study.privacy.noise),
            study.person_units,
            study.sensitivity.l2_squared,
            together=True,
        )

    @classmethod
    def calibrated(
        cls, privacy: Privacy, l1: int, l2_squared: int, *, together: bool = False
    ) -> Mechanism:
        """The smallest noise for counts that one person moves by `l1` and sqrt(`l2_squared`).

        Args:
            privacy: what is declared.
            l1: L1 sensitivity, in units.
            l2_squared: square of the L2 sensitivity.
            together: whether three roles draw Gaussian noise together; else one draws it whole.

        Raises:
            PlanError: no finite scale gives the declared budget.
            ValueError: the noise is `auto`.
        """
        if privacy.noise == "auto":
            raise ValueError("noise is chosen before it is calibrated")
        delta = Fraction(0) if privacy.noise == "laplace" else privacy.delta
        made = cls(privacy.noise, l1, l2_squared, privacy.epsilon, delta, 0.0)
        if privacy.noise == "laplace":
            return replace(made, scale=laplace_scale(l1, privacy.epsilon))
        if privacy.noise == "off":
            return made
        if together:
            made = replace(made, insiders=privacy.insiders)
        return replace(made, scale=_gaussian_scale(made))

    @property
    def rho(self) -> Fraction:
        """What Gaussian noise is debited with, mu^2 / 2 (`gaussian_profile`); 0 for other noise.

        Where it is drawn together, that of the shares that give epsilon and delta.
        """
        if self.noise != "gaussian":
            return Fraction(0)
        if self.insiders is None:
            return self.l2_squared * unit_rho(Fraction(self.scale) ** 2)
        return self.rho_of_shares(_FACED[self.insiders])

    @property
    def known(self) -> str:
        """What a debit tells of this noise, by which it is accounted; empty where it is off."""
        if self.noise == "off":
            return ""
        return GAUSSIAN if self.noise == "gaussian" else laplace_noise(self.l1)

    @property
    def share_scale(self) -> float:
        """Sigma of one role's share of Gaussian noise that is drawn together, rounded up."""
        share = self.scale / math.sqrt(joint_gaussian.ROLES)
        while Fraction(share) ** 2 * joint_gaussian.ROLES < Fraction(self.scale) ** 2:
            share = math.nextafter(share, math.inf)
        return share

    def rho_of_shares(self, count: int) -> Fraction:
        """What the sum of `count` Gaussian shares costs, mu^2 / 2."""
        variance = Fraction(self.scale) ** 2 / joint_gaussian.ROLES
        return joint_gaussian.sum_rho(self.l2_squared, variance, count)

    @cached_property
    def stderr(self) -> float:
        """Standard deviation of a coefficient's noise, exact for the discrete distribution."""
        if self.noise == "off":
            return 0.0
        if self.noise == "laplace":
            decay = math.exp(-1 / self.scale)
            return math.sqrt(2 * decay) / -math.expm1(-1 / self.scale)
        if self.scale > 10:
            # By Poisson summation the variance differs from scale^2 by a factor of 1 - O(scale^2
            # exp(-2 pi^2 scale^2)).
            return self.scale
        reach = math.ceil(12 * self.scale) + 1
        squares = np.arange(-reach, reach + 1, dtype=float) ** 2
        mass = np.exp(-squares / (2 * self.scale**2))
        return math.sqrt(float((squares * mass).sum() / mass.sum()))

    def tail(self, coefficients: int) -> int:
        """Smallest T known to satisfy P(any of `coefficients` draws exceeds T in size) < 2^-64.

        Union bound over P(|X| > T) = 2 exp(-(T+1)/lambda) / (1 + exp(-1/lambda)) for the discrete
        Laplace and P(|X| > T) <= 2 exp(-T^2 / (2 sigma^2)) for the discrete Gaussian, which is
        subgaussian (same source, Proposition 17 there is tighter than needed here), as are sums of
        its shares.
        """
        if self.noise == "off":
            return 0
        nats = (FAILURE_BITS + 1) * math.log(2) + math.log(coefficients)
        if self.noise == "laplace":
            return math.ceil(self.scale * nats)
        return math.ceil(self.scale * math.sqrt(2 * nats))

    def draw(self, count: int) -> NDArray[np.int64]:
        """(count,) fresh independent noise, by OpenDP's exact sampler."""
        if self.noise == "off":
            return np.zeros(count, np.int64)
        return _draw(self.noise, self.scale, count)


def draw_laplace(scale: float, count: int) -> NDArray[np.int64]:
    """(count,) fresh independent discrete Laplace noise."""
    return _draw("laplace", scale, count)


def draw_gaussian(scale: float, count: int) -> NDArray[np.int64]:
    """(count,) fresh independent discrete Gaussian noise."""
    return _draw("gaussian", scale, count)


def _draw(noise: Noise, scale: float, count: int) -> NDArray[np.int64]:
    sampler = _sampler(noise, scale)
    slices = [min(_DRAW_SLICE, count - done) for done in range(0, count, _DRAW_SLICE)]
    return np.concatenate(
        [np.zeros(0, np.int64), *(np.asarray(sampler([0] * n), np.int64) for n in slices)]
    )


@lru_cache(maxsize=16)
def _sampler(noise: Noise, scale: float) -> Any:
    return open_dp.laplace(scale) if noise == "laplace" else open_dp.gaussian(scale)


def half_width95(noise: Noise, stderr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half width of 95 % intervals around values that have noise, or a weighted sum of it, in them.

    For Gaussian noise 1.96 standard errors, for Laplace noise ln(20)/sqrt(2) = 2.12: its tails are
    heavier, and 1.96 would cover 93.8 %. That is the quantile of a single Laplace noise; what
    several add up to is nearer to a normal distribution, and is covered by 95.0 to 96.6 %. Rounded
    up, as counts are whole numbers and so is their noise: the interval never covers less than 95 %,
    and more where a standard error of a few units makes those steps coarse.

    Args:
        noise: the distribution of all of them.
        stderr: standard errors of the values, of any shape.
    """
    half: NDArray[np.float64] = np.ceil(STDERRS95[noise] * stderr)
    return half


def laplace_scale(l1: int, epsilon: Fraction) -> float:
    """The least scale that OpenDP's privacy map certifies for `epsilon` at L1 sensitivity `l1`."""
    scale = round_up(Fraction(l1) / epsilon)
    while _sampler("laplace", scale).map(l1) > epsilon:
        scale = math.nextafter(scale, math.inf)
    return scale


def _gaussian_scale(made: Mechanism) -> float:
    """Bisect for the least sigma whose rho, converted as by the ledger, stays within epsilon.

    There is a least sigma, at which less may be spent: `LEAST_VARIANCE`, and that of a share.
    """

    def is_too_small(scale: float) -> bool:
        return gaussian_epsilon(replace(made, scale=scale).rho, made.delta) > made.epsilon

    least = math.sqrt(LEAST_VARIANCE) * (1 + 1e-12)
    if made.insiders is not None:
        least = joint_gaussian.LEAST_SIGMA * math.sqrt(joint_gaussian.ROLES) * (1 + 1e-12)
    low = least
    high = max(least, math.sqrt(made.l2_squared))
    while is_too_small(high):
        low = high
        high = 2 * high
        if high > 1e15:
            raise PlanError(
                "no noise scale gives this epsilon and delta",
                key="privacy.epsilon",
                remedy="Raise it",
            )
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_small(middle) else (low, middle)
    return high
