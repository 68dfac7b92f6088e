"""The history of privacy budgets: an SQLite file to which entries are appended, and nothing else.

Amounts are exact rationals, as text. The entries are a hash chain: each has a digest of the entry
before it and of what it says itself, and the digest of the last one, the head, stands for the whole
history. The first has the file's origin before it, 32 random bytes: heads of two files never agree,
and a head tells nothing of the history. Opening the file checks the chain.

Triggers refuse updates, deletions and replacements, and indexes a second debit of one release or of
one session. They guard against mistakes, and the chain tells when they were got round, but whoever
may write the file can make a new one. That is noticed by the party to which the head was told. A
transaction is durable when it ends (write-ahead log, full synchronisation), and after a crash it
has happened as a whole or not at all.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import astuple, dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from xstat_ray.errors import InputError

_VERSION = 2
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
    f"PRAGMA user_version = {_VERSION}",
)


_LABEL = b"xstat-ray ledger entry\0"


@dataclass(frozen=True)
class Entry:
    """One line of the history. Amounts that a kind does not have are 0, texts are empty."""

    at: str
    """Time, UTC, ISO 8601."""
    kind: Literal["cap", "debit", "refusal", "witness"]
    dataset: str
    """The data set; of a witness, the other party's."""
    study: str = ""
    """Digest of the study, hexadecimal. Of a cap: the study that set it, empty where a person
    did."""
    name: str = ""
    """Name of the study."""
    release: str = ""
    epsilon: Fraction = Fraction(0)
    delta: Fraction = Fraction(0)
    """What the release declares; of a cap, the data set's."""
    rho: Fraction = Fraction(0)
    cap: Fraction = Fraction(0)
    """The new cap, or the one that the release was held against."""
    note: str = ""
    """Of a refusal: why. Of a debit: what is known of the noise (`Debit.noise`), which earlier
    versions left empty. Of a witness: heads that the ledger held beside this one."""
    session: str = ""
    """The session that the release ends, or in which a head was told, hexadecimal; empty where
    there is none."""
    head: str = ""
    """Of a witness: the head of the other party's ledger, hexadecimal; empty where it begins
    anew."""


class History:
    """The entries kept in one file.

    Opening it creates the file and its folder, readable by the owner only.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and check the chain of its entries.

        Raises:
            InputError: it cannot be written to, is no ledger, or its entries are not a chain; the
                methods raise it too.
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
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 1:
                raise self._unusable(
                    "it is of version 0.1",
                    remedy="Take it over into a new file with xstat-ray budget take-over",
                )
            if version != _VERSION:
                raise self._unusable("it is no ledger of this version")
            broken = _first_break(connection)
        if broken is not None:
            raise self._unusable(
                f"entry {broken} does not continue the one before, so the file was changed or is "
                "damaged",
                remedy="Put back the newest copy of it",
            )

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

    def _unusable(self, why: str | None, remedy: str | None = None) -> InputError:
        remedy = remedy or "Name a file that this user may write, on a disk with free space"
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
            connection.execute("INSERT INTO origin VALUES (?)", (os.urandom(32).hex(),))
        new.chmod(0o600)
        with suppress(FileExistsError):
            path.hardlink_to(new)


def _first_break(connection: sqlite3.Connection) -> int | None:
    """The number of the first entry that does not continue the chain; None if all do."""
    origins = connection.execute("SELECT digest FROM origin").fetchall()
    if len(origins) != 1:
        return 1
    (before,) = origins[0]
    rows = connection.execute("SELECT * FROM history ORDER BY number")
    for expected, (number, *texts, digest) in enumerate(rows, start=1):
        if number != expected or digest != _digest(before, number, texts):
            return expected
        before = digest
    return None


def _digest(before: str, number: int, texts: Sequence[str]) -> str:
    """SHA-256 of the digest before and of all that the entry says."""
    said = json.dumps([before, number, *texts]).encode()
    return sha256(_LABEL + said).hexdigest()


class Reader:
    """What is asked of the history within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def entries(self, dataset: str | None = None) -> list[Entry]:
        """All entries, oldest first, of one data set or of all."""
        rows = self._connection.execute(
            "SELECT * FROM history WHERE ?1 IS NULL OR dataset = ?1 ORDER BY number", (dataset,)
        )
        return [_entry(*row) for row in rows]

    def limits(self) -> dict[str, tuple[Fraction, Fraction]]:
        """Cap and delta of every data set that has them."""
        # A later cap takes the place of an earlier one in the dictionary.
        rows = self._connection.execute(
            "SELECT dataset, cap, delta FROM history WHERE kind = 'cap' ORDER BY number"
        )
        return {dataset: (Fraction(cap), Fraction(delta)) for dataset, cap, delta in rows}

    def debited(self, dataset: str, release: str) -> Entry | None:
        """The debit of a release, None if there is none."""
        return self._one(
            "SELECT * FROM history WHERE kind = 'debit' AND dataset = ? AND release = ?",
            dataset,
            release,
        )

    def paid(self, dataset: str, session: str) -> Entry | None:
        """The debit of a session, None if there is none."""
        # SQLite uses the index only for a query that repeats the index's condition.
        return self._one(
            "SELECT * FROM history "
            "WHERE kind = 'debit' AND session <> '' AND dataset = ? AND session = ?",
            dataset,
            session,
        )

    def amounts(self, dataset: str) -> list[tuple[Fraction, Fraction, Fraction, str, int]]:
        """The debits of a data set: epsilon, delta, rho, noise, and how many there are of these."""
        rows = self._connection.execute(
            "SELECT epsilon, delta, rho, note, count(*) FROM history "
            "WHERE kind = 'debit' AND dataset = ? GROUP BY epsilon, delta, rho, note",
            (dataset,),
        )
        return [
            (Fraction(e), Fraction(d), Fraction(r), noise, times) for e, d, r, noise, times in rows
        ]

    def head(self) -> str:
        """The digest of the last entry; before the first, the file's origin."""
        return self._last()[1]

    def holds(self, head: str) -> bool:
        """Whether that is, or was once, the head."""
        found = self._connection.execute(
            "SELECT 1 FROM history WHERE digest = ?1 UNION SELECT 1 FROM origin WHERE digest = ?1",
            (head,),
        )
        return found.fetchone() is not None

    def _last(self) -> tuple[int, str]:
        """Number and digest of the last entry; before the first, 0 and the file's origin."""
        last: tuple[int, str] = (
            self._connection.execute(
                "SELECT number, digest FROM history ORDER BY number DESC LIMIT 1"
            ).fetchone()
            or self._connection.execute("SELECT 0, digest FROM origin").fetchone()
        )
        return last

    def _one(self, query: str, *values: str) -> Entry | None:
        row = self._connection.execute(query, values).fetchone()
        return row and _entry(*row)


class Writer(Reader):
    """A transaction that may also append."""

    def append(self, entry: Entry) -> None:
        """Add an entry to the end of the chain."""
        number, before = self._last()
        texts = [str(value) for value in astuple(entry)]
        values = (number + 1, *texts, _digest(before, number + 1, texts))
        self._connection.execute(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values
        )


def _entry(*row: Any) -> Entry:
    """Read an entry from the columns of the table."""
    _, *texts, _ = row
    amounts = map(Fraction, texts[6:10])
    return Entry(*texts[:6], *amounts, *texts[10:])
