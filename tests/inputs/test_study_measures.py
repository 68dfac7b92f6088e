"""Measures and the split of the budget, as people write them into a study."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.case import study
from xstat_ray.errors import StudyError
from xstat_ray.inputs.study_file import load
from xstat_ray.model.measure import Measure

FARE = {"name": "fare", "low": 0, "high": 60000, "unit": "JPY"}


def with_measures(*measures, **privacy):
    return study(column={"measures": list(measures)}, privacy=privacy)


def test_a_measure_has_public_bounds_and_the_whole_number_between():
    (fare, points) = with_measures(
        FARE, {"name": "points", "column": "balance", "low": -7, "high": 100}
    ).column.measures
    assert fare == Measure("fare", "fare", 0, 60000, "JPY")
    assert (fare.mid, fare.reach) == (30000, 30000)
    assert (points.column, points.unit, points.mid, points.reach) == ("balance", None, 46, 54)


def test_without_measures_the_study_is_the_one_it_was():
    plain = study()
    assert study(column={"measures": []}, privacy={"split": "auto"}).digest == plain.digest
    digests = {
        plain.digest,
        with_measures(FARE).digest,
        with_measures(FARE | {"high": 60001}).digest,
        with_measures(FARE, split={"count": 0.5, "fare": 0.5}).digest,
    }
    assert len(digests) == 4
    assert plain.digest.hex() == (
        "2a5c412bea1db9cd0014057bba20f5e46b58ea8056c653678c1c8ccaed7876d7"
    )


def test_a_split_is_exact():
    asked = with_measures(FARE, split={"fare": "2/3", "count": "1/3"})
    assert asked.privacy.split == (("fare", Fraction(2, 3)), ("count", Fraction(1, 3)))


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        ({"name": "the fare"}, "no plain word.*measures\\[0\\].name"),
        ({"name": "count"}, "no plain word"),
        ({"name": "kind"}, "the name 'kind' is taken.*measures\\[0\\].name"),
        ({"name": "area"}, "the name 'area' is taken"),
        ({"high": 0}, "no range.*measures\\[0\\].high"),
        ({"high": -5}, "no range"),
        ({"high": 2**31}, "no range.*larger unit"),
        ({"low": 0.5}, "low is not a whole number.*measures\\[0\\].low"),
        ({"high": None}, "high is missing"),
        ({"mid": 3}, "unknown key"),
    ],
)
def test_what_cannot_be_a_measure_is_refused(measure, told):
    with pytest.raises(StudyError, match=told):
        with_measures({**FARE, **measure})


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({"count": 0.5}, "others than the measures.*privacy.split"),
        ({"count": 0.5, "fare": 0.25, "points": 0.25}, "others than the measures"),
        ({"count": 0.5, "fare": 0.4}, "do not add up to 1"),
        ({"count": 1, "fare": 0}, "not positive.*privacy.split.fare"),
        ("half", "no mapping of names to shares"),
    ],
)
def test_what_is_no_split_is_refused(split, told):
    with pytest.raises(StudyError, match=told):
        with_measures(FARE, split=split)


def test_names_and_columns_of_measures_have_one_meaning():
    with pytest.raises(StudyError, match="two measures are called 'fare'"):
        with_measures(FARE, FARE)
    with pytest.raises(StudyError, match="the name 'fare_mean' is taken"):
        with_measures(FARE, {**FARE, "name": "fare_mean"})
    with pytest.raises(StudyError, match="more than 8 measures"):
        with_measures(*({**FARE, "name": f"m{number}"} for number in range(9)))


def test_a_bound_that_yaml_reads_as_another_number_is_refused(tmp_path):
    text = """
study:
  name: spend
  row: {id: id, dimensions: [{name: area, values: [a]}]}
  column:
    id: id
    dimensions: [{name: kind, values: [x]}]
    measures: [{name: fare, low: 0, high: HIGH}]
"""
    path = tmp_path / "spend.yaml"
    path.write_text(text.replace("HIGH", "60000"))
    assert load(path).column.measures[0].high == 60000
    path.write_text(text.replace("HIGH", "060000"))
    with pytest.raises(StudyError, match="high"):
        load(path)
