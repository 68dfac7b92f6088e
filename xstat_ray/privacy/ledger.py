"""The ledger: what has been spent of each data set's privacy budget, durable and impossible to overspend.

An SQLite file with an append-only table of debits as exact rationals. A debit is one transaction that holds the write
lock from reading the sum to committing the row, so concurrent releases cannot both pass the cap; a debit that was
already made for the same release is not made again.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from xstat_ray.errors import BudgetError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS debit (
    dataset TEXT NOT NULL,
    release TEXT NOT NULL,
    study TEXT NOT NULL,
    epsilon TEXT NOT NULL,
    delta TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (dataset, release)
) STRICT
"""


@dataclass(frozen=True)
class Debit:
    """What one release takes from the budget of every data set it uses."""

    datasets: tuple[str, ...]
    release: str
    study: str
    """Digest of the study, hexadecimal."""
    epsilon: Fraction
    delta: Fraction


class Ledger:
    """The debits kept in one file; opening it creates the file and its folder, readable by the owner only."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        with self._connection() as connection:
            connection.execute(_SCHEMA)
        path.chmod(0o600)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=60, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            yield connection
        finally:
            connection.close()

    def spent(self, dataset: str) -> Fraction:
        """Epsilon spent on a data set so far: debits add up (basic composition)."""
        with self._connection() as connection:
            return _spent(connection, dataset)

    def debit(self, debit: Debit, cap: Fraction) -> None:
        """Record a debit of all its data sets, or of none, before anything is decrypted.

        A repeat of the same release changes nothing.

        Raises:
            BudgetError: a data set would pass `cap`, or the release id was used for another study or amount.
        """
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for dataset in debit.datasets:
                    _debit(connection, dataset, debit, cap)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _debit(connection: sqlite3.Connection, dataset: str, debit: Debit, cap: Fraction) -> None:
    terms = (debit.study, str(debit.epsilon), str(debit.delta))
    known = connection.execute(
        "SELECT study, epsilon, delta FROM debit WHERE dataset = ? AND release = ?", (dataset, debit.release)
    ).fetchone()
    if known is not None:
        if known != terms:
            raise BudgetError(f"release {debit.release} was debited before on other terms")
        return
    spent = _spent(connection, dataset)
    if spent + debit.epsilon > cap:
        raise BudgetError(
            f"data set {dataset}: epsilon {spent} of {cap} is spent and this release needs {debit.epsilon}. "
            "Nothing was decrypted. Ask for a smaller epsilon, or agree on a higher privacy.cap"
        )
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    connection.execute("INSERT INTO debit VALUES (?, ?, ?, ?, ?, ?)", (dataset, debit.release, *terms, at))


def _spent(connection: sqlite3.Connection, dataset: str) -> Fraction:
    rows = connection.execute("SELECT epsilon FROM debit WHERE dataset = ?", (dataset,))
    return sum((Fraction(row[0]) for row in rows), Fraction(0))
