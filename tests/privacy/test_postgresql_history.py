"""A ledger in PostgreSQL: who may do what, what a lost connection leaves, where passwords are not."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import psycopg
import pytest

from tests.postgres import ADMIN, OWNER, PASSWORD, WRITER
from tests.privacy.cut import Cut, cutting
from tests.privacy.ledgers import debit, spend
from tests.sizes import every_other, thorough
from xstat_ray.errors import BudgetError, InputError
from xstat_ray.privacy import postgresql_history
from xstat_ray.privacy.database import Database
from xstat_ray.privacy.history import Writer
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.postgresql_history import PostgresqlHistory
from xstat_ray.privacy.postgresql_schema import create


@pytest.fixture
def place(postgres):
    return postgres.new_ledger()


@pytest.fixture
def ledger(place):
    return Ledger(place)


def as_(user, place):
    """The same ledger, as another role."""
    return Database(place.uri.replace(f"//{WRITER}@", f"//{user}@"))


def run(place, statement, user):
    with psycopg.connect(**as_(user, place).parameters, autocommit=True) as connection:
        connection.execute(f"SET search_path TO {place.schema}")
        return connection.execute(statement)


def kinds(ledger):
    return [entry.kind for entry in ledger.history()]


# Who may do what


CHANGES = (
    "UPDATE history SET epsilon = '0'",
    "UPDATE history SET epsilon = '0' WHERE false",
    "DELETE FROM history",
    "TRUNCATE history",
    "UPDATE origin SET digest = 'ff'",
    "DELETE FROM origin",
    "TRUNCATE origin",
    "INSERT INTO origin VALUES ('ff', 2)",
    "INSERT INTO history SELECT * FROM history ON CONFLICT (number) DO UPDATE SET epsilon = '0'",
)
RIGHTS = (
    "DROP TABLE history",
    "DROP TRIGGER no_change ON history",
    "ALTER TABLE history DISABLE TRIGGER ALL",
    "ALTER TABLE history DROP CONSTRAINT history_pkey",
    "CREATE TABLE more (x int)",
    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
    "LOCK TABLE history IN ACCESS EXCLUSIVE MODE",
    "SET session_replication_role = replica",
    f"SET ROLE {OWNER}",
    "CREATE TRIGGER other AFTER INSERT ON history EXECUTE FUNCTION refuse()",
)


def test_the_writer_may_change_nothing(ledger, place):
    ledger.debit(debit(), Fraction(1))
    before = ledger.history()
    for statement in (*CHANGES, *RIGHTS):
        with pytest.raises(psycopg.Error) as caught:
            run(place, f"BEGIN; {statement}; COMMIT", WRITER)
        assert isinstance(
            caught.value,
            psycopg.errors.InsufficientPrivilege
            | psycopg.errors.InvalidFunctionDefinition
            | psycopg.errors.RaiseException,
        ), statement
    assert ledger.history() == before


@pytest.mark.parametrize("user", [OWNER, ADMIN])
def test_triggers_refuse_changes_by_those_who_may(ledger, place, user):
    ledger.debit(debit(), Fraction(1))
    before = ledger.history()
    for statement in CHANGES:
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            run(place, statement, user)
    if user == ADMIN:
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            run(place, "SET session_replication_role = replica; DELETE FROM history", user)
    assert ledger.history() == before


def test_a_second_debit_of_a_release_or_a_session_is_refused_by_the_table(ledger, place):
    ledger.debit(debit(session="s1"), Fraction(1))
    columns = "at, kind, dataset, study, name, {}, epsilon, delta, rho, cap, note, {}, head, 'ff'"
    for release, session in (("release", "'s2'"), ("'r2'", "session")):
        values = columns.format(release, session)
        with pytest.raises(psycopg.errors.UniqueViolation):
            run(
                place,
                f"INSERT INTO history SELECT 9, {values} FROM history WHERE kind = 'debit'",
                WRITER,
            )


@pytest.mark.parametrize("how", ["owner", "superuser", "member", "granted"])
def test_a_role_that_may_change_entries_makes_no_debit(postgres, place, how):
    role = {"owner": OWNER, "superuser": ADMIN}.get(how) or postgres.new_role("NOINHERIT")
    if how == "member":
        postgres.execute(f"GRANT {OWNER}, {WRITER} TO {role}")
        run(place, f"GRANT USAGE ON SCHEMA {place.schema} TO {role}", OWNER)
        run(place, f"GRANT SELECT, INSERT ON history, origin TO {role}", OWNER)
    if how == "granted":
        run(place, f"GRANT USAGE ON SCHEMA {place.schema} TO {role}", OWNER)
        run(place, f"GRANT SELECT, INSERT, DELETE ON history, origin TO {role}", OWNER)
    other = Ledger(as_(role, place))
    assert other.show() == []
    for work in (
        lambda: other.debit(debit(), Fraction(1)),
        lambda: other.set_cap("a", Fraction(1)),
        lambda: other.witness("b", "ab" * 32),
    ):
        with pytest.raises(InputError, match="this role may change its entries.*as the writer"):
            work()
    assert other.history() == []


def test_a_role_without_rights_is_told_so(postgres, place):
    other = as_(postgres.new_role(), place)
    with pytest.raises(InputError, match="may not read it.*as the writer"):
        other.exists()
    with pytest.raises(InputError, match="budget ledger cannot be used"):
        Ledger(other)


# Making one


def test_a_ledger_is_made_once(postgres):
    place = postgres.new_schema()
    assert not place.exists()
    with pytest.raises(InputError, match=r"does not exist.*xstat-ray budget create"):
        Ledger(place)
    create(place, WRITER)
    assert place.exists()
    with pytest.raises(InputError, match="there is a ledger already"):
        create(place, WRITER)


def test_a_schema_of_another_role_is_refused(postgres):
    place = postgres.new_schema()
    postgres.execute(f"CREATE SCHEMA {place.schema}")
    postgres.execute(f"GRANT ALL ON SCHEMA {place.schema} TO {OWNER}")
    with pytest.raises(InputError, match="belongs to another role"):
        create(place, WRITER)


def test_what_default_privileges_would_give_the_writer_is_taken_back(postgres):
    place = postgres.new_schema()
    postgres.execute(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT ALL ON TABLES TO {WRITER}, PUBLIC"
    )
    try:
        create(place, WRITER)
    finally:
        postgres.execute(
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} REVOKE ALL ON TABLES FROM {WRITER}, PUBLIC"
        )
    Ledger(as_writer(place)).debit(debit(), Fraction(1))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(as_writer(place), "DELETE FROM history", WRITER)


def as_writer(place):
    return Database(place.uri.replace(f"//{OWNER}@", f"//{WRITER}@"))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("SUPERUSER", "could change entries"),
        ("CREATEROLE", "could change entries"),
        (f"IN ROLE {OWNER}", "could change entries"),
        (f"IN ROLE {OWNER} NOINHERIT", "could change entries"),
        (f"IN ROLE {ADMIN}", "could change entries"),
        (None, "no such role"),
    ],
)
def test_a_writer_that_could_change_entries_is_refused(postgres, options, problem):
    place = postgres.new_schema()
    writer = "nobody_at_all" if options is None else postgres.new_role(options)
    with pytest.raises(InputError, match=problem):
        create(place, writer)
    with pytest.raises(InputError, match="could change entries"):
        create(place, OWNER)
    assert not place.exists()


# Connections that are lost


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="cut") as name:
        yield Path(name)


WORKS = {
    "debit": (lambda ledger: ledger.debit(debit(), Fraction(1)), ["cap", "debit"]),
    "refusal": (lambda ledger: ledger.debit(debit(epsilon="2"), Fraction(1)), ["refusal"]),
    "cap": (lambda ledger: ledger.set_cap("a", Fraction(1)), ["cap"]),
    "witness": (lambda ledger: ledger.witness("b", "ab" * 32), ["witness"]),
}


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
@pytest.mark.parametrize("work", every_other(3, list(WORKS)))
def test_a_connection_lost_at_a_commit_leaves_every_entry_once(place, folder, work, when):
    do, expected = WORKS[work]
    cut = Cut(when, left=1)
    with cutting(place, folder, cut) as through:
        ledger = Ledger(through)
        if work == "refusal":
            with pytest.raises(BudgetError):
                do(ledger)
        else:
            do(ledger)
    assert cut.done
    assert kinds(Ledger(place)) == expected


def test_without_the_look_a_lost_commit_would_be_made_again(place, folder, monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr(Writer, "holds", lambda *_: False)
    with cutting(place, folder, Cut("after", left=1)) as through:
        Ledger(through).set_cap("a", Fraction(1))
    assert kinds(Ledger(place)) == ["cap", "cap"]


@pytest.mark.parametrize("left", [0, 2])
def test_a_connection_lost_while_reading_is_made_again(ledger, place, folder, left):
    ledger.debit(debit(), Fraction(1))
    cut = Cut("before", left)
    with cutting(place, folder, cut) as through:
        again = Ledger(through)
        assert [again.spent("a") for _ in range(3)] == [Fraction(1, 3)] * 3
    assert cut.done


def test_a_connection_ended_by_the_server_is_made_again(postgres, ledger, monkeypatch):
    ended = []

    class Ending(Writer):
        def append(self, entry):
            if not ended:
                (pid,) = self._connection.execute("SELECT pg_backend_pid()").fetchone()
                ended.append(postgres.execute(f"SELECT pg_terminate_backend({pid})"))
            super().append(entry)

    monkeypatch.setattr(postgresql_history, "Writer", Ending)
    ledger.debit(debit(), Fraction(1))
    assert ended == [[(True,)]]
    assert kinds(ledger) == ["cap", "debit"]


def test_a_server_that_stays_away_is_not_waited_for_without_end(monkeypatch, folder):
    monkeypatch.setattr(postgresql_history, "WAIT", 0.3)
    nowhere = Database(f"postgresql://runs@{str(folder).replace('/', '%2F')}:1/postgres")
    start = time.monotonic()
    with pytest.raises(InputError, match=r"cannot be used: .*No such file.*Check the address"):
        Ledger(nowhere)
    assert 0.1 < time.monotonic() - start < 5
    with pytest.raises(InputError, match="cannot be used"):
        nowhere.exists()


def test_a_writer_that_holds_its_turn_too_long_is_not_waited_for(ledger, place, monkeypatch):
    monkeypatch.setattr(postgresql_history, "_LOCK_WAIT", "50ms")
    other = PostgresqlHistory(place)

    def inside(history):
        with pytest.raises(InputError, match="lock timeout.*Another run holds it"):
            ledger.debit(debit(), Fraction(1))

    other.write(inside)
    ledger.debit(debit(), Fraction(1))


def test_an_error_within_leaves_nothing(ledger, place):
    def fail(history):
        history.append(ledger.history()[0])
        raise BudgetError("no")

    ledger.set_cap("a", Fraction(1))
    with pytest.raises(BudgetError):
        PostgresqlHistory(place).write(fail)
    assert kinds(ledger) == ["cap"]


# Concurrent writers that take no turns: serializable transactions alone keep the budget


def _spend_without_turns(place, worker, times):
    PostgresqlHistory._take_turn = lambda *_: None
    return spend(place, worker, times)


@thorough
def test_without_turns_nothing_is_overspent_either(place):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        granted = pool.starmap(_spend_without_turns, [(place, worker, 10) for worker in range(3)])
    ledger = Ledger(place)
    assert ledger.spent("a") == 1
    debits = [entry.release for entry in ledger.history() if entry.kind == "debit"]
    assert sorted(debits) == sorted(release for some in granted for release in some)


# Passwords


@pytest.fixture
def over_tcp(postgres, place):
    """The ledger's address where a password is asked for."""
    return Database(postgres.uri(user=WRITER, tcp=True, schema=place.schema))


def test_the_password_comes_from_the_environment_or_a_file(over_tcp, monkeypatch, tmp_path):
    monkeypatch.setattr(postgresql_history, "WAIT", 0)
    with pytest.raises(InputError, match="no password supplied.*PGPASSWORD"):
        Ledger(over_tcp)
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSWORD", PASSWORD)
        Ledger(over_tcp).debit(debit(), Fraction(1))
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:*:*:{WRITER}:{PASSWORD}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    assert Ledger(over_tcp).spent("a") == Fraction(1, 3)
    monkeypatch.delenv("PGPASSFILE")
    service = tmp_path / "services"
    service.write_text(f"[budget]\nhost=127.0.0.1\nport={over_tcp.parameters['port']}\nuser={WRITER}\n"
                       f"dbname=postgres\npassword={PASSWORD}\n")  # fmt: skip
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    assert Ledger(Database(f"postgresql://?service=budget&schema={over_tcp.schema}")).spent(
        "a"
    ) == Fraction(1, 3)


def told(works):
    """All that errors say, and hold."""
    texts = []
    for work in works:
        with pytest.raises((BudgetError, InputError)) as caught:
            work()
        texts += [str(caught.value), repr(vars(caught.value))]
    return texts


def everything_said(place):
    """What addresses, errors and the ledger itself tell, and what travels of them."""
    said = [repr(place), str(place), repr(place.parameters), repr(pickle.dumps(place))]
    said += told([lambda: Ledger(Database(f"{place}x"))])
    try:
        ledger = Ledger(place)
    except InputError:
        return [*said, *told([lambda: Ledger(place), place.exists])]
    said += told([lambda: ledger.debit(debit(epsilon="9"), Fraction(1))])
    return [*said, repr(ledger.history()), Path("/proc/self/cmdline").read_text()]


@pytest.mark.parametrize("canary", [PASSWORD, "wrong-8c1e"])
def test_the_password_is_in_no_message_and_travels_nowhere(over_tcp, monkeypatch, canary, capfd):
    monkeypatch.setenv("PGPASSWORD", canary)
    monkeypatch.setattr(postgresql_history, "WAIT", 0)
    said = [*everything_said(over_tcp), *capfd.readouterr()]
    assert len(said) > 8
    assert not [text for text in said if canary in text]


def test_a_message_with_the_password_would_be_found(over_tcp, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setattr(postgresql_history, "reason", lambda error: os.environ["PGPASSWORD"])
    assert [text for text in everything_said(over_tcp) if PASSWORD in text]
