"""A ledger that is a file moves into a database as a whole, and is closed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from fractions import Fraction

import pytest

from tests.postgres import OWNER, WRITER
from tests.privacy.ledgers import debit
from xstat_ray.errors import InputError
from xstat_ray.privacy import move as module
from xstat_ray.privacy.database import Database
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.move import move


@pytest.fixture
def path(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.debit(debit(session="s1"), Fraction(1))
    ledger.witness("peer", "ab" * 32)
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def target(postgres):
    return postgres.new_schema()


def as_writer(place):
    return Database(place.uri.replace(f"//{OWNER}@", f"//{WRITER}@"))


def test_entries_and_heads_are_the_same_and_go_on(path, target):
    before = Ledger(path)
    head = before.head()
    entries = before.history()
    assert move(path, target, WRITER) == 3
    ledger = Ledger(as_writer(target))
    assert (ledger.head(), ledger.history()) == (head, entries)
    ledger.debit(debit(session="s1"), Fraction(1))
    assert ledger.head() == head
    ledger.debit(debit("r2", session="s2"), Fraction(1))
    assert ledger.holds(head) and ledger.spent("a") == Fraction(2, 3)


def test_the_file_is_closed_also_to_who_has_it_open(path, target):
    opened = Ledger(path)
    move(path, target, WRITER)
    with pytest.raises(InputError, match="moved into a database"):
        opened.debit(debit("r2"), Fraction(1))
    with pytest.raises(InputError, match="moved into a database.*Name the database"):
        Ledger(path)
    with pytest.raises(InputError, match="moved into a database"):
        move(path, target, WRITER)


def test_an_empty_ledger_moves_too(tmp_path, target):
    head = Ledger(tmp_path / "new").head()
    assert move(tmp_path / "new", target, WRITER) == 0
    assert Ledger(as_writer(target)).head() == head


def test_a_process_that_is_killed_before_the_file_is_closed_can_be_started_again(
    path, target, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(module, "_SEAL", ("no statement",))
        with pytest.raises(InputError, match="syntax error"):
            move(path, target, WRITER)
    assert Ledger(path).spent("a") == Ledger(as_writer(target)).spent("a") == Fraction(1, 3)
    assert move(path, target, WRITER) == 3


def test_what_was_added_to_either_meanwhile_is_not_lost(path, target, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "_SEAL", ("no statement",))
        with pytest.raises(InputError, match="syntax error"):
            move(path, target, WRITER)
    Ledger(path).debit(debit("r2", session="s2"), Fraction(1))
    with pytest.raises(InputError, match="there is a ledger already"):
        move(path, target, WRITER)
    assert Ledger(path).spent("a") == Fraction(2, 3)


def test_what_cannot_be_moved_stays_as_it_is(path, target, tmp_path):
    with pytest.raises(InputError, match="no ledger to move"):
        move(tmp_path / "none", target, WRITER)
    assert not (tmp_path / "none").exists()
    with pytest.raises(InputError, match="no such role"):
        move(path, target, "nobody_at_all")
    assert not target.exists()
    Ledger(path).debit(debit("r2", session="s2"), Fraction(1))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE history SET epsilon = '0' WHERE kind = 'debit'")
        connection.commit()
    with pytest.raises(InputError, match="does not continue"):
        move(path, target, WRITER)
    assert not target.exists()
