"""Provenance: a release of three domains is shown only if its signed logs bear it out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.case import Case, study
from tests.federation.domains import Domains
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.report.data import read_layers
from xstat_ray.hokkaido.report.provenance import facts


@pytest.fixture(scope="module")
def federated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Publish a release of three domains."""
    folder = tmp_path_factory.mktemp("federated")
    domains = Domains(
        folder, study(noise="laplace", privacy={"mechanism": "tree"}), Case(folder).tables
    )
    domains.run()
    return domains.out


def test_signed_logs_that_agree(federated):
    assert read_layers(federated)[0].facts["verification"] == "signed"


def test_a_file_that_was_changed_afterwards_is_refused(federated):
    path = federated / "plan.json"
    before = path.read_bytes()
    path.write_text(json.dumps(json.loads(before) | {"suppress_below": 1}))
    try:
        with pytest.raises(InputError, match="not what it says") as error:
            read_layers(federated)
        assert f"xstat-ray verify release={federated}" in str(error.value)
    finally:
        path.write_bytes(before)


def test_a_release_on_one_machine_has_no_signed_logs(country):
    assert read_layers(country.movement)[0].facts["verification"] == "unsigned"


FIRST = "2023-08-28T00:00:00+09:00"


@pytest.mark.parametrize(
    ("plan", "days"),
    [
        (
            {"period": {"start": FIRST, "end": "2024-04-01T00:00:00+09:00"}},
            ("2023-08-28", "2024-03-31"),
        ),
        (
            {"period": {"start": FIRST, "end": "2023-08-28T12:00:00+09:00"}},
            ("2023-08-28", "2023-08-28"),
        ),
        ({"first_day": "2023-10-22", "days": 14}, ("2023-10-22", "2023-11-04")),
        ({"period": None}, None),
        ({}, None),
    ],
)
def test_the_days_that_a_study_covers(country, plan, days):
    found = facts(country.movement, {}, plan)["period"]
    assert found == (days and {"first": days[0], "last": days[1]})
