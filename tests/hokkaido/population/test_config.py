"""The configuration of `jobs.population`: the shipped file, and values that are refused."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import Any

import pytest

from tests.configuration import settings_of
from xstat_ray.errors import StudyError
from xstat_ray.hokkaido.population.config import PopulationConfig, population_config
from xstat_ray.hokkaido.population.declaration import Breakdown


def config(**changes: Any) -> PopulationConfig:
    """Read the shipped configuration with some changes."""
    raw = settings_of("population")
    raw["population"] |= {"first_day": "2023-11-01", "days": 3} | changes.pop("population", {})
    raw["privacy"] |= changes.pop("privacy", {})
    raw["cluster"] = {"address": None, "cpus": None}
    return population_config(raw | changes, "population.yaml")


def test_the_shipped_file_says_what_the_declaration_does():
    made = config()
    declared = made.declaration
    assert (declared.first_day, declared.days, declared.area, declared.residence) == (
        dt.date(2023, 11, 1),
        3,
        "municipality",
        "local",
    )
    assert declared.breakdowns == (
        Breakdown("residence", ("residence",), Fraction(3, 4)),
        Breakdown("age_gender", ("age", "gender"), Fraction(1, 4)),
    )
    assert (declared.privacy.noise, declared.privacy.epsilon) == ("gaussian", 2)
    assert (declared.withheld_below, declared.hours) == (10, 72)
    assert made.tables.excluded[0].name == "opt_out.parquet" and made.out.is_absolute()


def test_fewer_lines_than_asked_for_never_make_a_delivered_number():
    assert (
        config(population={"least_lines": 10, "weight_cap": "7/2"}).declaration.withheld_below == 35
    )


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"population": {"first_day": "1 November"}}, "population.first_day"),
        ({"population": {"days": None}}, "population.days"),
        ({"population": {"days": 10**6}}, "population.days"),
        ({"population": {"timezone": "Asia/Nowhere"}}, "population.timezone"),
        ({"population": {"area": "prefecture"}}, "population.area"),
        ({"population": {"within": ["Tokyo"]}}, "population.within"),
        ({"population": {"residence": "planet"}}, "population.residence"),
        ({"population": {"breakdowns": {}}}, "population.breakdowns"),
        ({"population": {"breakdowns": {"a": {"by": ["shoe"]}}}}, "population.breakdowns.a.by"),
        (
            {"population": {"breakdowns": {"a": {"by": [], "share": 0}}}},
            "population.breakdowns.a.share",
        ),
        ({"population": {"breakdowns": {"../a": {"by": []}}}}, "population.breakdowns.../a"),
        ({"population": {"weight_cap": 0.5}}, "population.weight_cap"),
        ({"population": {"class_residents": 0}}, "population.class_residents"),
        ({"population": {"colour": "red"}}, "population.colour"),
        ({"privacy": {"epsilon": -1}}, "privacy.epsilon"),
        ({"privacy": {"noise": "laplace"}}, "privacy.delta"),
        ({"privacy": {"insiders": "full"}}, "privacy.insiders"),
        ({"privacy": {"smooth": True}}, "privacy.smooth"),
        ({"privacy": {"noise": "auto"}}, "privacy.noise"),
        ({"privacy": {"releases": 2}}, "privacy.releases"),
        ({"privacy": {"report": ["mesh1km"]}}, "privacy.report[0]"),
        ({"shards": 0}, "shards"),
    ],
)
def test_bad_values_are_refused_with_their_key(changes, key):
    with pytest.raises(StudyError) as error:
        config(**changes)
    assert error.value.key == key
    assert error.value.file == "population.yaml"


def test_the_digest_is_of_all_that_is_declared():
    shipped = config().declaration
    others = [
        config(population=change).declaration
        for change in ({"days": 4}, {"weight_cap": 4}, {"area": "mesh"})
    ]
    others.append(config(privacy={"epsilon": 1}).declaration)
    digests = {declared.digest(b"register") for declared in [shipped, *others]}
    assert len(digests | {shipped.digest(b"other")}) == 6
