"""Errors over a grid of settings: each is that of the plan with these settings."""

from __future__ import annotations

import json
from fractions import Fraction
from io import StringIO

import pytest
from rich.console import Console

from tests.inputs.studies import SIMPLE, TIMED, changed
from xstat_ray.cli.sweep_table import print_sweep
from xstat_ray.errors import StudyError
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.study_file import parse
from xstat_ray.planning.plan_report import predicted_stderrs
from xstat_ray.planning.sweep import MOST_POINTS, Shown, make_sweep, read_data, read_grid
from xstat_ray.privacy.design import Design


def section(sweep):
    return Section({"sweep": sweep}, key="", origin="plan.yaml", known=("sweep",))


def grid(sweep):
    return read_grid(section(sweep))


def error(raw):
    study = parse(raw, origin="s.yaml")
    return predicted_stderrs(study, Design.of_study(study))


def test_every_point_is_the_plan_with_its_settings():
    asked = grid({"privacy.epsilon": [0.5, 2], "bounds.rows": [1, 3], "privacy.noise": ["auto"]})
    assert list(asked) == ["privacy.epsilon", "study.bounds.rows", "privacy.noise"]
    made = make_sweep(SIMPLE, asked, "s.yaml")
    assert [point.values for point in made.points] == [
        (0.5, 1, "auto"), (0.5, 3, "auto"), (2, 1, "auto"), (2, 3, "auto"),
    ]  # fmt: skip
    for point in made.points:
        raw = changed(SIMPLE, "privacy.noise", "auto")
        raw = changed(raw, "privacy.epsilon", point.values[0])
        raw = changed(raw, "study.bounds.rows", point.values[1])
        assert point.stderrs == error(raw) and point.noise == "laplace"
    assert json.loads(json.dumps(made.as_dict())) == made.as_dict()
    assert "bounds" not in SIMPLE["study"], "the configuration itself is not changed"


def test_windows_are_swept_by_their_place_in_the_list():
    starts = TIMED["study"]["column"]["windows"][0]["from"]
    made = make_sweep(TIMED, grid({"column.windows.0.from": [starts, starts + 1]}), "s.yaml")
    wide, narrow = (point.stderrs["cell"] for point in made.points)
    assert wide == error(TIMED)["cell"] > narrow


def test_settings_that_are_refused_say_why():
    made = make_sweep(SIMPLE, grid({"privacy.epsilon": [1, -1]}), "s.yaml")
    good, bad = made.points
    assert good.stderrs and not good.refusal
    assert not bad.stderrs and "not positive" in bad.refusal
    told = StringIO()
    print_sweep(made, Console(file=told, width=100))
    lines = told.getvalue()
    assert "laplace flat" in lines and "refused at -1: epsilon is not positive" in lines


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ([1], "no mapping of keys"),
        ({}, "no mapping of keys"),
        ({"data": "out/past"}, "no mapping of keys"),
        ({"privacy.epsilon": 1}, "are no list"),
        ({"privacy.epsilon": []}, "are no list"),
        ({"privacy.epsilon": list(range(MOST_POINTS + 1))}, "1,001 points, more than 1,000"),
    ],
)
def test_a_grid_that_is_none_is_refused(sweep, message):
    with pytest.raises(StudyError, match=message):
        grid(sweep)


@pytest.mark.parametrize(
    "key", ["column.windows.9.from", "row.id.deeper", "column.windows.first.from", "id.form.x.y"]
)
def test_a_key_that_is_not_there_is_named(key):
    with pytest.raises(StudyError, match=f"no key study.{key}"):
        make_sweep(TIMED, grid({key: [1]}), "s.yaml")


def test_a_sweep_of_which_nothing_can_be_planned_is_refused():
    with pytest.raises(StudyError, match="every point is refused, the first as unknown key"):
        make_sweep(TIMED, grid({"nothing.there": [1, 2]}), "s.yaml")


def test_without_a_sweep_there_is_none():
    assert grid(None) == {}


def test_epsilon_is_exact():
    made = make_sweep(SIMPLE, grid({"privacy.epsilon": ["1/3"]}), "s.yaml")
    raw = changed(SIMPLE, "privacy.epsilon", "1/3")
    assert parse(raw, origin="s").privacy.epsilon == Fraction(1, 3)
    assert made.points[0].stderrs == error(raw)


def test_data_is_a_path_and_no_key_of_the_study():
    sweep = {"privacy.epsilon": [1, 2], "data": "out/past"}
    assert grid(sweep) == {"privacy.epsilon": [1, 2]}
    assert str(read_data(section(sweep))) == "out/past"
    assert read_data(section({"privacy.epsilon": [1]})) is read_data(section(None)) is None
    with pytest.raises(StudyError, match="a path is expected.*sweep.data"):
        read_data(section(sweep | {"data": ["out/past"]}))


def test_what_would_be_published_is_printed_beside_the_errors():
    shown = iter([Shown(12.4, 0.113, 0.87), Shown(0, None, 0), Shown(3, float("inf"), 0)])
    asked = grid({"privacy.epsilon": [2, 1, 0.5]})
    made = make_sweep(SIMPLE, asked, "s.yaml", lambda _: next(shown))
    told = StringIO()
    print_sweep(made, Console(file=told, width=100))
    lines = [line.split()[-3:] for line in told.getvalue().splitlines()]
    assert ["12.4", "11%", "87%"] in lines and ["3.0", "all", "0%"] in lines
    assert "part of all counts" in told.getvalue()
    assert json.loads(json.dumps(made.as_dict()))["points"][0]["published"] == {
        "cells": 12.4, "median_relative_error": 0.113, "share_of_counts": 0.87,
    }  # fmt: skip
