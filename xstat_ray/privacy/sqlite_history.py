"""A history in an SQLite file.

Triggers refuse updates, deletions and replacements, and indexes a second debit of one release or of
one session. A transaction is durable when it ends (write-ahead log, full synchronisation), and
after a crash it has happened as a whole or not at all.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from xstat_ray.errors import InputError
from xstat_ray.privacy.history import VERSION, History, Reader, Writer
from xstat_ray.util.mounts import network_file_system

T = TypeVar("T")

MOVED = 3
"""Version of a file whose entries are in a database now, and which is closed."""

DURABLE = "PRAGMA synchronous = FULL"
"""Makes a transaction wait until the disk has it."""

_SCHEMA = (
    "PRAGMA journal_mode = WAL",
    """
    CREATE TABLE history (
        number INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('cap', 'debit', 'refusal', 'witness')),
        dataset TEXT NOT NULL,
        study TEXT NOT NULL,
        name TEXT NOT NULL,
        release TEXT NOT NULL,
        epsilon TEXT NOT NULL,
        delta TEXT NOT NULL,
        rho TEXT NOT NULL,
        cap TEXT NOT NULL,
        note TEXT NOT NULL,
        session TEXT NOT NULL,
        head TEXT NOT NULL,
        digest TEXT NOT NULL UNIQUE
    ) STRICT
    """,
    "CREATE TABLE origin (digest TEXT NOT NULL) STRICT",
    "CREATE UNIQUE INDEX debited_once ON history (dataset, release) WHERE kind = 'debit'",
    "CREATE UNIQUE INDEX paid_once ON history (dataset, session) "
    "WHERE kind = 'debit' AND session <> ''",
    "CREATE TRIGGER no_update BEFORE UPDATE ON history "
    "BEGIN SELECT RAISE(ABORT, 'history is append-only'); END",
    "CREATE TRIGGER no_delete BEFORE DELETE ON history "
    "BEGIN SELECT RAISE(ABORT, 'history is append-only'); END",
    # INSERT OR REPLACE deletes without firing the trigger above. Each condition has its own index.
    """
    CREATE TRIGGER no_replace BEFORE INSERT ON history
    WHEN EXISTS (SELECT 1 FROM history WHERE number = NEW.number)
    OR EXISTS (SELECT 1 FROM history WHERE digest = NEW.digest)
    OR NEW.kind = 'debit' AND EXISTS (
        SELECT 1 FROM history
        WHERE kind = 'debit' AND dataset = NEW.dataset AND release = NEW.release
    )
    OR NEW.kind = 'debit' AND EXISTS (
        SELECT 1 FROM history WHERE kind = 'debit' AND session <> ''
        AND dataset = NEW.dataset AND session = NEW.session
    )
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END
    """,
    f"PRAGMA user_version = {VERSION}",
)


class SqliteHistory(History):
    """The entries kept in one file.

    Opening it creates the file and its folder, readable by the owner only.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and check the chain of its entries.

        Raises:
            InputError: it cannot be written to, is no ledger, its entries are not a chain, or other
                hosts may have it open too, as it lies on a network file system.
        """
        self._path = path
        self._check_disk()
        try:
            if not path.exists():
                _create(path)
        except OSError as error:
            raise self.unusable(error.strerror) from None
        except sqlite3.Error as error:
            raise self.unusable(str(error)) from None
        with self._connection("DEFERRED") as connection:
            self._check_version(connection)
            self.check(Reader(connection))

    def read(self, work: Callable[[Reader], T]) -> T:
        """Do some work on one consistent view (see `History`)."""
        with self._connection("DEFERRED") as connection:
            return work(Reader(connection))

    def write(self, work: Callable[[Writer], T]) -> T:
        """Do some work that may append, while the file is locked (see `History`)."""
        with self._connection("IMMEDIATE") as connection:
            return work(Writer(connection))

    def unusable(self, why: str | None, remedy: str | None = None) -> InputError:
        """Make an error that names the file."""
        remedy = remedy or "Name a file that this user may write, on a disk with free space"
        return InputError(
            f"the budget ledger cannot be used: {why}", file=str(self._path), remedy=remedy
        )

    def _check_disk(self) -> None:
        """Refuse a file system of several hosts: the write-ahead log needs memory that they share.

        (SQLite, "Write-Ahead Logging", section 1.)
        """
        kind = network_file_system(self._path)
        if kind is not None:
            raise self.unusable(
                f"it lies on a network file system ({kind}), where SQLite loses entries",
                remedy="Keep it on a local disk of one host, or in a PostgreSQL database that many "
                "hosts may use (docs/budget.md)",
            )

    def _check_version(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 1:
            raise self.unusable(
                "it is of version 0.1",
                remedy="Take it over into a new file with xstat-ray budget take-over",
            )
        if version == MOVED:
            raise self.unusable(
                "it was moved into a database",
                remedy="Name the database (data.row.ledger, data.column.ledger, ledger)",
            )
        if version != VERSION:
            raise self.unusable("it is no ledger of this version")

    @contextmanager
    def _connection(self, lock: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(self._path, timeout=60, isolation_level=None)
            ) as connection:
                connection.execute(DURABLE)
                connection.execute(f"BEGIN {lock}")
                # An exception skips the commit, and closing rolls back.
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self.unusable(str(error)) from None


def _create(path: Path) -> None:
    """Put a whole, empty file into place, unless someone else has done so meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        new = Path(folder) / path.name
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute(DURABLE)
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO origin VALUES (?)", (os.urandom(32).hex(),))
        new.chmod(0o600)
        with suppress(FileExistsError):
            path.hardlink_to(new)
