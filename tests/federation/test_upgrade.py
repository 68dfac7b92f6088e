"""A party whose libraries change between two steps of a run is told, as long as it reads its table."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, Case, study
from tests.federation.domains import Domains
from xstat_ray.errors import InputError
from xstat_ray.roles import session

BEFORE = {"phonenumbers": "9.0.1", "pyarrow": "26"}
AFTER = {"phonenumbers": "9.0.2", "pyarrow": "26", "tzdata of Asia/Tokyo": "0f"}


@pytest.fixture
def domains(quick_key, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "libraries", lambda _: BEFORE)
    return Domains(tmp_path, study(), Case(tmp_path).tables)


def counted(domains):
    return pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()


@pytest.mark.parametrize("step", [("row", "exchange"), ("row", "emit"), ("column", "emit")])
def test_an_upgrade_before_the_table_is_out_ends_the_step_by_names_and_versions(
    domains, monkeypatch, step
):
    domains.run(until=step)
    before = domains.contents()
    monkeypatch.setattr(session, "libraries", lambda _: AFTER)
    with pytest.raises(
        InputError, match=r"phonenumbers: 9.0.1 then, 9.0.2 here; tzdata of"
    ) as told:
        domains.step(*step)
    assert "Install those of then" in str(told.value) and "pyarrow" not in str(told.value)
    assert domains.contents() == before
    monkeypatch.setattr(session, "libraries", lambda _: BEFORE)
    domains.run()
    assert counted(domains) == list(COUNTS.values())


def test_an_upgrade_after_the_tables_are_out_changes_nothing(domains, monkeypatch):
    domains.run(until=("row", "approve"))
    monkeypatch.setattr(session, "libraries", lambda _: AFTER)
    domains.run()
    assert counted(domains) == list(COUNTS.values())
