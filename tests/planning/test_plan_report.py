"""What a budget buys: both mechanisms compared, and the least epsilon for a wanted error."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from xstat_ray.errors import PlanError, StudyError
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import Study
from xstat_ray.planning import plan_report
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import make_plan
from xstat_ray.planning.plan_report import Target, least_epsilon, make_report, predicted_stderrs
from xstat_ray.privacy.design import Design

ONE_SHARD = Options(shards=1)


def study(rows: int = 256, width: int = 16, hierarchy: bool = True, **privacy: object) -> Study:
    """A square of mesh cells, reported by cell, by blocks of 4 x 4 and as a whole."""
    mesh: dict[str, Any] = {"name": "mesh", "range": [1, rows]}
    if hierarchy:
        mesh["hierarchy"] = {"quadrants": 16, "width": width}
    side = {"id": "id", "dimensions": [mesh]}
    column = {"id": "id", "dimensions": [{"name": "kind", "values": ["x", "y"]}]}
    raw = {"name": "s", "row": side, "column": column, "bounds": {"persons": 1000}}
    return parse({"study": raw, "privacy": privacy}, origin="s.yaml")


def with_epsilon(square: Study, epsilon: Fraction | str) -> Study:
    return replace(square, privacy=replace(square.privacy, epsilon=Fraction(epsilon)))


def reached(square: Study, level: str) -> float:
    return predicted_stderrs(square, Design.of_study(square))[level]


@pytest.mark.parametrize("mechanism", ["flat", "tree", "auto"])
def test_flat_and_tree_stand_side_by_side_and_the_chosen_one_is_the_plan(mechanism):
    square = study(mechanism=mechanism)
    report = make_report(square, Options(key_bits=2048, shards=3))
    assert report.plan == make_plan(square, key_bits=2048, shards=3)
    assert report.chosen == {"flat": "flat", "tree": "tree", "auto": "tree"}[mechanism]
    assert report.designs[report.chosen] == report.plan.design
    for kind in ("flat", "tree"):
        forced = study(mechanism=kind)
        assert report.designs[kind].levels == Design.of_study(forced).levels
        assert report.stderrs(kind) == pytest.approx(make_plan(forced).expected_stderr)
    flat = report.stderrs("flat")
    tree = report.stderrs("tree")
    assert list(flat) == list(tree) == list(report.areas) == ["cell", "4x4", "total"]
    assert list(report.areas.values()) == [256, 16, 1]
    assert flat["4x4"] == pytest.approx(4 * flat["cell"]) and flat["total"] == pytest.approx(
        16 * flat["cell"]
    )
    assert tree["cell"] > flat["cell"] and tree["total"] < flat["total"]


def test_cells_are_compared_even_where_only_larger_areas_are_reported():
    report = make_report(study(report=["total"]), ONE_SHARD)
    assert list(report.stderrs("flat")) == ["cell", "total"]


LAPLACE = {"noise": "laplace"}
GAUSSIAN = {"noise": "gaussian", "delta": 1e-9}


@pytest.mark.parametrize(
    ("noise", "mechanism", "level", "wanted"),
    [
        (LAPLACE, "flat", "4x4", 0.8),
        (LAPLACE, "tree", "cell", 5.0),
        (LAPLACE, "auto", "total", 40.0),
        (GAUSSIAN, "flat", "total", 200.0),
        (GAUSSIAN, "auto", "4x4", 12.0),
    ],
)
def test_the_epsilon_for_an_error_is_the_least_of_three_digits(noise, mechanism, level, wanted):
    square = study(rows=64, width=8, mechanism=mechanism, **noise)
    target = Target(wanted, level)
    epsilon = least_epsilon(square, target)
    assert reached(with_epsilon(square, epsilon), level) <= wanted
    digit = Fraction(10) ** (len(str(int(epsilon))) - 3 if epsilon >= 1 else -3)
    while epsilon < 100 * digit:
        digit /= 10
    assert (epsilon / digit).denominator == 1
    assert reached(with_epsilon(square, epsilon - digit), level) > wanted


def test_the_answer_is_planned_and_says_what_it_reaches():
    square = study(mechanism="auto")
    report = make_report(square, Options(key_bits=2048, shards=3), target=Target(5, "total"))
    answer = report.answer
    assert answer.plan == make_plan(with_epsilon(square, answer.epsilon), key_bits=2048, shards=3)
    assert answer.stderr == answer.plan.expected_stderr["total"] <= 5
    assert report.plan.study == square
    assert study(epsilon=float(answer.epsilon)).privacy.epsilon == answer.plan.mechanism.epsilon


@pytest.mark.parametrize("wanted", [1e-3, 1.0, 1.36, 13.0, 1e3, 1e4])
def test_for_plain_laplace_noise_the_answer_is_known(wanted):
    # Variance 2p / (1-p)^2 with p = exp(-epsilon), solved for epsilon.
    square = study(hierarchy=False)
    root = 1 + 1 / wanted**2
    exact = -math.log(root - (root**2 - 1) ** 0.5)
    assert exact <= float(least_epsilon(square, Target(wanted, "cell"))) <= 1.0101 * exact


def test_an_error_that_any_epsilon_gives_is_answered_with_the_least_there_is():
    assert least_epsilon(study(hierarchy=False), Target(1e9, "total")) == Fraction(1, 10_000)


def test_what_cannot_be_reached_is_refused():
    with pytest.raises(PlanError, match="no epsilon below 100 is enough .*key target_stderr"):
        make_report(study(rows=64, width=8), ONE_SHARD, target=Target(1e-30))
    with pytest.raises(StudyError, match="without noise .*key target_stderr"):
        make_report(study(noise="off"), ONE_SHARD, target=Target(1))
    with pytest.raises(
        StudyError, match="'4x4' is not a level .*key target_level.* Use one of cell, total"
    ):
        make_report(study(report=["total"]), ONE_SHARD, target=Target(1, "4x4"))


def test_the_target_is_not_confused_with_the_budget_of_the_study(monkeypatch):
    monkeypatch.setattr(plan_report, "least_epsilon", lambda *_: Fraction(3, 100))
    report = make_report(study(epsilon=2), ONE_SHARD, target=Target(70))
    assert (report.plan.mechanism.epsilon, report.answer.epsilon) == (2, "0.03")


def test_as_json():
    report = make_report(study(mechanism="auto"), ONE_SHARD, target=Target(5, "total"))
    content = json.loads(json.dumps(report.as_dict()))
    target = content.pop("target")
    compared = content.pop("compared")
    disk = content.pop("disk")
    assert min(disk["out_bytes"], disk["exchange_bytes"]) > 0
    assert content == report.plan.as_dict()
    assert target == {
        "level": "total",
        "stderr": 5,
        "epsilon": report.answer.epsilon,
        "reached": round(report.answer.stderr, 4),
    }
    assert {kind: entry["chosen"] for kind, entry in compared.items()} == {
        "flat": False,
        "tree": True,
    }
    assert (
        compared["flat"]["coefficients"] == 512
        and compared["tree"]["coefficients"] == (256 + 16 + 1) * 2
    )
    assert compared["tree"]["stderr"] == content["stderr"]
    assert [m["level"] for m in compared["flat"]["measured"]] == ["cell"]
    assert "target" not in make_report(study(), ONE_SHARD).as_dict()


def test_padding_is_compared_by_length_of_a_batch():
    raw = {
        "name": "s",
        "period": {"grain": "date", "start": "2024-01-01", "end": "2024-03-01"},
        "row": {"id": "id", "time": "t", "dimensions": [{"name": "area", "range": [1, 9]}]},
        "column": {"id": "id", "time": "t", "dimensions": [{"name": "kind", "values": ["x", "y"]}]},
    }
    two_months = parse({"study": raw, "privacy": {"padding": "dp"}}, origin="s.yaml")
    report = make_report(two_months, Options(key_bits=2048, shards=1))
    by_batch = report.as_dict()["padding_by_batch"]
    assert {batch: line["batches"] for batch, line in by_batch.items()} == {
        "release": 1,
        "month": 2,
        "week": 9,
        "day": 60,
    }
    for added in ("rows_added", "flags_added"):
        assert by_batch["month"][added] == report.as_dict()["view"][added] > 0
        assert by_batch["day"][added] == pytest.approx(60 * by_batch["release"][added], rel=0.2)
    assert by_batch["day"]["flag_bytes_a_batch"] < by_batch["release"]["flag_bytes_a_batch"]
    assert (
        make_report(study(), Options(key_bits=2048, shards=1)).as_dict().get("padding_by_batch")
        is None
    )
