"""What a plan says that a release tells each role, against numbers that are computed another way."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.case import study
from tests.hokkaido.needs.country import plan_of
from tests.privacy.shares import excess, mass
from xstat_ray.planning.insiders import Guarantee
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.publication.manifest import make_manifest

EVERYBODY = ("public", "row", "column", "aggregator")


def plan(noise: str, rows: int = 1, **privacy: object) -> Plan:
    asked = {"delta": "1e-6", "cap": 100, **privacy}
    return make_plan(study(noise=noise, bounds={"rows": rows, "persons": 100}, privacy=asked))


def test_towards_all_roles_laplace_noise_is_that_of_the_public_and_as_large_as_stated():
    planned = plan("laplace", rows=3)
    held = planned.insiders.towards
    assert tuple(held) == EVERYBODY and len(set(held.values())) == 1
    assert held["row"] == Guarantee(Fraction(1), planned.delta)
    assert 0 < planned.delta < Fraction(1, 10**11)
    # The exact distribution of a coefficient, all of whose three units one person moves.
    coins = planned.noise.parts[0].coins
    growth = Fraction(np.e) * (1 - Fraction(1, 10**15))
    exact = coins.delta(3, growth)
    assert exact <= planned.delta
    assert coins.delta(3, Fraction(np.exp(0.9))) > Fraction(1, 100), "no less than epsilon holds"


@pytest.mark.parametrize(("insiders", "public", "roles"), [("full", 0.8, 1), ("shared", 1, 1.24)])
def test_towards_a_role_gaussian_noise_is_the_two_shares_that_it_does_not_know(
    insiders, public, roles
):
    planned = plan("gaussian", rows=3, insiders=insiders)
    held = planned.insiders.towards
    assert tuple(held) == EVERYBODY
    assert held["row"] == held["column"] == held["aggregator"] != held["public"]
    assert [float(held[who].epsilon) for who in ("public", "row")] == pytest.approx(
        [public, roles], abs=0.01
    )
    left_out = planned.insiders.left_out
    for shares, who in ((3, held["public"]), (2, held["row"]), (1, left_out["roles"])):
        assert who.delta == Fraction(1, 10**6)
        left = mass(planned.mechanism.share_scale, shares)
        assert excess(left, 3, float(who.epsilon)) <= 1e-6
        assert excess(left, 3, 0.99 * float(who.epsilon)) > 1e-6, "no less than epsilon holds"
    assert left_out["public"] == held["row"]
    assert planned.insiders.noticed is None


def test_with_padding_the_aggregator_also_has_its_view():
    view = {"epsilon": "1/2", "delta": "1e-7"}
    padded = plan("gaussian", rows=3, padding="dp", view=view).insiders
    role = padded.towards["aggregator"]
    assert padded.with_view == Guarantee(
        role.epsilon + Fraction(1, 2), Fraction(1, 10**6) + Fraction(1, 10**7)
    )
    assert "aggregator with its view epsilon 1.5, delta 1.1e-06" in padded.sentence()
    assert plan("gaussian").insiders.with_view is None


@pytest.mark.parametrize(("checked", "chance"), [(1, 0), (2, Fraction(1, 2)), (5, Fraction(4, 5))])
def test_a_departure_from_the_joint_draw_is_noticed_with_the_stated_chance(checked, chance):
    insiders = plan("laplace", checked=checked).insiders
    assert insiders.noticed == chance and not insiders.left_out
    assert insiders.as_dict()["departure_noticed"] == str(chance)


def test_without_noise_nothing_holds():
    off = plan("off", padding="dp").insiders
    assert not off.towards and off.with_view is None
    assert "exact counts" in off.sentence()


@pytest.mark.parametrize("noise", ["laplace", "gaussian", "off"])
def test_plan_and_manifest_tell_it_alike(noise):
    planned = plan(noise)
    told = planned.insiders.as_dict()
    assert json.loads(json.dumps(told)) == told == planned.as_dict()["insiders"]
    made = make_manifest(planned, "00" * 16, {}, {}, {})
    assert made["insiders"] == told
    assert dict(planned.rows())["Insiders"] == planned.insiders.sentence()


def test_the_sentence_names_those_alike_together():
    assert (
        plan("laplace", rows=3)
        .insiders.sentence()
        .startswith("the public, row party, column party and aggregator each epsilon 1, delta ")
    )
    assert (
        plan("gaussian", rows=3, insiders="full")
        .insiders.sentence()
        .startswith(
            "the public epsilon 0.804, delta 1e-06; row party, column party and aggregator each epsilon"
            " 1, delta 1e-06; nothing is promised towards two roles together"
        )
    )


def test_epsilon_is_never_rounded_down():
    barely = replace(plan("laplace").insiders.towards["row"], epsilon=Fraction(10**9 + 1, 10**9))
    assert str(barely).startswith("epsilon 1.001,") and barely.as_dict()["epsilon"] == "1.000001"


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_of_several_column_parties_the_first_alone_has_a_share(noise):
    parties = [{"name": name, "persons": 100} for name in ("jal", "hac", "ado")]
    asked = {"delta": "1e-6", "cap": 100}
    several = study(noise=noise, bounds=None, column={"parties": parties}, privacy=asked)
    held = make_plan(several).insiders.towards
    assert set(held) == {"public", "row", "jal", "hac", "ado", "aggregator"}
    assert held["jal"] == held["row"] == held["aggregator"]
    assert held["hac"] == held["ado"] == held["public"]
    assert (held["jal"] == held["public"]) == (noise == "laplace")
    assert "jal" in make_plan(several).insiders.sentence()


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_of_several_row_parties_the_first_alone_has_a_share_and_each_is_told_what_it_learns(noise):
    parties = [{"name": name} for name in ("north", "south", "coast")]
    asked = {"delta": "1e-6", "cap": 100}
    planned = make_plan(study(noise=noise, row={"parties": parties}, privacy=asked))
    held = planned.insiders.towards
    assert set(held) == {"public", "north", "south", "coast", "column", "aggregator"}
    assert held["north"] == held["column"] == held["aggregator"]
    assert held["south"] == held["coast"] == held["public"]
    assert (held["north"] == held["public"]) == (noise == "laplace")
    told = dict(planned.rows())
    assert told["Row parties"].startswith("north masks the table and reads its noisy figures")
    assert "; south and coast the published ones; " in told["Row parties"]
    assert told["Column party"].startswith("roughly how many people each row party has; not whose")
    assert told["Pool's view"].endswith("cells, of each row party apart, in one order of cells")
    alone = dict(plan(noise).rows())
    assert {"Row parties", "Column party"}.isdisjoint(alone)
    assert alone["Pool's view"].endswith("of blinded cells")


def test_the_plan_of_two_operators_tells_what_each_learns():
    told = dict(plan_of("two_operators").rows())
    assert told["Insiders"].startswith("the public and second_operator each epsilon ")
    assert "first_operator, column party and aggregator each epsilon " in told["Insiders"]
    assert "first_operator masks" in told["Row parties"]
    assert "second_operator the published ones" in told["Row parties"]
    assert "1 row of first_operator, 1 row of second_operator" in told["Bounds"]
