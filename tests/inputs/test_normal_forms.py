"""What normal forms rest on is told by name and version, and a change of it is seen."""

from __future__ import annotations

import unicodedata
from importlib import metadata
from pathlib import Path

import pytest

from tests.case import HOURS, Case, study
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs import normal_forms
from xstat_ray.inputs.normal_forms import libraries
from xstat_ray.roles import session


def test_the_libraries_are_those_that_the_study_uses() -> None:
    plain = libraries(study())
    assert set(plain) == {"pyarrow", "unicodedata"}
    hourly = libraries(study(period=HOURS, row={"time": "at"}, column={"time": "at"}))
    assert set(hourly) == {*plain, "tzdata of Asia/Tokyo"}
    phones = libraries(study(id={"form": "phone", "region": "JP"}))
    assert phones["phonenumbers"] == metadata.version("phonenumbers")
    assert plain["unicodedata"] == unicodedata.unidata_version


def test_the_rules_of_a_zone_are_compared_over_the_study_alone() -> None:
    start = 1_704_067_200_000_000  # 2024-01-01
    day = 24 * normal_forms._HOUR
    rules = normal_forms._rules
    # Paris and Berlin have had one clock since long; London another.
    assert rules("Europe/Paris", start, start + day) == rules("Europe/Berlin", start, start + day)
    assert rules("Europe/Paris", start, start + day) != rules("Europe/London", start, start + day)


def test_parties_with_other_metadata_of_phone_numbers_do_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = iter(["8.13.1", "9.0.2"])
    monkeypatch.setattr(
        session, "libraries", lambda _: {"phonenumbers": next(made), "pyarrow": "1"}
    )
    with pytest.raises(ProtocolError, match="phonenumbers: 9.0.2 at the column party, 8.13.1 at"):
        Case(tmp_path).run(study())
