from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.privacy import exact
from tests.sizes import first, thorough
from xstat_ray.noise.coins import Coins, growth_above
from xstat_ray.privacy import loss_distribution
from xstat_ray.privacy.accountant import GAUSSIAN, Spending, laplace_noise, zcdp_epsilon
from xstat_ray.privacy.gaussian_profile import gaussian_epsilon, unit_rho
from xstat_ray.privacy.rounding import readable, round_up

DELTA = Fraction(1, 10**6)


def repeated(times, *, epsilon="0", rho="0", noise=""):
    return Spending().plus(Fraction(epsilon), Fraction(rho), times, noise=noise)


def check_epsilon(spent, delta_at, delta=DELTA):
    """Not below what an exact computation gives, nor above it by a hundredth."""
    assert (
        delta_at(float(spent)) <= delta * (1 + Fraction(1, 10**9)) < delta_at(0.99 * float(spent))
    )


# Debits of this version, against convolutions of exact probabilities


@pytest.mark.parametrize("releases", first(2, [1, 12, 52, 365]))
@pytest.mark.parametrize(
    ("epsilon", "units"), [("1", 1), *first(1, [("1", 24), ("1/2", 3), ("2", 8)])]
)
def test_laplace_releases_cost_what_they_do(epsilon, units, releases):
    spent = repeated(releases, epsilon=epsilon, noise=laplace_noise(units)).epsilon(DELTA)
    check_epsilon(spent, exact.laplace(float(Fraction(epsilon)), units).times(releases).delta)


@pytest.mark.parametrize("releases", first(2, [1, 12, 52, 365]))
@pytest.mark.parametrize(("sigma", "shift"), first(2, [(10, 1), (20, 4), (7, 1), (30, 24)]))
def test_gaussian_releases_cost_what_they_do(sigma, shift, releases):
    rho = shift**2 * unit_rho(Fraction(sigma) ** 2)
    spent = repeated(releases, epsilon="1", rho=rho, noise=GAUSSIAN).epsilon(DELTA)
    check_epsilon(spent, exact.gaussian(sigma, shift).times(releases).delta)


@pytest.mark.parametrize("releases", first(2, [1, 12, 52, 365]))
@pytest.mark.parametrize(("epsilon", "units"), first(1, [("1", 24), ("1/2", 1), ("1/10", 2)]))
def test_a_mix_costs_what_it_does(epsilon, units, releases):
    rho = Fraction("0.22") ** 2 / 2
    spent = repeated(releases, epsilon=epsilon, noise=laplace_noise(units)).plus(
        Fraction(1), rho, releases, noise=GAUSSIAN
    )
    losses = exact.laplace(float(Fraction(epsilon)), units).times(releases)
    rest = exact.gaussian_delta(0.22 * math.sqrt(releases))
    check_epsilon(spent.epsilon(DELTA), lambda at: losses.delta(at, rest))


def test_a_release_that_is_not_counted_would_be_seen():
    spent = repeated(11, epsilon="1", noise=laplace_noise(24)).epsilon(DELTA)
    with pytest.raises(AssertionError):
        check_epsilon(spent, exact.laplace(1, 24).times(12).delta)


@pytest.mark.parametrize(("epsilon", "units", "moved", "shares"), [
    (1.0, 4, (1, 1, 1, 1), (1,)), (1.0, 4, (2, 2), (1,)), (1.0, 4, (3, 1), (1,)),
    (2.0, 3, (3,), (0.25, 0.75)), (1.5, 3, (2, 1), (0.5, 0.5)), (3.0, 2, (1, 1), (0.3, 0.7)),
])  # fmt: skip
def test_however_a_persons_units_lie_one_move_of_all_of_them_is_worse(
    epsilon, units, moved, shares
):
    """Cells and levels of a release, listed outcome by outcome; its worst is `exact.laplace`."""
    single = exact.laplace(epsilon, units)
    parts = [exact.laplace(epsilon * share * c / units, c) for share, c in product(shares, moved)]
    outcomes = [(0.0, 1.0)]
    for part in parts:
        outcomes = [
            (loss + part.lowest + i * part.step, mass * float(of / 2**exact.BITS))
            for loss, mass in outcomes
            for i, of in enumerate(part.masses)
        ]
    seen_less = False
    for at in (x * epsilon / 20 for x in range(-20, 21)):
        together = math.fsum(mass * max(0.0, -math.expm1(at - loss)) for loss, mass in outcomes)
        assert together <= single.delta(at) + 1e-12
        seen_less = seen_less or together < single.delta(at) - 1e-6
    assert seen_less


@thorough
def test_many_units_are_joined_at_no_gain_and_hardly_a_loss():
    many = repeated(365, epsilon="1", noise=laplace_noise(10_007)).epsilon(DELTA)
    losses = exact.laplace(1, 1000).times(365)
    assert losses.delta(float(many)) <= DELTA
    assert losses.delta(0.995 * float(many)) > DELTA


def test_no_distribution_is_made_where_the_sum_is_all_but_exact(monkeypatch):
    monkeypatch.setattr(loss_distribution, "_distributions", pytest.fail)
    assert repeated(9, epsilon="1").epsilon(DELTA) == 9
    losses = exact.laplace(1, 1).times(9)
    assert losses.delta(9 - 0.009) > DELTA
    assert repeated(40, epsilon="1").epsilon(DELTA, enough=Fraction(40)) == 40


def test_what_is_left_of_a_delta_must_exceed_rounding_errors():
    assert repeated(365, epsilon="1").epsilon(Fraction(1, 10**13)) <= 365


def test_the_delta_of_a_joint_draw_is_as_good_as_a_chance_that_everything_is_told():
    """Coins of few bits, so that what they cost is seen; two releases, at every epsilon."""
    epsilon = 1.0
    coins = Coins.of_scale(2.0, 6)
    growth = growth_above(Fraction(1))
    delta = (1 + growth) * coins.distance
    masses = coins.distribution()
    moved = [Fraction(0)] * 2 + masses
    stays = masses + [Fraction(0)] * 2
    pairs = [(float(here), float(there)) for here, there in zip(stays, moved, strict=True) if here]
    losses = [(math.log(here / there) if there else math.inf, here) for here, there in pairs]
    twice = [(a + b, p * q) for a, p in losses for b, q in losses]
    single = exact.laplace(epsilon, 2)
    for real, ideal, count in ((losses, single, 1), (twice, single.times(2), 2)):
        told = 1 - (1 - float(delta)) ** count
        for at in (x * epsilon / 10 for x in range(11 * count + 1)):
            found = math.fsum(p * -math.expm1(at - loss) for loss, p in real if loss > at)
            assert found <= (1 - told) * ideal.delta(at) + told
    assert 0 < delta < Fraction(1, 2)


# Debits of earlier versions, of which only the amounts are known


@pytest.mark.parametrize("delta", [DELTA, Fraction(1, 10**9)])
@pytest.mark.parametrize("sigma", [40, 10])
def test_an_older_gaussian_debit_is_zcdp_and_no_more(sigma, delta):
    rho = Fraction(1, 2 * sigma**2)
    older = repeated(12, epsilon="1", rho=rho)
    assert older.epsilon(delta) == zcdp_epsilon(12 * rho, delta)
    assert older.epsilon(delta) > 1.03 * gaussian_epsilon(12 * rho, delta)
    newer = older.plus(Fraction(1), rho, 3, noise=GAUSSIAN)
    assert newer.epsilon(delta) == zcdp_epsilon(15 * rho, delta)


def test_an_older_laplace_debit_is_the_worst_of_its_epsilon():
    older = repeated(52, epsilon="1")
    assert older.epsilon(DELTA) == repeated(52, epsilon="1", noise=laplace_noise(1)).epsilon(DELTA)
    assert older.epsilon(DELTA) > repeated(52, epsilon="1", noise=laplace_noise(2)).epsilon(DELTA)


def test_beside_an_older_gaussian_debit_laplace_debits_are_counted_as_they_were():
    mixed = repeated(52, epsilon="1").plus(Fraction(1), Fraction(1, 200))
    assert mixed.epsilon(DELTA) == min(
        52 + zcdp_epsilon(Fraction(1, 200), DELTA), zcdp_epsilon(26 + Fraction(1, 200), DELTA)
    )


# All


def test_without_a_delta_pure_debits_add_up_exactly_and_others_have_no_total():
    assert repeated(3, epsilon="1/3").epsilon(Fraction(0)) == 1
    for noise in ("", GAUSSIAN):
        with pytest.raises(ValueError, match="no finite epsilon"):
            repeated(1, rho="1/100", noise=noise).epsilon(Fraction(0))


fractions = st.fractions(min_value=0, max_value=4, max_denominator=1000)


@settings(max_examples=20, deadline=None)
@given(fractions, fractions, fractions)
def test_a_further_debit_never_lowers_the_total(first_one, second, rho):
    before = Spending().plus(first_one, Fraction(0)).plus(second, rho, noise=GAUSSIAN)
    total = before.epsilon(DELTA)
    for more in (before.plus(second, Fraction(0)), before.plus(Fraction(0), first_one)):
        assert more.epsilon(DELTA) >= total * (1 - Fraction(1, 10**4))


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
