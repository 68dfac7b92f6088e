"""The chain of a ledger: a changed file is refused, a replaced one noticed by the other party."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing, contextmanager
from fractions import Fraction

import psycopg
import pytest

from tests.postgres import ADMIN
from xstat_ray.errors import InputError
from xstat_ray.privacy.database import Database
from xstat_ray.privacy.history import Entry, digest_of
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.places import open_history
from xstat_ray.privacy.postgresql_history import _Statements

PEER = "airline/column"
TRIGGERS = ("no_update", "no_delete", "no_replace")


def debit(number):
    amounts = (Fraction(1, 3), Fraction(0))
    return Debit("a", f"r{number}", "5d", "name", *amounts, session=f"s{number}")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(place):
    made = Ledger(place)
    for number in range(3):
        made.debit(debit(number), Fraction(5))
    return made


@contextmanager
def unguarded(place):
    """A connection of somebody who may do everything with the table, and drops what guards it."""
    if isinstance(place, Database):
        with psycopg.connect(**place.parameters | {"user": ADMIN}, autocommit=True) as connection:
            connection.execute(f"SET search_path TO {place.schema}")
            for table in ("history", "origin"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            yield _Statements(connection)
    else:
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            for trigger in TRIGGERS:
                connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            yield connection


def tamper(place, *statements):
    with unguarded(place) as connection:
        for statement in statements:
            connection.execute(statement)


def forge(place):
    """Give every entry the digest that belongs to it now."""
    with unguarded(place) as connection:
        (before,) = connection.execute("SELECT digest FROM origin").fetchone()
        rows = connection.execute("SELECT * FROM history ORDER BY number").fetchall()
        for number, (_, *texts, _) in enumerate(rows, 1):
            before = digest_of(before, number, texts)
            connection.execute("UPDATE history SET digest = ? WHERE number = ?", (before, number))


# A file that was changed


@pytest.mark.parametrize(
    "field",
    [
        *("at", "dataset", "study", "name", "release", "epsilon", "delta", "rho", "cap"),
        *("note", "session", "head", "digest"),
    ],
)
def test_no_field_of_an_entry_can_be_changed(ledger, place, field):
    tamper(place, f"UPDATE history SET {field} = '7' WHERE number = 2")
    with pytest.raises(
        InputError, match=r"entry 2 does not continue .*file \S*ledger.* the newest copy"
    ):
        Ledger(place)


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        ("UPDATE history SET kind = 'refusal' WHERE number = 2", 2),
        ("DELETE FROM history WHERE number = 1", 1),
        ("DELETE FROM history WHERE number = 3", 3),
        ("UPDATE history SET number = 9 WHERE number = 4", 4),
        ("INSERT INTO history SELECT 5, at, kind, 'b', study, name, release, epsilon, delta, rho, "
         "cap, note, session, head, 'ff' FROM history WHERE number = 4", 5),
        ("UPDATE origin SET digest = 'ff'", 1),
        ("DELETE FROM origin", 1),
        ("INSERT INTO origin SELECT * FROM origin", 1),
    ],
)  # fmt: skip
def test_no_entry_can_be_changed_removed_added_or_moved(ledger, place, change, entry):
    tamper(place, change)
    with pytest.raises(InputError, match=f"entry {entry} does not continue"):
        Ledger(place)


def test_the_fields_of_an_entry_cannot_run_into_each_other(ledger, place):
    before = ledger.head()
    tamper(place, "UPDATE history SET study = '5', name = 'dname' WHERE number = 4")
    with pytest.raises(InputError, match="entry 4"):
        Ledger(place)
    forge(place)
    assert Ledger(place).head() != before


def test_a_ledger_of_thousands_of_debits_opens_fast(path):
    def fill(writer):
        for number in range(10_000):
            writer.append(Entry("now", "debit", "a", "5d", release=str(number)))

    open_history(path).write(fill)
    start = time.perf_counter()
    Ledger(path)
    # 0.1 s on an idle core; machines that run tests are not.
    assert time.perf_counter() - start < 3


# Heads


def test_every_entry_changes_the_head_and_is_held(place):
    ledger = Ledger(place)
    heads = [ledger.head()]
    for number in range(3):
        ledger.debit(debit(number), Fraction(5))
        heads.append(ledger.head())
    ledger.witness(PEER, "ab" * 32)
    heads.append(ledger.head())
    assert len(set(heads)) == 5
    assert all(len(bytes.fromhex(head)) == 32 for head in heads)
    assert all(Ledger(place).holds(head) for head in heads)
    assert not ledger.holds("ab" * 32)
    ledger.debit(debit(2), Fraction(5))
    assert ledger.head() == heads[-1]


def test_heads_of_two_ledgers_never_agree(tmp_path, monkeypatch):
    monkeypatch.setattr("xstat_ray.privacy.ledger._now", lambda: "now")
    one = Ledger(tmp_path / "one")
    other = Ledger(tmp_path / "other")
    assert one.head() != other.head()
    for ledger in (one, other):
        ledger.debit(debit(0), Fraction(5))
    assert not one.holds(other.head())
    assert not other.holds(one.head())


# What is lost is noticed by who was told the head


def check_is_refused(ledger, head):
    with pytest.raises(
        InputError,
        match=r"replaced, or restored from an old copy \(file .*\)\. Put back the newest",
    ):
        ledger.check_held([head])


def test_nothing_is_noticed_where_nothing_was_lost(ledger, place):
    head = ledger.head()
    ledger.check_held([])
    ledger.check_held([head])
    ledger.debit(debit(7), Fraction(5))
    Ledger(place).check_held([head])


def test_a_copy_of_before_a_release_is_noticed(path, tmp_path):
    ledger = Ledger(path)
    ledger.debit(debit(1), Fraction(5))
    copy = shutil.copy(path, tmp_path / "copy")
    ledger.debit(debit(7), Fraction(5))
    head = ledger.head()
    shutil.copy(copy, path)
    check_is_refused(Ledger(path), head)
    # The same debit again is another entry, in another chain.
    Ledger(path).debit(debit(8), Fraction(5))
    check_is_refused(Ledger(path), head)


def test_entries_cut_off_are_noticed(ledger, place):
    head = ledger.head()
    tamper(place, "DELETE FROM history WHERE number = 4")
    assert len(Ledger(place).history()) == 3
    check_is_refused(Ledger(place), head)


def test_a_forged_chain_is_noticed(ledger, place):
    head = ledger.head()
    tamper(place, "UPDATE history SET epsilon = '1/300' WHERE number = 2")
    forge(place)
    assert Ledger(place).spent("a") < 1
    check_is_refused(Ledger(place), head)


def test_a_new_file_is_noticed(path):
    ledger = Ledger(path)
    ledger.debit(debit(1), Fraction(5))
    head = ledger.head()
    path.unlink()
    check_is_refused(Ledger(path), head)


# Witnesses


def test_the_head_told_last_is_remembered(place):
    ledger = Ledger(place)
    assert ledger.witnessed(PEER) == []
    ledger.witness(PEER, "ab" * 32)
    ledger.witness(PEER, "cd" * 32)
    ledger.witness("other", "ef" * 32)
    assert Ledger(place).witnessed(PEER) == ["cd" * 32]
    assert Ledger(place).witnessed("other") == ["ef" * 32]
    assert [(e.kind, e.dataset, e.head) for e in ledger.history(PEER)] == [
        ("witness", PEER, "ab" * 32),
        ("witness", PEER, "cd" * 32),
    ]


def test_what_was_told_before_is_not_recorded_again(place):
    ledger = Ledger(place)
    for head in ("", "ab" * 32, "ab" * 32, "", "", "ab" * 32):
        ledger.witness(PEER, head)
    assert [e.head for e in ledger.history()] == ["ab" * 32, "", "ab" * 32]


def test_a_ledger_that_begins_anew_is_not_held_against_what_was_recorded(path):
    ledger = Ledger(path)
    ledger.witness(PEER, "ab" * 32)
    ledger.witness(PEER, "")
    assert ledger.witnessed(PEER) == []


def test_witnesses_spend_nothing_and_make_no_account(path):
    ledger = Ledger(path)
    ledger.witness(PEER, "ab" * 32)
    assert ledger.show() == []


def test_both_parties_of_a_local_run_may_keep_one_file(path):
    """Each debits, and what it tells the other is recorded."""
    ledger = Ledger(path)
    for number in range(3):
        for dataset in ("row", "column"):
            ledger.check_held(ledger.witnessed(dataset))
            amounts = (Fraction(1, 3), Fraction(0))
            ledger.debit(Debit(dataset, f"r{number}", "5d", "n", *amounts), Fraction(5))
            ledger.witness(dataset, ledger.head())
    assert ledger.spent("row") == ledger.spent("column") == 1
