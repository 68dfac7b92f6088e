"""Moves a ledger from a file into a database, where its chain and the heads that were told hold.

The file stays where it is and refuses everything from then on, so that no run goes on with it, or
begins another budget in its place.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from xstat_ray.errors import InputError
from xstat_ray.privacy.database import Database
from xstat_ray.privacy.postgresql_history import PostgresqlHistory
from xstat_ray.privacy.postgresql_schema import Kept, create
from xstat_ray.privacy.sqlite_history import MOVED, SqliteHistory

_SEAL = (
    "CREATE TRIGGER moved BEFORE INSERT ON history "
    "BEGIN SELECT RAISE(ABORT, 'this ledger was moved into a database'); END",
    f"PRAGMA user_version = {MOVED}",
)


def move(path: Path, database: Database, writer: str) -> int:
    """Make a ledger in a database with the entries of a file, which is closed for good.

    The file is locked meanwhile. A process that is killed leaves the file as it was, and perhaps
    the same entries in the database; the same call then closes the file.

    Args:
        path: the file.
        database: where; its user becomes the owner.
        writer: role with which runs come.

    Returns:
        The number of entries.

    Raises:
        InputError: the file is no ledger or cannot be written to; or see `create`.
    """
    if not path.exists():
        raise InputError("there is no ledger to move", file=str(path))
    history = SqliteHistory(path)
    try:
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            kept = _entries(connection)
            if not _is_there(database, kept):
                create(database, writer, kept)
            for statement in _SEAL:
                connection.execute(statement)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise history.unusable(str(error)) from None
    return len(kept.rows)


def _entries(connection: sqlite3.Connection) -> Kept:
    (origin,) = connection.execute("SELECT digest FROM origin").fetchone()
    return Kept(origin, connection.execute("SELECT * FROM history ORDER BY number").fetchall())


def _is_there(database: Database, kept: Kept) -> bool:
    """Whether a process that was killed has put these entries there, and no run others."""
    return database.exists() and PostgresqlHistory(database).read(lambda h: h.head()) == kept.head
