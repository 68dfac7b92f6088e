"""A ledger as version 0.1 made it: the same table, without session, head and chain."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_TEXTS = (
    "at TEXT, kind TEXT, dataset TEXT, study TEXT, name TEXT, release TEXT, epsilon TEXT, "
    "delta TEXT, rho TEXT, cap TEXT, note TEXT"
)
ENTRIES = [
    ("2025-01-01", "cap", "s/row", "5d", "s", "r1", "0", "0", "0", "1", ""),
    ("2025-01-01", "debit", "s/row", "5d", "s", "r1", "1/3", "1/1000", "0", "1", ""),
    ("2025-01-02", "refusal", "s/row", "5d", "s", "r2", "1", "0", "0", "1", "too much"),
]


def make_old(path: Path) -> Path:
    """Make one with a cap, a debit and a refusal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"CREATE TABLE history (number INTEGER PRIMARY KEY, {_TEXTS}) STRICT")
        for entry in ENTRIES:
            connection.execute(
                "INSERT INTO history (at, kind, dataset, study, name, release, epsilon, delta, "
                "rho, cap, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                entry,
            )
        connection.execute("PRAGMA user_version = 1")
    return path
