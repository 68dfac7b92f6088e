"""The ID exchange is done once for a release.

A run that was interrupted is taken up again, and only new people are exchanged.
"""

from __future__ import annotations

import stat

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import COLUMNS, COUNTS, ROWS, Case, counts, study
from xstat_ray.crypto import group
from xstat_ray.errors import ProtocolError
from xstat_ray.runtime import exchange
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import ROLES


class Crash(Exception):
    """Stands for the death of the process."""


def crash(*_):
    raise Crash


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


@pytest.fixture
def hashed(monkeypatch):
    """Ids of all persons who were hashed to the group."""
    people = []
    right = group.hash_to_group

    def spy(messages, dst):
        people.extend(message[32:].decode() for message in messages)
        return right(messages, dst)

    monkeypatch.setattr(group, "hash_to_group", spy)
    return people


@pytest.fixture
def interrupted(case, monkeypatch, hashed):
    """A run that ended after the exchange; `hashed` then begins anew."""
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Driver, "aggregate", crash)
        case.run(study())
    assert sorted(hashed) == sorted(ROWS["id"] + COLUMNS["id"])
    hashed.clear()
    return case


def test_a_rerun_exchanges_nobody_again(interrupted, hashed):
    assert counts(interrupted.run(study())) == COUNTS and hashed == []
    assert not (interrupted.out / "unfinished").exists()


def test_only_people_of_added_days_are_exchanged(interrupted, hashed):
    interrupted.write("row", {"id": [*ROWS["id"], "9", "77"], "area": [*ROWS["area"], "a", "b"]})
    release = interrupted.run(study())
    assert sorted(hashed) == ["77", "9"]
    # Person 9 is in the column party's table from the start.
    assert counts(release) == COUNTS | {("a", "y"): 1}


def test_an_interruption_within_the_exchange_costs_what_was_under_way(case, monkeypatch, hashed):
    monkeypatch.setattr(exchange, "PERSONS_A_CALL", 1)
    monkeypatch.setattr(exchange, "PARTS_KEPT", 2)
    finalize = ROLES["row"].finalize
    done = []

    def third_crashes(self, sealed, parts, folder=None):
        done.append(parts)
        if len(done) == 3:
            crash()
        finalize(self, sealed, parts, folder)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        for role in ROLES.values():
            patch.setattr(role, "finalize", third_crashes)
        case.run(study())
    kept = list((case.out / "unfinished").glob("*/persons-*.sealed"))
    assert len(kept) == 2
    hashed.clear()
    assert counts(case.run(study())) == COUNTS
    assert len(hashed) == 8 - 4


def test_what_is_kept_is_sealed_and_for_the_owner_only(interrupted):
    kept = list((interrupted.out / "unfinished").glob("*/persons-*.sealed"))
    assert {path.parent.name for path in kept} == {"row", "column"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
    path = next(path for path in kept if path.parent.name == "row")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ProtocolError, match="keys of persons"):
        interrupted.run(study())


def test_another_study_begins_anew(interrupted, hashed):
    before = (interrupted.out / "unfinished" / "row" / "secrets").read_bytes()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Driver, "aggregate", crash)
        interrupted.run(study(bounds={"persons": 3000}))
    assert len(hashed) == 8
    assert (interrupted.out / "unfinished" / "row" / "secrets").read_bytes() != before


def test_a_person_with_rows_in_both_runs_keeps_its_key(interrupted, hashed):
    rows = pa.table({"id": ["1", "1", "3"], "area": ["a", "a", "b"]})
    pq.write_table(rows, interrupted.tables["row"])
    # R = 1: one of the two equal rows counts.
    assert counts(interrupted.run(study())) == {
        ("a", "x"): 1,
        ("a", "y"): 0,
        ("b", "x"): 1,
        ("b", "y"): 0,
    }
    assert hashed == []
