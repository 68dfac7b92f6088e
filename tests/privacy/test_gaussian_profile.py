"""The exact profile of Gaussian noise, and what discrete Gaussian noise has beside it."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest

from tests.privacy import exact
from xstat_ray.privacy.accountant import zcdp_epsilon
from xstat_ray.privacy.gaussian_profile import (
    LEAST_VARIANCE,
    gaussian_epsilon,
    root_above,
    unit_rho,
)


@pytest.mark.parametrize("delta", ["1e-6", "1e-9", "1/2", "1e-100"])
@pytest.mark.parametrize("mu", ["0.0001", "0.03", "0.2207", "1", "7.5", "60"])
def test_epsilon_is_the_exact_one_and_never_below_it(mu, delta):
    found = gaussian_epsilon(Fraction(mu) ** 2 / 2, Fraction(delta))
    with mpmath.workdps(400):
        exactly = exact.gaussian_delta(float(mu))
        if not found:
            assert exactly(0.0) <= float(Fraction(delta))
            return
        wanted = mpmath.mpf(Fraction(delta).numerator) / Fraction(delta).denominator
        m = mpmath.mpf(mu)

        def at(epsilon):
            return mpmath.ncdf(m / 2 - epsilon / m) - mpmath.exp(epsilon) * mpmath.ncdf(
                -m / 2 - epsilon / m
            )

        epsilon = mpmath.mpf(found.numerator) / found.denominator
        assert at(epsilon) <= wanted
        assert at(epsilon * (1 - mpmath.mpf("1e-4"))) > wanted


def test_it_is_never_above_what_zcdp_gives():
    for rho in ("1/1000", "1/40", "1", "20"):
        for delta in ("1e-6", "1e-9"):
            exactly = gaussian_epsilon(Fraction(rho), Fraction(delta))
            assert exactly < zcdp_epsilon(Fraction(rho), Fraction(delta))


def test_noise_that_hides_enough_without_epsilon_costs_none():
    assert gaussian_epsilon(Fraction(1, 10**9), Fraction(1, 2)) == 0
    assert gaussian_epsilon(Fraction(0), Fraction(0)) == 0


@pytest.mark.parametrize("variance", ["12/11", "1.5", "4", "20", "100"])
def test_a_unit_moves_discrete_noise_by_less_than_stated_and_hardly_less(variance):
    """Where noise is cut at t, and in normal quantiles: the proof's u(t + 1) - u(t), one by one."""
    variance = Fraction(variance)
    with mpmath.workdps(120):
        sigma2 = mpmath.mpf(variance.numerator) / variance.denominator
        reach = 60 * math.ceil(math.sqrt(variance))
        masses = [mpmath.exp(-mpmath.mpf(z * z) / (2 * sigma2)) for z in range(-reach, reach + 1)]
        total = mpmath.fsum(masses)
        upper = mpmath.mpf(0)
        quantiles = []
        # From above, so that tails are exact; one half of it is the other's mirror image.
        for mass in masses[: reach // 4 : -1]:
            upper += mass / total
            if upper > mpmath.mpf("1e-60") and upper < mpmath.mpf("0.5"):
                quantiles.append(mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * upper))
        steps = [a - b for a, b in pairwise(quantiles)]
        steps.append(2 * quantiles[-1])
        rho = unit_rho(variance)
        stated = mpmath.sqrt(2 * mpmath.mpf(rho.numerator) / rho.denominator)
        assert max(steps) <= stated
        assert max(steps) > stated * (1 - mpmath.mpf("0.03") / sigma2)


def test_noise_too_narrow_for_the_proof_is_refused():
    with pytest.raises(ValueError, match="small a sigma"):
        unit_rho(LEAST_VARIANCE - Fraction(1, 10**6))


def test_roots_are_rounded_up_by_very_little():
    for value in (Fraction(2), Fraction(1, 3), Fraction(1, 10**12), Fraction(10**12 + 1)):
        root = Fraction(root_above(value))
        assert value <= root**2 <= value * (1 + Fraction(1, 10**14))
