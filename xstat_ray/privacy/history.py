"""The history of privacy budgets: a table to which entries are appended, and nothing else.

Amounts are exact rationals, as text. The entries are a hash chain: each has a digest of the entry
before it and of what it says itself, and the digest of the last one, the head, stands for the whole
history. The first has the table's origin before it, 32 random bytes: heads of two tables never
agree, and a head tells nothing of the history. Opening a history checks the chain.

The table refuses updates, deletions and replacements, and a second debit of one release or of one
session. That guards against mistakes, and the chain tells when it was got round, but whoever may do
anything with the table can make a new one. That is noticed by the party to which the head was told.

A history lies in an SQLite file (`sqlite_history`) or in a PostgreSQL database
(`postgresql_history`). Statements are the same for both.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from hashlib import sha256
from typing import Any, Literal, Protocol, TypeVar

from xstat_ray.errors import InputError

VERSION = 2
"""Of the table and of the chain."""
APPEND = "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
"""Takes number, the fields of an entry, digest."""
_LABEL = b"xstat-ray ledger entry\0"

T = TypeVar("T")


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


class Found(Protocol):
    """What a statement has found."""

    def fetchone(self) -> Any:
        """Return the next row, None if there is none."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""


class Connection(Protocol):
    """A transaction on the table; places for values are written as `?`."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Found:
        """Run one statement."""


class History(ABC):
    """The entries kept in one place, to which several processes may append at once."""

    @abstractmethod
    def read(self, work: Callable[[Reader], T]) -> T:
        """Do some work on one consistent view, however long it takes.

        Raises:
            InputError: the place cannot be used.
        """

    @abstractmethod
    def write(self, work: Callable[[Writer], T]) -> T:
        """Do some work that may append, alone.

        When this returns all that was appended is durable; where it raises, nothing was appended.

        Args:
            work: what to do. It may be done again where the place was lost meanwhile, so it changes
                nothing but the history.

        Raises:
            InputError: the place cannot be used, or this user may not append.
        """

    @abstractmethod
    def unusable(self, why: str | None, remedy: str | None = None) -> InputError:
        """Make an error that says which ledger cannot be used, and why."""

    def check(self, history: Reader) -> None:
        """Check that the entries are a chain.

        Raises:
            InputError: they are none.
        """
        broken = history.first_break()
        if broken is not None:
            raise self.unusable(
                f"entry {broken} does not continue the one before, so the ledger was changed or is "
                "damaged",
                remedy="Put back the newest copy of it",
            )


class Reader:
    """What is asked of the history within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def entries(self, dataset: str | None = None) -> list[Entry]:
        """All entries, oldest first, of one data set or of all."""
        if dataset is None:
            found = self._connection.execute("SELECT * FROM history ORDER BY number")
        else:
            found = self._connection.execute(
                "SELECT * FROM history WHERE dataset = ? ORDER BY number", (dataset,)
            )
        return [_entry(*row) for row in found.fetchall()]

    def limits(self) -> dict[str, tuple[Fraction, Fraction]]:
        """Cap and delta of every data set that has them."""
        # A later cap takes the place of an earlier one in the dictionary.
        rows = self._connection.execute(
            "SELECT dataset, cap, delta FROM history WHERE kind = 'cap' ORDER BY number"
        ).fetchall()
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
        ).fetchall()
        return [
            (Fraction(e), Fraction(d), Fraction(r), noise, times) for e, d, r, noise, times in rows
        ]

    def head(self) -> str:
        """The digest of the last entry; before the first, the origin."""
        return self._last()[1]

    def holds(self, head: str) -> bool:
        """Whether that is, or was once, the head."""
        found = self._connection.execute(
            "SELECT 1 FROM history WHERE digest = ? UNION SELECT 1 FROM origin WHERE digest = ?",
            (head, head),
        )
        return found.fetchone() is not None

    def first_break(self) -> int | None:
        """The number of the first entry that does not continue the chain; None if all do."""
        origins = self._connection.execute("SELECT digest FROM origin").fetchall()
        if len(origins) != 1:
            return 1
        (before,) = origins[0]
        rows = self._connection.execute("SELECT * FROM history ORDER BY number").fetchall()
        for expected, (number, *texts, digest) in enumerate(rows, start=1):
            if number != expected or digest != digest_of(before, number, texts):
                return expected
            before = digest
        return None

    def _last(self) -> tuple[int, str]:
        """Number and digest of the last entry; before the first, 0 and the origin."""
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

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.appended = False
        """Whether anything was appended."""

    def append(self, entry: Entry) -> None:
        """Add an entry to the end of the chain."""
        self.appended = True
        number, before = self._last()
        texts = [str(value) for value in astuple(entry)]
        values = (number + 1, *texts, digest_of(before, number + 1, texts))
        self._connection.execute(APPEND, values)


def _entry(*row: Any) -> Entry:
    """Read an entry from the columns of the table."""
    _, *texts, _ = row
    amounts = map(Fraction, texts[6:10])
    return Entry(*texts[:6], *amounts, *texts[10:])


def digest_of(before: str, number: int, texts: Sequence[str]) -> str:
    """SHA-256 of the digest before and of all that the entry says."""
    said = json.dumps([before, number, *texts]).encode()
    return sha256(_LABEL + said).hexdigest()
