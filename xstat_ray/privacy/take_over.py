"""Takes over ledgers of version 0.1, whose entries are no chain.

The old file is kept under another name, and a new one with the same entries takes its place. What a
Laplace release declared as delta was not spent in 0.1, so it is 0 in the new file.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError
from xstat_ray.privacy.accounts import POOL
from xstat_ray.privacy.history import Entry, Writer
from xstat_ray.privacy.sqlite_history import SqliteHistory


def kept_name(path: Path) -> Path:
    """The name under which the old file of a ledger is kept."""
    return path.with_name(f"{path.name}.0.1")


def read_old(path: Path) -> list[Entry]:
    """Read the entries of a ledger of version 0.1, oldest first, as a new file will have them.

    Raises:
        InputError: it is no such ledger, or cannot be read.
    """
    with _old(path) as connection:
        return _entries(connection)


def take_over(path: Path) -> None:
    """Put a ledger with the entries of an old one into its place, and keep the old file.

    Whoever is about to write to the old file is waited for. A process that is killed leaves the
    whole old file or the whole new one in place, and can be started again.

    Raises:
        InputError: it is no ledger of version 0.1, cannot be written to, or is in use; or the name
            for the old file is taken.
    """
    kept = kept_name(path)
    if kept.exists() and not kept.samefile(path):
        raise InputError("the name for the old ledger is taken", file=str(kept), remedy="Move it")
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder,
            _old(path) as connection,
        ):
            new = Path(folder) / path.name
            SqliteHistory(new).write(partial(_append, _entries(connection)))
            connection.execute("COMMIT")
            # All of the old file is then in one file, and nobody else has it open.
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            if mode != "delete":
                raise _unusable(path, "it is in use")
            if not kept.exists():
                kept.hardlink_to(path)
            new.replace(path)
    except OSError as error:
        raise _unusable(path, error.strerror) from None


def _append(entries: Iterable[Entry], history: Writer) -> None:
    for entry in entries:
        history.append(entry)


@contextmanager
def _old(path: Path) -> Iterator[sqlite3.Connection]:
    """The old file, locked against others who would write to it."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            if connection.execute("PRAGMA user_version").fetchone() != (1,):
                raise _unusable(path, "it is no ledger of version 0.1")
            yield connection
    except sqlite3.Error as error:
        raise _unusable(path, str(error)) from None


def _entries(connection: sqlite3.Connection) -> list[Entry]:
    rows = connection.execute(
        "SELECT at, kind, dataset, study, name, release, epsilon, delta, rho, cap, note "
        "FROM history ORDER BY number"
    )
    return [_entry(*row) for row in rows]


def _entry(*row: Any) -> Entry:
    amounts = map(Fraction, row[6:10])
    entry = Entry(*row[:6], *amounts, *row[10:])
    counted = entry.kind == "cap" or entry.rho or entry.dataset.endswith(POOL)
    return entry if counted else replace(entry, delta=Fraction(0))


def _unusable(path: Path, why: str | None) -> InputError:
    return InputError(f"the ledger cannot be taken over: {why}", file=str(path))
