"""Sums of Gaussian shares protect what is stated, by numbers that are computed another way."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from tests.privacy.shares import excess, mass
from tests.sizes import first, thorough
from tests.synthetic import make_study
from xstat_ray.model.study import Bounds, Privacy
from xstat_ray.privacy.gaussian_profile import gaussian_epsilon, unit_rho
from xstat_ray.privacy.joint_gaussian import LEAST_SIGMA, distance, sum_rho
from xstat_ray.privacy.mechanism import Mechanism, draw_gaussian

DELTA = Fraction(1, 10**6)


def mechanism(insiders="full", epsilon="1", delta=DELTA, **bounds):
    privacy = Privacy("gaussian", epsilon=Fraction(epsilon), delta=delta, cap=Fraction(1000))
    study = replace(
        make_study(), bounds=Bounds(**bounds), privacy=replace(privacy, insiders=insiders)
    )
    return Mechanism.of_study(study)


@pytest.mark.parametrize(("insiders", "faced"), [("full", 2), ("shared", 3)])
@pytest.mark.parametrize("epsilon", ["1/4", "1"])
def test_as_many_shares_as_stated_give_the_declared_guarantee(insiders, faced, epsilon):
    made = mechanism(insiders, epsilon, rows=3)
    shift = round(made.l2_squared**0.5)
    assert shift**2 == made.l2_squared
    epsilon = float(Fraction(epsilon))
    enough = mass(made.share_scale, faced)
    assert excess(enough, shift, epsilon) <= float(DELTA)
    # Not much more noise than needed, and one share less does not do.
    assert excess(enough, shift, 0.995 * epsilon) > float(DELTA)
    assert excess(mass(made.share_scale, faced - 1), shift, epsilon) > 3 * float(DELTA)


def test_an_insider_of_shared_noise_learns_about_a_quarter_more():
    made = mechanism("shared", delta=Fraction(1, 10**9), rows=8)
    towards = [
        float(gaussian_epsilon(made.rho_of_shares(count), made.delta)) for count in (3, 2, 1)
    ]
    assert towards == pytest.approx([1, 1.24, 1.78], abs=0.02)
    # By the distributions themselves: what two shares leave at delta is that, or hardly less.
    shift = round(made.l2_squared**0.5)
    two = mass(made.share_scale, 2)
    assert excess(two, shift, towards[1]) <= 1e-9 < excess(two, shift, 0.995 * towards[1])


def success(noise, shift):
    """How much better than a coin a reader tells counts apart that differ by `shift`, at most 1."""
    here, there = np.split(noise, 2)
    there = there + shift
    return ((here < shift / 2).mean() + (there >= shift / 2).mean()) - 1


@thorough
@pytest.mark.parametrize("insiders", ["full", "shared"])
def test_a_role_that_takes_its_share_off_the_table_gains_as_much_as_stated(insiders):
    """The attack itself: one role subtracts its share and guesses whether a person is counted."""
    made = mechanism(insiders, epsilon="10", rows=8)
    shift = 8
    shares = [draw_gaussian(made.share_scale, 60_000) for _ in range(3)]
    public = success(sum(shares), shift)
    insider = success(sum(shares) - shares[0], shift)
    for found, known in ((public, 3), (insider, 2)):
        left = mass(made.share_scale, known)
        moved = np.concatenate([np.zeros(shift), left])
        stays = np.concatenate([left, np.zeros(shift)])
        expected = np.abs(stays - moved).sum() / 2
        # Both halves of 30,000 guesses are right within 0.3 %, five times that in all but one of a
        # million runs.
        assert found == pytest.approx(expected, abs=0.02)
    assert insider > public + 0.02


def test_full_noise_has_one_and_a_half_times_the_variance():
    full = mechanism("full", rows=8)
    shared = mechanism("shared", rows=8)
    assert full.stderr**2 / shared.stderr**2 == pytest.approx(1.5, rel=1e-5)
    assert full.rho == pytest.approx(shared.rho, rel=1e-5)
    assert full.rho_of_shares(2) == full.rho and shared.rho_of_shares(3) == shared.rho


@pytest.mark.parametrize("insiders", first(1, ["full", "shared"]))
def test_the_sum_of_three_shares_has_the_published_variance(insiders):
    made = mechanism(insiders, rows=8)
    drawn = sum(draw_gaussian(made.share_scale, 30_000) for _ in range(3))
    # A sample's spread is off by 0.4 % as a rule; five times that is less often than one in a
    # million runs.
    assert drawn.std() == pytest.approx(made.stderr, rel=0.021)
    assert 3 * made.share_scale**2 == pytest.approx(made.scale**2, rel=1e-12)


@pytest.mark.parametrize("insiders", ["full", "shared"])
def test_no_share_is_so_small_that_sums_are_no_discrete_gaussians(insiders):
    made = mechanism(insiders, epsilon="50")
    assert LEAST_SIGMA <= made.share_scale < LEAST_SIGMA * 1.0001
    assert gaussian_epsilon(made.rho, DELTA) < 10, "what is not needed is not debited"


@pytest.mark.parametrize("shares", [2, 3])
@pytest.mark.parametrize("sigma", ["0.7", "1", "3"])
def test_sums_are_no_further_from_a_discrete_gaussian_than_stated(sigma, shares):
    with mpmath.workdps(80):
        variance = mpmath.mpf(sigma) ** 2
        reach = 40
        one = [mpmath.exp(-(x**2) / (2 * variance)) for x in range(-reach, reach + 1)]
        norm = mpmath.nsum(
            lambda x: mpmath.exp(-(x**2) / (2 * variance)), [-mpmath.inf, mpmath.inf]
        )
        total = [mpmath.mpf(1)]
        for _ in range(shares):
            sums = [mpmath.mpf(0)] * (len(total) + 2 * reach)
            for i, a in enumerate(total):
                for j, b in enumerate(one):
                    sums[i + j] += a * b / norm
            total = sums
        wide = shares * variance
        scale = mpmath.nsum(lambda x: mpmath.exp(-(x**2) / (2 * wide)), [-mpmath.inf, mpmath.inf])
        middle = len(total) // 2
        furthest = max(
            abs(mpmath.log(total[middle + x] * scale) + mpmath.mpf(x * x) / (2 * wide))
            for x in range(4)
        )
        bound = distance(Fraction(sigma) ** 2, shares)
        assert furthest <= mpmath.mpf(bound.numerator) / bound.denominator
        assert furthest > bound / 1000 or sigma == "3", "the bound is not empty"


def test_rho_is_rounded_up_and_that_of_a_discrete_gaussian():
    exact = 4 * unit_rho(Fraction(2 * 9))
    assert exact < sum_rho(4, Fraction(9), 2) <= exact + Fraction(1, 2**62)
    # Narrow shares do not add up to one, and cost more.
    assert sum_rho(4, Fraction(1), 2) > 4 * unit_rho(Fraction(2)) * Fraction(100001, 100000)
