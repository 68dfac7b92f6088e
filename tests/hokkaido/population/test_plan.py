"""The plan: regions, sensitivity, shares of the budget, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.hokkaido.population.operator import HOMES, declare
from xstat_ray.errors import PlanError
from xstat_ray.hokkaido.population.declaration import Breakdown
from xstat_ray.hokkaido.population.expansion import PARTS, SECONDS, UNITS
from xstat_ray.hokkaido.population.plan import PopulationPlan, make_plan
from xstat_ray.hokkaido.population.register import Register
from xstat_ray.model.study import Privacy
from xstat_ray.privacy.gaussian_profile import gaussian_epsilon, unit_rho

REGISTER = Register(HOMES, np.full((len(HOMES), 2, 13), 150))
TWO = (
    Breakdown("residence", ("residence",), Fraction(2, 3)),
    Breakdown("age", ("age",), Fraction(1, 3)),
)
GAUSSIAN = Privacy(noise="gaussian", epsilon=Fraction(1), delta=Fraction(1, 10**6))
LAPLACE = Privacy(noise="laplace", epsilon=Fraction(1))


def plan(shards: int = 1, register: Register = REGISTER, **changes: Any) -> PopulationPlan:
    """Plan a day of two breakdowns with Gaussian noise, with some changes."""
    defaults: dict[str, Any] = {
        "breakdowns": TWO,
        "weight_cap": Fraction(3),
        "class_residents": 100,
        "privacy": GAUSSIAN,
    }
    return make_plan(declare(**defaults | changes), register, shards)


@pytest.mark.parametrize("changes", [{}, {"area": "mesh", "within": ("Nemuro",)}])
@pytest.mark.parametrize("shards", [1, 3, 7, 100])
def test_regions_are_whole_subtrees_and_hold_every_area_once(shards, changes):
    made = plan(shards, **changes)
    tree = made.areas.tree
    top = tree.ancestors(0, len(tree.parents) - 1)
    assert [leaf for region in made.regions for leaf in region] == list(range(tree.cells))
    assert all(
        region.start == 0 or top[region.start] != top[region.start - 1] for region in made.regions
    )
    assert 1 <= len(made.regions) <= min(shards, tree.sizes[-2])


def test_one_person_moves_every_hour_by_two_caps_and_the_rounding():
    day = plan().budget
    three_days = plan(days=3).budget
    assert day.l1 == 24 * SECONDS * (2 * 3 * PARTS + 150)
    assert three_days.l1 == 3 * day.l1
    assert three_days.l2_squared == 3 * day.l2_squared
    assert day.l1 / UNITS == pytest.approx(24 * 6, rel=1e-4)


@pytest.mark.parametrize("mechanism", ["flat", "tree"])
def test_the_shares_of_breakdowns_and_levels_add_up_to_the_budget(mechanism):
    made = plan(privacy=Privacy(**vars(GAUSSIAN) | {"mechanism": mechanism}))
    levels = [level.mechanism for table in made.breakdowns for level in table.design.levels]
    assert len(levels) == (2 if mechanism == "flat" else 6)
    rho = sum(made.budget.l2_squared * unit_rho(Fraction(noise.scale) ** 2) for noise in levels)
    assert gaussian_epsilon(rho, GAUSSIAN.delta) <= 1 and float(rho) == pytest.approx(
        float(made.budget.rho), rel=1e-6
    )
    pure = plan(privacy=Privacy(**vars(LAPLACE) | {"mechanism": mechanism}))
    scales = [level.mechanism.scale for table in pure.breakdowns for level in table.design.levels]
    spent = sum(pure.budget.l1 / Fraction(scale) for scale in scales)
    assert spent <= 1 and float(spent) == pytest.approx(1, rel=1e-6)


def test_the_plan_says_how_much_and_what_it_is_of():
    made = plan()
    text = json.dumps(made.as_dict())
    assert made.digest in text and made.digest != plan(days=2).digest
    assert made.coefficients == 179 * 24 * (len(HOMES) + 7)
    rows = dict(made.rows())
    assert rows["Areas"].startswith("179 (municipality)")
    assert "130 groups" in rows["Expansion"] and "19,500 residents" in rows["Expansion"]


def test_what_cannot_be_is_refused():
    with pytest.raises(PlanError, match="noisy values, more than"):
        plan(area="mesh", days=10)
    many = Register(HOMES, np.full((len(HOMES), 2, 13), 10**7))
    with pytest.raises(PlanError, match="sums could overflow"):
        plan(register=many)
