"""Ledgers of version 0.1 are taken over as a whole or not at all, and the old file is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from tests.privacy.old_ledger import ENTRIES, make_old
from xstat_ray.errors import InputError
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.take_over import kept_name, read_old, take_over


@pytest.fixture
def old(tmp_path):
    return make_old(tmp_path / "ledger.sqlite")


def test_all_entries_are_taken_over_and_count(old):
    take_over(old)
    ledger = Ledger(old)
    assert [(e.at, e.kind, e.release, e.note) for e in ledger.history()] == [
        (at, kind, release, note) for at, kind, _, _, _, release, *_, note in ENTRIES
    ]
    assert ledger.spent("s/row") == Fraction(1, 3)
    # What a Laplace release declared as delta was not spent.
    assert ledger.show()[0].spent_delta == 0
    ledger.debit(Debit("s/row", "r3", "5d", "s", Fraction(2, 3), Fraction(0)), Fraction(9))
    assert ledger.spent("s/row") == 1


def test_an_old_file_that_is_written_to_is_waited_for_and_refused_while_it_is_open(old):
    with closing(sqlite3.connect(old)) as other:
        other.execute("SELECT * FROM history").fetchall()
        with pytest.raises(InputError, match="cannot be taken over: .*locked"):
            take_over(old)
    assert len(read_old(old)) == 3
    take_over(old)


def test_a_taken_name_is_not_overwritten(old):
    kept_name(old).touch()
    with pytest.raises(InputError, match="the name for the old ledger is taken"):
        take_over(old)
    assert len(read_old(old)) == 3


def test_a_process_that_is_killed_before_the_last_step_can_be_started_again(old, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            take_over(old)
    assert len(read_old(old)) == 3
    take_over(old)
    assert len(Ledger(old).history()) == 3
    assert {path.name for path in old.parent.iterdir()} == {old.name, kept_name(old).name}


def test_nothing_else_is_taken_over(tmp_path):
    new = tmp_path / "new.sqlite"
    Ledger(new)
    with pytest.raises(InputError, match="no ledger of version 0.1"):
        take_over(new)
    (tmp_path / "text").write_text("text")
    with pytest.raises(InputError, match="not a database"):
        read_old(tmp_path / "text")
    with pytest.raises(InputError, match="unable to open"):
        read_old(tmp_path / "none")
    assert not (tmp_path / "none").exists()
