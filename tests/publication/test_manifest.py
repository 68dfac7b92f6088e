"""The manifest tells how a release came about, in public figures that follow from its plan."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.publication.small import plan
from xstat_ray.model.study import Role
from xstat_ray.planning.options import NOISE_OFF
from xstat_ray.planning.plan import Plan
from xstat_ray.publication.manifest import make_manifest
from xstat_ray.publication.smooth import TUNING
from xstat_ray.util.software_digest import software_digest

INPUTS: dict[Role, str] = {"row": "aa" * 32, "column": "bb" * 32}
KERNELS = {"driver": "ifma", "row": "portable", "column": "ifma"}
SECONDS = {"start": 0.5, "join": 2.0}


def manifest(plan: Plan) -> dict[str, Any]:
    made = make_manifest(plan, "00" * 16, INPUTS, KERNELS, SECONDS)
    assert json.loads(json.dumps(made)) == made
    return made


def test_what_the_run_found_is_told_as_it_is() -> None:
    made = manifest(plan())
    assert made["release"] == "00" * 16
    assert made["inputs_hmac_sha256"] == INPUTS
    assert made["kernels"] == KERNELS
    assert made["seconds"] == SECONDS
    assert made["software"]["measurement"] == software_digest().hex()


def test_what_was_agreed_on_is_that_of_the_study() -> None:
    small = plan()
    made = manifest(small)
    assert made["study_digest"] == small.study.digest.hex()
    assert made["datasets"] == {"row": "small/row", "column": "small/column"}
    bounds = {"rows": 1, "boardings": 1, "per_column": 1, "window_periods": 1, "persons": 100}
    assert made["bounds"] == bounds
    assert (made["key_bits"], made["shards"]) == (2048, 1)


@pytest.mark.parametrize(
    ("privacy", "spent"),
    [
        ({}, {"epsilon": "1/2", "delta": str(plan().delta)}),
        ({"noise": "off"}, {"epsilon": "0", "delta": "0"}),
    ],
)
def test_what_was_spent_is_the_budget_unless_there_was_no_noise(
    privacy: dict[str, Any], spent: dict[str, str]
) -> None:
    assert manifest(plan(**privacy))["spent"] == spent


def test_how_cells_were_smoothed_is_told_where_they_were() -> None:
    assert "smoothed" not in manifest(plan())
    told = manifest(plan(smooth=True))["smoothed"]
    assert (told["beyond"], told["spread"]) == TUNING
    assert "factorisation" in told["method"]


def test_gaussian_noise_spends_rho_too() -> None:
    made = manifest(plan("gaussian", delta=1e-6))
    assert made["spent"].keys() == {"epsilon", "delta", "rho"}
    assert made["spent"]["delta"] == "1/1000000"
    assert made["mechanism"]["noise"] == "gaussian"


def test_each_measured_level_tells_its_share_and_scale() -> None:
    small = plan(coast=True, mechanism="tree")
    levels = manifest(small)["mechanism"]["levels"]
    assert list(levels) == ["cell", "coast", "total"]
    for measured in small.design.levels:
        assert levels[measured.name] == {
            "share": str(measured.share),
            "scale": measured.mechanism.scale,
        }


def test_a_release_without_noise_carries_the_warning_and_others_do_not() -> None:
    without = manifest(plan("off"))
    assert (without["noise_free"], without["warning"]) == (True, NOISE_OFF)
    noisy = manifest(plan())
    assert noisy["noise_free"] is False
    assert "warning" not in noisy


@pytest.mark.parametrize("padding", ["off", "dp"])
def test_the_view_of_the_pool_is_told(padding: str) -> None:
    assert manifest(plan(padding=padding))["view"]["padding"] == padding
