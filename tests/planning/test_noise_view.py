"""A plan shows both noises side by side, and refuses a budget that does not last."""

from __future__ import annotations

import json

import pytest

from tests.case import study
from xstat_ray.errors import PlanError
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.planning.plan_report import Target, make_report

PRIVACY = {"delta": "1e-6", "cap": 10}


def plan(noise: str = "auto", **privacy: object) -> Plan:
    return make_plan(study(noise=noise, privacy={**PRIVACY, **privacy}))


def test_both_noises_are_shown_with_the_reason():
    made = plan()
    told = made.as_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["noise"] == made.mechanism.noise == "laplace"
    assert told["noises"].keys() == {"laplace", "gaussian"}
    for noise, shown in told["noises"].items():
        assert shown["stderr"]["cell"] == pytest.approx(
            plan(noise).expected_stderr["cell"], abs=1e-4
        )
        assert shown["lasts"]
    assert dict(made.rows())["Noise"] == told["noise_why"]
    assert told["noise_why"].startswith("laplace: predicted standard error, Laplace or Gaussian: ")
    assert "1 such release costs epsilon 1 or epsilon 0." in told["noise_why"]


@pytest.mark.parametrize("noise", ["laplace", "gaussian", "off"])
def test_a_noise_that_was_named_has_no_rival(noise):
    told = plan(noise).as_dict()
    assert "noises" not in told and "Noise" not in dict(plan(noise).rows())


def test_flat_and_tree_are_compared_with_the_noise_that_was_chosen():
    report = make_report(study(noise="auto", privacy=PRIVACY), Options(key_bits=2048))
    assert {design.budget.noise for design in report.designs.values()} == {"laplace"}


def test_a_wanted_error_is_answered_with_the_better_noise():
    asked = study(noise="auto", privacy=PRIVACY)
    report = make_report(asked, Options(key_bits=2048), target=Target(3.0))
    assert report.answer is not None and report.answer.stderr <= 3
    assert report.answer.plan.mechanism.noise == "laplace"


@pytest.mark.parametrize(("noise", "enough"), [("laplace", 10), ("gaussian", 60), ("auto", 60)])
def test_a_cap_that_does_not_last_is_refused(noise, enough):
    assert plan(noise, releases=enough).study.privacy.releases == enough
    with pytest.raises(PlanError, match=r"cost epsilon .* the cap is 10 \(key privacy.releases\)"):
        plan(noise, releases=4 * enough)


def test_without_noise_nothing_is_spent_and_all_lasts():
    assert plan("off", releases=1000).study.privacy.releases == 1000


def test_gaussian_noise_that_was_chosen_is_drawn_in_shares():
    made = plan(releases=60)
    assert made.mechanism.noise == "gaussian" and made.noise is None
    assert dict(made.rows())["Draw"] == dict(plan("gaussian").rows())["Draw"]
    assert made.seconds(2) == pytest.approx(plan("gaussian").seconds(2))
