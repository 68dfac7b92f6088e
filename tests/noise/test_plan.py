"""What is drawn is derived from the study alone and covers every coefficient."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.case import study as make_study
from xstat_ray.errors import PlanError
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.plan import MOST_COEFFICIENTS, NoisePlan, spent_delta
from xstat_ray.privacy.design import Design, MeasuredLevel
from xstat_ray.privacy.mechanism import Mechanism


def design(*shown: int, l1: int = 24, noise: str = "laplace") -> Design:
    """Make a design of levels that show so many nodes each, with equal shares of epsilon 1."""
    share = Fraction(1, len(shown))
    levels = [
        MeasuredLevel(
            place, f"level {place}", nodes, nodes, share,
            Mechanism(noise, l1, l1 * l1, Fraction(1), Fraction(0), float(l1 * len(shown))),
        )
        for place, nodes in enumerate(shown)
    ]  # fmt: skip
    budget = Mechanism(noise, l1, l1 * l1, Fraction(1), Fraction(0), float(l1))
    return Design(budget, tuple(levels), (0,), "made up", False)


def test_parts_cover_the_noisy_table_in_order_and_keep_to_a_level():
    plan = NoisePlan.of_design(design(1000, 100, 1), slots=144)
    rows = [row for part in plan.parts for row in part.rows]
    assert rows == list(range(1101))
    assert [part.number for part in plan.parts] == list(range(len(plan.parts)))
    assert [part.level for part in plan.parts] == [0, 0, 0, 1, 2]
    assert all(part.coefficients <= MOST_COEFFICIENTS for part in plan.parts)
    assert all(part.coins == Coins.of_scale(72.0) for part in plan.parts)


def test_a_row_is_not_cut():
    plan = NoisePlan.of_design(design(3), slots=MOST_COEFFICIENTS + 1)
    assert [part.rows for part in plan.parts] == [range(1), range(1, 2), range(2, 3)]
    assert plan.parts[0].words == 1025


def test_every_role_derives_the_same_plan_from_the_study():
    raw = {"row": {"dimensions": [{"name": "area", "values": list("abcdef")}]}}
    first, second = (Design.of_study(make_study(noise="laplace", **raw)) for _ in range(2))
    plan = NoisePlan.of_design(first, 3)
    assert plan == NoisePlan.of_design(second, 3)
    assert plan.parts[0].coins.scale == first.levels[0].mechanism.scale
    assert 0 < plan.delta < Fraction(1, 10**12)


@pytest.mark.parametrize("m", [24, 2000])
def test_delta_is_that_of_the_formula_or_less_and_short(m):
    plan = NoisePlan.of_design(design(m, l1=m), slots=5)
    coins = plan.parts[0].coins
    formula = m * (
        2 * coins.digits * 2**-63
        + (1 + math.e) * (2 * coins.digits * 2 ** -(coins.bits + 1) + 2 * 2**-53)
    )
    assert formula / 10 < plan.delta < formula
    numerator = plan.delta
    while numerator.denominator > 1:
        numerator *= 10
    assert numerator < 1000


@pytest.mark.parametrize(("noise", "declared"), [("gaussian", 1e-6), ("off", 1e-6)])
def test_what_is_debited_is_declared_unless_the_noise_is_laplace(noise, declared):
    privacy = {"delta": declared}
    spent = spent_delta(Design.of_study(make_study(noise=noise, privacy=privacy)), 2)
    assert spent == Fraction(str(declared))
    drawn = Design.of_study(make_study(noise="laplace", privacy=privacy))
    assert 0 < spent_delta(drawn, 2) == NoisePlan.of_design(drawn, 2).delta < Fraction(1, 10**12)


def test_delta_counts_all_levels_and_what_a_person_touches():
    one = NoisePlan.of_design(design(1000), slots=5).delta
    coins = Coins.of_scale(48.0)
    two = NoisePlan.of_design(design(1000, 1000), slots=5).delta
    touched = 48 * (1 + Fraction(math.e)) * coins.distance
    assert touched < two < touched * Fraction(101, 100)
    # There are no more coefficients to touch than the table has.
    assert NoisePlan.of_design(design(2), slots=1).delta < one / 10


def test_where_48_bits_cost_more_than_1e_9_coins_have_64():
    few = NoisePlan.of_design(design(100_000, l1=2_000), slots=10)
    many = NoisePlan.of_design(design(100_000, l1=20_000), slots=10)
    assert few.parts[0].coins.bits == 48
    assert many.parts[0].coins.bits == 64
    assert many.delta < few.delta < Fraction(1, 10**9)
    narrow = Coins.of_scale(20_000.0, 48)
    assert 20_000 * (1 + math.e) * narrow.distance > 1e-9


def test_what_64_bits_do_not_do_is_refused():
    levels = design(10**10, l1=10**6).levels
    wide = replace(levels[0].mechanism, l1=10**10)
    huge = replace(design(1), levels=(replace(levels[0], mechanism=wide),))
    with pytest.raises(PlanError, match="delta above 1e-9"):
        NoisePlan.of_design(huge, 10)


def test_other_noise_has_no_such_plan():
    with pytest.raises(ValueError, match="draws Laplace noise"):
        NoisePlan.of_design(design(5, noise="gaussian"), 1)
