"""Thresholds against other arithmetic; what is drawn against the discrete Laplace, in fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import gmpy2
import pytest

from xstat_ray.errors import PlanError
from xstat_ray.noise.coins import MOST_DIGITS, Coins, growth_above, probability
from xstat_ray.privacy.mechanism import Mechanism

SCALES = [0.01, 0.3, 1.0, 3.7, 24.0, 1000.1, 5e6]


@pytest.mark.parametrize("bits", [48, 64])
@pytest.mark.parametrize("scale", SCALES)
def test_thresholds_are_those_of_another_arithmetic(scale, bits):
    with gmpy2.context(precision=500):
        decay = [gmpy2.exp(-(gmpy2.mpfr(2) ** i) / gmpy2.mpfr(scale)) for i in range(40)]
        want = [gmpy2.mpfr(2) ** bits * q / (1 + q) for q in decay]
        left_out = [gmpy2.exp(-(gmpy2.mpfr(2) ** i) / gmpy2.mpfr(scale)) for i in range(40)]
    coins = Coins.of_scale(scale, bits)
    for threshold, exact in zip(coins.thresholds, want, strict=False):
        # Nearest: at most half a unit away, and ties do not occur.
        assert abs(exact - threshold) < 0.5
    enough = next(i for i in range(40) if left_out[i] <= gmpy2.mpfr(2) ** -(bits + 5))
    assert coins.digits == max(1, enough)


@pytest.mark.parametrize("scale", SCALES)
def test_probabilities_are_fractions_without_an_error_that_matters(scale):
    with gmpy2.context(precision=500):
        for digit in range(30):
            power = gmpy2.exp(-(gmpy2.mpfr(2) ** digit) / gmpy2.mpfr(scale))
            want = power / (1 + power)
            found = probability(scale, digit)
            ours = gmpy2.mpfr(gmpy2.mpq(found.numerator, found.denominator))
            assert abs(ours - want) < gmpy2.mpfr(10) ** -100


def test_growth_is_an_upper_bound():
    for epsilon in (Fraction(1, 100), Fraction(1), Fraction(10)):
        with gmpy2.context(precision=500):
            exact = gmpy2.exp(gmpy2.mpfr(gmpy2.mpq(epsilon.numerator, epsilon.denominator)))
            bound = growth_above(epsilon)
            ours = gmpy2.mpfr(gmpy2.mpq(bound.numerator, bound.denominator))
            assert exact < ours < exact * (1 + gmpy2.mpfr(10) ** -50)


def test_a_scale_whose_shares_would_not_fit_is_refused():
    assert Coins.of_scale(5e6).digits == MOST_DIGITS
    with pytest.raises(PlanError, match=r"29 binary digits.*privacy\.epsilon"):
        Coins.of_scale(1e7)


def test_the_distribution_is_that_of_the_coins():
    coins = Coins(1.0, 4, (5, 2, 1))
    chances = [Fraction(threshold, 16) for threshold in coins.thresholds]
    want = {}
    for outcome in range(64):
        digits = [outcome >> place & 1 for place in range(6)]
        chance = Fraction(1)
        for place, digit in enumerate(digits):
            chance *= chances[place % 3] if digit else 1 - chances[place % 3]
        noise = sum(digit << place for place, digit in enumerate(digits[:3]))
        noise -= sum(digit << place for place, digit in enumerate(digits[3:]))
        want[noise] = want.get(noise, 0) + chance
    found = dict(zip(range(-7, 8), coins.distribution(), strict=True))
    assert found == want
    assert sum(found.values()) == 1


def test_digits_of_zero_probability_are_listed_too():
    coins = Coins(1.0, 4, (5, 0))
    assert coins.distribution() == [
        0, 0, Fraction(55, 256), Fraction(146, 256), Fraction(55, 256), 0, 0,
    ]  # fmt: skip


def exact_laplace(scale: float, reach: int) -> list[Fraction]:
    """Probabilities of -reach to reach, as near as doubles' logarithms cannot be."""
    with gmpy2.context(precision=400):
        q = gmpy2.exp(-1 / gmpy2.mpfr(scale))
        masses = [(1 - q) / (1 + q) * q ** abs(k) for k in range(-reach, reach + 1)]
        return [Fraction(*(int(part) for part in mass.as_integer_ratio())) for mass in masses]


@pytest.mark.parametrize(("scale", "bits"), [(1.0, 48), (1.0, 64), (3.0, 48), (0.5, 8), (2.0, 8)])
def test_the_distance_bounds_the_exact_one(scale, bits):
    coins = Coins.of_scale(scale, bits)
    drawn = coins.distribution()
    reach = len(drawn) // 2
    ideal = exact_laplace(scale, reach)
    difference = sum(abs(p - d) for p, d in zip(drawn, ideal, strict=True)) + 1 - sum(ideal)
    assert difference / 2 <= coins.distance
    # And is not many times larger: digits of high value hardly ever count.
    assert coins.distance < 10 * difference


@pytest.mark.parametrize(("scale", "bits"), [(1.0, 48), (3.0, 48), (3.0, 64), (2.0, 8)])
@pytest.mark.parametrize("shift", [1, 2, 5])
def test_exact_privacy_of_one_coefficient_is_within_the_bound(scale, bits, shift):
    coins = Coins.of_scale(scale, bits)
    epsilon = Fraction(shift) / Fraction(scale)
    with gmpy2.context(precision=400):
        exact = gmpy2.exp(gmpy2.mpfr(gmpy2.mpq(epsilon.numerator, epsilon.denominator)))
        below = Fraction(
            *(int(p) for p in (exact * (1 - gmpy2.mpfr(2) ** -300)).as_integer_ratio())
        )
    delta = coins.delta(shift, below)
    assert delta == coins.delta(-shift, below)
    assert 0 < delta <= (1 + growth_above(epsilon)) * coins.distance
    # With less epsilon than the noise gives, delta is no small number.
    assert coins.delta(shift, below / 2) > Fraction(1, 1000)


def test_a_wrong_threshold_costs_privacy_and_the_distance_says_so():
    right = Coins.of_scale(3.0)
    wrong = Coins(3.0, 48, (right.thresholds[0] + 2**40, *right.thresholds[1:]))
    below = Fraction(math.exp(1 / 3)) * (1 - Fraction(1, 10**12))
    assert wrong.delta(1, below) > 1000 * right.delta(1, below)
    assert wrong.distance > 2 * Fraction(2**40, 2**48) - Fraction(1, 10**6)


def test_long_distributions_are_not_listed():
    with pytest.raises(ValueError, match="more than 14 digits"):
        Coins.of_scale(1000.0).distribution()


# With 7.55 the highest threshold is rounded up from half a unit: twice as many coins are one.
@pytest.mark.parametrize(("scale", "bits"), [(7.55, 48), (0.5, 48), (1.5, 64), (33.0, 48)])
@pytest.mark.parametrize("coefficients", [1, 10**4])
def test_noise_leaves_its_slot_as_rarely_as_the_packing_takes_for_granted(
    scale, bits, coefficients
):
    chances = Coins.of_scale(scale, bits).distribution()
    reach = len(chances) // 2
    laplace = Mechanism("laplace", 1, 1, Fraction(1), Fraction(0), scale)
    tail = laplace.tail(coefficients)
    assert 2 * sum(chances[reach + tail + 1 :]) * coefficients < Fraction(1, 2**64)
    assert 2 * sum(chances[reach + tail // 2 :]) * coefficients > Fraction(1, 2**64)


@pytest.mark.parametrize("thresholds", [(7, 3), (6, 5), (8, 1)])
def test_what_is_exact_for_two_coefficients_is_within_the_bound_for_two(thresholds):
    """A person moves both by one: the exact delta of the pair, outcome by outcome."""
    scale = 2.0
    coins = Coins(scale, 4, thresholds)
    masses = coins.distribution()
    reach = len(masses) // 2
    growth = growth_above(Fraction(2) / Fraction(scale))

    def chance(k: int) -> Fraction:
        return masses[k + reach] if abs(k) <= reach else Fraction(0)

    outcomes = range(-reach - 1, reach + 1)
    delta = sum(
        max(Fraction(0), chance(a) * chance(b) - growth * chance(a + 1) * chance(b + 1))
        for a in outcomes
        for b in outcomes
    )
    assert 0 < delta <= 2 * (1 + growth) * coins.distance
