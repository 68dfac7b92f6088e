"""A history in a PostgreSQL database, for parties that run on several hosts.

The owner of the tables makes them once (`postgresql_schema`); runs come as another role, the
writer, which may read and insert and nothing else. Triggers refuse changes by the owner too.

A transaction is serializable, and so are debits. For speed alone writers take turns by an advisory
lock, so that few are refused for another's sake; those are done again. A transaction whose commit
was sent when the connection was lost may have happened or not: the next one looks whether its last
entry is held. It looks after it has had its turn, so nothing of the one before is under way then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from xstat_ray.errors import InputError
from xstat_ray.privacy.database import (
    AS_WRITER,
    REMEDY,
    Database,
    connected,
    load_driver,
    reason,
    unusable,
)
from xstat_ray.privacy.history import VERSION, Found, History, Reader, Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

T = TypeVar("T")

WAIT = 60.0
"""Seconds for which a lost server is waited for."""
MOST_ATTEMPTS = 200
"""Attempts at one transaction, at most."""
_LOCK_WAIT = "60s"
"""How long a writer waits for its turn; as long as for the lock of an SQLite file."""
_STALLED = "600s"
"""After this time a writer that does nothing loses its turn."""
_PAUSE = 0.02
"""Seconds before the second attempt; they double while a server is lost."""
_READING = "REPEATABLE READ READ ONLY"
_WRITING = "SERIALIZABLE READ WRITE"
_REFUSED = frozenset({"40001", "40P01", "23505"})
"""SQLSTATEs of transactions that were refused for another's sake. (PostgreSQL 15, appendix A.)"""
_PASSING = frozenset({"53300", "57P01", "57P02", "57P03", "57P05", "25P03"})
"""SQLSTATEs of a server that stops, starts, has no connection left, or has ended this one."""
_FINAL = ("authentication failed", "no password", "does not exist", "pg_hba.conf", "certificate")
"""Parts of what is said of connections that no other attempt makes."""
_REMEDIES = {
    "42501": AS_WRITER,
    "42P01": "Make it once with xstat-ray budget create",
    "3F000": "Make it once with xstat-ray budget create",
    "55P03": "Another run holds it; try again when that has ended",
    "25006": "Name the server that may be written to, as by target_session_attrs=read-write",
}
"""What to do about some SQLSTATEs."""


class PostgresqlHistory(History):
    """The entries kept in one schema of a database."""

    def __init__(self, database: Database) -> None:
        """Look at the ledger and check the chain of its entries.

        Raises:
            InputError: the database cannot be reached, has no ledger, or its entries are not a
                chain.
        """
        self._database = database
        self._repeat(lambda connection: _transaction(connection, _READING, self._look))

    def read(self, work: Callable[[Reader], T]) -> T:
        """Do some work on one consistent view (see `History`)."""
        # Every writer reads what all before it have written, so a snapshot is a beginning of the
        # chain.
        return self._repeat(
            lambda connection: _transaction(
                connection, _READING, lambda statements: work(Reader(statements))
            )
        )

    def write(self, work: Callable[[Writer], T]) -> T:
        """Do some work that may append (see `History`)."""
        sent: list[tuple[str, T]] = []

        def append(statements: _Statements) -> T:
            writer = Writer(statements)
            for head, result in sent:
                if writer.holds(head):
                    return result
            self._check_role(statements)
            result = work(writer)
            if writer.appended:
                sent.append((writer.head(), result))
            return result

        def attempt(connection: psycopg.Connection[Any]) -> T:
            self._take_turn(connection)
            return _transaction(connection, _WRITING, append)

        return self._repeat(attempt)

    def unusable(self, why: str | None, remedy: str | None = None) -> InputError:
        """Make an error that names the database."""
        return unusable(self._database, why, remedy or REMEDY)

    def _take_turn(self, connection: psycopg.Connection[Any]) -> None:
        """Wait until no other writer is at work; the turn ends with the connection.

        It is taken before the transaction begins, whose view would else be older than the turn.
        """
        connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{_STALLED}'")
        digest = sha256(b"xstat-ray ledger\0" + self._database.schema.encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        connection.execute("SELECT pg_advisory_lock(%s)", (key,))

    def _check_role(self, statements: _Statements) -> None:
        """Refuse a role that could change entries: runs are not to have what they do not need."""
        (may_change,) = statements.execute(
            "SELECT has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER') "
            "OR pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = 'history'::regclass"
        ).fetchone()
        if may_change:
            raise self.unusable(
                "this role may change its entries",
                remedy=f"{AS_WRITER}, which owns nothing",
            )

    def _look(self, statements: _Statements) -> None:
        """Check the version and the chain."""
        versions = statements.execute("SELECT version FROM origin").fetchall()
        if any(version != VERSION for (version,) in versions):
            raise self.unusable("it is no ledger of this version", remedy="Update xstat-ray")
        self.check(Reader(statements))

    def _repeat(self, attempt: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Do something on a new connection, again where that may help."""
        driver = load_driver()
        deadline = time.monotonic() + WAIT
        pause = _PAUSE
        for left in reversed(range(MOST_ATTEMPTS)):
            try:
                with connected(self._database) as connection:
                    return attempt(connection)
            except driver.Error as error:
                late = not left or time.monotonic() + pause > deadline
                if late or not _may_pass(error):
                    raise self.unusable(reason(error), _REMEDIES.get(error.sqlstate)) from None
                pause = _PAUSE if error.sqlstate in _REFUSED else min(2 * pause, 1)
            time.sleep(pause)
        raise AssertionError


class _Statements:
    """A connection as `History` sees it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Found:
        """Run one statement; psycopg writes places for values as `%s`."""
        found: Found = self._connection.execute(statement.replace("?", "%s"), values)
        return found


def _transaction(
    connection: psycopg.Connection[Any], mode: str, work: Callable[[_Statements], T]
) -> T:
    connection.execute(f"BEGIN ISOLATION LEVEL {mode}")
    if mode == _WRITING:
        # Whatever the server's default: what is committed is on disk.
        connection.execute("SET LOCAL synchronous_commit = on")
    # An exception skips the commit, and closing the connection rolls back.
    result = work(_Statements(connection))
    done = connection.execute("COMMIT").statusmessage
    if done != "COMMIT":
        raise RuntimeError(f"the transaction ended by {done}")
    return result


def _may_pass(error: psycopg.Error) -> bool:
    """Whether another attempt may succeed."""
    if error.sqlstate is not None:
        return error.sqlstate in _REFUSED | _PASSING or error.sqlstate.startswith("08")
    # Without an SQLSTATE the connection was lost, or there was none. Servers speak many languages,
    # so what they say is no more than a shortcut to the error.
    lost = isinstance(error, load_driver().OperationalError)
    return lost and not any(part in str(error) for part in _FINAL)
