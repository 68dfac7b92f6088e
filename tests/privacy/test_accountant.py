from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstat_ray.privacy.accountant import Spending, readable, round_up, zcdp_epsilon

RELEASES = (1, 12, 365)
DELTA = Fraction(1, 10**6)


def repeated(times, *, epsilon="0", rho="0"):
    return Spending().plus(Fraction(epsilon), Fraction(rho), times)


def exact(loss, times, delta=DELTA):
    """Epsilon of `times` releases by their privacy loss distribution."""
    return (loss if times == 1 else loss.self_compose(times)).get_epsilon_for_delta(float(delta))


@pytest.mark.parametrize("releases", RELEASES)
@pytest.mark.parametrize("delta", [DELTA, Fraction(1, 10**9)])
@pytest.mark.parametrize("sigma", [40, 10])
def test_gaussian_releases_cost_what_an_independent_accountant_says(pld, sigma, delta, releases):
    spent = repeated(releases, rho=f"1/{2 * sigma**2}").epsilon(delta)
    least = exact(pld.from_discrete_gaussian_mechanism(sigma), releases, delta)
    assert least <= spent <= 1.15 * least


@pytest.mark.parametrize("releases", RELEASES)
@pytest.mark.parametrize("scale", [20, 10, 4])
def test_laplace_releases_cost_what_an_independent_accountant_says(pld, scale, releases):
    spent = repeated(releases, epsilon=f"1/{scale}").epsilon(DELTA)
    least = exact(pld.from_discrete_laplace_mechanism(1 / scale), releases)
    assert least <= spent <= 1.15 * least


def test_a_mix_costs_what_an_independent_accountant_says(pld):
    spent = repeated(12, epsilon="1/10").plus(Fraction(0), Fraction(1, 200), 12).epsilon(DELTA)
    laplace = pld.from_discrete_laplace_mechanism(0.1)
    gaussian = pld.from_discrete_gaussian_mechanism(10)
    least = exact(laplace.self_compose(12).compose(gaussian.self_compose(12)), 1)
    assert least <= spent <= 1.15 * least


def test_without_a_delta_pure_debits_add_up_exactly_and_others_have_no_total():
    assert repeated(3, epsilon="1/3").epsilon(Fraction(0)) == 1
    with pytest.raises(ValueError, match="no finite epsilon"):
        repeated(1, rho="1/100").epsilon(Fraction(0))


def test_the_smaller_of_the_two_bounds_counts():
    few = repeated(3, epsilon="1/10")
    many = repeated(365, epsilon="1/10")
    assert few.epsilon(DELTA) == Fraction(3, 10)
    assert many.epsilon(DELTA) == zcdp_epsilon(Fraction(365, 200), DELTA) < Fraction(365, 10)
    mixed = few.plus(Fraction(1), Fraction(1, 10**6))
    assert mixed.epsilon(DELTA) == Fraction(3, 10) + zcdp_epsilon(Fraction(1, 10**6), DELTA)


fractions = st.fractions(min_value=0, max_value=4, max_denominator=1000)


@settings(max_examples=40)
@given(fractions, fractions, fractions)
def test_a_further_debit_never_lowers_the_total(first, second, rho):
    before = Spending().plus(first, Fraction(0)).plus(second, rho)
    for more in (before.plus(second, Fraction(0)), before.plus(Fraction(0), first)):
        assert more.epsilon(DELTA) >= before.epsilon(DELTA)


@settings(max_examples=100)
@given(st.fractions())
def test_rounding_is_upwards_and_by_less_than_one_step(value):
    rounded = round_up(value)
    assert Fraction(rounded) >= value
    assert Fraction(rounded) - value <= abs(value) / 2**52


@pytest.mark.parametrize(
    ("epsilon", "text"),
    [("1/3", "1/3"), ("0", "0"), ("10000001/10000000", "1.000001"), ("1/10000000", "0.000001")],
)
def test_what_is_shown_is_short_and_not_too_small(epsilon, text):
    assert readable(Fraction(epsilon)) == text
