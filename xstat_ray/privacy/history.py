"""The history of privacy budgets: an SQLite file to which entries are appended, and nothing else.

Amounts are exact rationals, as text. Triggers refuse updates, deletions and replacements, and an
index a second debit of one release; they guard against mistakes, not against someone who may write
the file. A transaction is durable when it ends (write-ahead log, full synchronisation), and after a
crash it has happened as a whole or not at all.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from xstat_ray.errors import InputError

_VERSION = 1
_SCHEMA = (
    "PRAGMA journal_mode = WAL",
    """
    CREATE TABLE history (
        number INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('cap', 'debit', 'refusal')),
        dataset TEXT NOT NULL,
        study TEXT NOT NULL,
        name TEXT NOT NULL,
        release TEXT NOT NULL,
        epsilon TEXT NOT NULL,
        delta TEXT NOT NULL,
        rho TEXT NOT NULL,
        cap TEXT NOT NULL,
        note TEXT NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX debited_once ON history (dataset, release) WHERE kind = 'debit'",
    "CREATE TRIGGER no_update BEFORE UPDATE ON history "
    "BEGIN SELECT RAISE(ABORT, 'history is append-only'); END",
    "CREATE TRIGGER no_delete BEFORE DELETE ON history "
    "BEGIN SELECT RAISE(ABORT, 'history is append-only'); END",
    # INSERT OR REPLACE deletes without firing the trigger above.
    """
    CREATE TRIGGER no_replace BEFORE INSERT ON history
    WHEN EXISTS (
        SELECT 1 FROM history WHERE number = NEW.number
        OR kind = 'debit' AND NEW.kind = 'debit' AND dataset = NEW.dataset AND release = NEW.release
    )
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END
    """,
    f"PRAGMA user_version = {_VERSION}",
)


@dataclass(frozen=True)
class Entry:
    """One line of the history. Amounts that a kind does not have are 0, texts are empty."""

    at: str
    """Time, UTC, ISO 8601."""
    kind: Literal["cap", "debit", "refusal"]
    dataset: str
    study: str = ""
    """Digest of the study, hexadecimal. Of a cap: the study that set it, empty where a person
    did."""
    name: str = ""
    """Name of the study."""
    release: str = ""
    epsilon: Fraction = Fraction(0)
    delta: Fraction = Fraction(0)
    """What the study declares; of a cap, the data set's."""
    rho: Fraction = Fraction(0)
    cap: Fraction = Fraction(0)
    """The new cap, or the one that the release was held against."""
    note: str = ""
    """Why a release was refused."""


class History:
    """The entries kept in one file.

    Opening it creates the file and its folder, readable by the owner only.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            InputError: it cannot be written to, or is no ledger; so do the methods.
        """
        self._path = path
        try:
            if not path.exists():
                _create(path)
        except OSError as error:
            raise self._unusable(error.strerror) from None
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from None
        with self._connection("DEFERRED") as connection:
            if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                raise self._unusable("it is no ledger of this version")

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One consistent view, however long it is looked at."""
        with self._connection("DEFERRED") as connection:
            yield Reader(connection)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Hold the file alone; at the end all that was appended is durable, or nothing is.

        Nothing is where an exception was raised.
        """
        with self._connection("IMMEDIATE") as connection:
            yield Writer(connection)

    @contextmanager
    def _connection(self, lock: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(self._path, timeout=60, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(f"BEGIN {lock}")
                # An exception skips the commit, and closing rolls back.
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from None

    def _unusable(self, why: str | None) -> InputError:
        remedy = "Set ledger= to a file that this user may write, on a disk with free space"
        return InputError(
            f"the budget ledger cannot be used: {why}", file=str(self._path), remedy=remedy
        )


def _create(path: Path) -> None:
    """Put a whole, empty file into place, unless someone else has done so meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        new = Path(folder) / path.name
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            for statement in _SCHEMA:
                connection.execute(statement)
        new.chmod(0o600)
        with suppress(FileExistsError):
            path.hardlink_to(new)


class Reader:
    """What is asked of the history within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def entries(self, dataset: str | None = None) -> list[Entry]:
        """All entries, oldest first, of one data set or of all."""
        rows = self._connection.execute(
            "SELECT at, kind, dataset, study, name, release, epsilon, delta, rho, cap, note "
            "FROM history WHERE ?1 IS NULL OR dataset = ?1 ORDER BY number",
            (dataset,),
        )
        return [_entry(row) for row in rows]

    def limits(self) -> dict[str, tuple[Fraction, Fraction]]:
        """Cap and delta of every data set that has them."""
        # A later cap takes the place of an earlier one in the dictionary.
        rows = self._connection.execute(
            "SELECT dataset, cap, delta FROM history WHERE kind = 'cap' ORDER BY number"
        )
        return {dataset: (Fraction(cap), Fraction(delta)) for dataset, cap, delta in rows}

    def debited(
        self, dataset: str, release: str
    ) -> tuple[str, Fraction, Fraction, Fraction] | None:
        """Study digest, epsilon, delta and rho of the debit of a release, None if there is none."""
        row = self._connection.execute(
            "SELECT study, epsilon, delta, rho FROM history "
            "WHERE kind = 'debit' AND dataset = ? AND release = ?",
            (dataset, release),
        ).fetchone()
        return row and (row[0], *map(Fraction, row[1:]))

    def amounts(self, dataset: str) -> list[tuple[Fraction, Fraction, int]]:
        """The debits of a data set: epsilon, rho, and how many there are of these."""
        rows = self._connection.execute(
            "SELECT epsilon, rho, count(*) FROM history "
            "WHERE kind = 'debit' AND dataset = ? GROUP BY epsilon, rho",
            (dataset,),
        )
        return [(Fraction(epsilon), Fraction(rho), times) for epsilon, rho, times in rows]

    def deltas(self, dataset: str) -> list[Fraction]:
        """What the debits of a data set declare."""
        rows = self._connection.execute(
            "SELECT delta FROM history WHERE kind = 'debit' AND dataset = ?", (dataset,)
        )
        return [Fraction(delta) for (delta,) in rows]


class Writer(Reader):
    """A transaction that may also append."""

    def append(self, entry: Entry) -> None:
        """Add an entry."""
        self._connection.execute(
            "INSERT INTO history "
            "(at, kind, dataset, study, name, release, epsilon, delta, rho, cap, note) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [str(value) for value in astuple(entry)],
        )


def _entry(row: tuple[Any, ...]) -> Entry:
    at, kind, dataset, study, name, release, *amounts, note = row
    epsilon, delta, rho, cap = map(Fraction, amounts)
    return Entry(at, kind, dataset, study, name, release, epsilon, delta, rho, cap, note)
