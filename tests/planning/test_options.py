"""Options say how a study is run: they reach the plan, and none weakens protection silently."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tests.synthetic import make_study
from xstat_ray.errors import PlanError
from xstat_ray.model.study import Noise, Privacy
from xstat_ray.planning.options import NOISE_OFF, Options, check_noise
from xstat_ray.planning.plan import make_plan

STUDY = make_study()  # of 36 hours, with noise off
PLANNED = {
    "key_bits": 2048,
    "slot_bits": 60,
    "constant_time": True,
    "shards": 6,
    "batch": "day",
}


@pytest.mark.parametrize("name", PLANNED)
def test_each_option_that_bears_on_the_plan_reaches_it(name: str) -> None:
    value = PLANNED[name]
    plan = replace(Options(), **{name: value}).plan(STUDY)
    assert plan == make_plan(STUDY, **{"shards": Options.shards, name: value})
    assert plan != Options().plan(STUDY)


@pytest.mark.parametrize("name", sorted({field.name for field in fields(Options)} - PLANNED.keys()))
def test_no_other_option_changes_the_plan(name: str) -> None:
    changed = {
        "runtime": "ray",
        "replicas": {"row": 3, "column": 5},
        "in_flight": 1,
        "cluster": None,
        "memory": 1 << 40,
        "allow_no_noise": True,
    }
    assert replace(Options(), **{name: changed[name]}).plan(STUDY) == Options().plan(STUDY)


def test_what_a_plan_refuses_is_refused() -> None:
    with pytest.raises(PlanError) as caught:
        Options(key_bits=1024).plan(STUDY)
    assert caught.value.key == "crypto.key_bits"


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_release_with_noise_needs_no_permission_and_no_warning(
    noise: Noise, allowed: bool
) -> None:
    assert check_noise(Privacy(noise=noise), allowed=allowed) == []


def test_a_release_without_noise_is_refused_unless_it_is_allowed_and_then_warned_of() -> None:
    with pytest.raises(PlanError, match="publishes exact counts .*key privacy.noise") as caught:
        check_noise(Privacy(noise="off"), allowed=False)
    assert "unsafe.allow_no_noise=true" in str(caught.value.remedy)
    assert check_noise(Privacy(noise="off"), allowed=True) == [NOISE_OFF]


def test_nothing_unsafe_is_a_default() -> None:
    assert not Options().allow_no_noise
    assert not Options().cluster.insecure
