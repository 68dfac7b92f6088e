"""The registry of a user's ledgers: which of them have counted which data sets.

Two ledgers of one data set are two budgets. A run asks the registry whether it is about to begin a
second one. It is a help against mistakes: a copy on another machine is not in it.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from xstat_ray.errors import InputError
from xstat_ray.privacy.database import Database
from xstat_ray.privacy.places import Place, place_of

STATE = "XSTAT_STATE"
"""Environment variable that names another folder for the registry."""


def state_folder() -> Path:
    """The folder for what is kept of a user between runs (XDG Base Directory Specification 0.8)."""
    if (chosen := os.environ.get(STATE)) is not None:
        return Path(chosen)
    home = os.environ.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local/state") / "xstat-ray"


def register(dataset: str, ledger: Place) -> list[Place]:
    """Remember that a ledger counts a data set.

    Returns:
        Other ledgers of a data set of this name that are still there.

    Raises:
        InputError: the registry cannot be used.
    """
    path = state_folder() / "ledgers.sqlite"
    here = ledger.resolve()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS ledger "
                "(dataset TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (dataset, path)) STRICT"
            )
            connection.execute("INSERT OR IGNORE INTO ledger VALUES (?, ?)", (dataset, str(here)))
            known = connection.execute(
                "SELECT path FROM ledger WHERE dataset = ? ORDER BY path", (dataset,)
            ).fetchall()
    except (OSError, sqlite3.Error) as error:
        raise InputError(
            f"the registry of ledgers cannot be used: {error}",
            file=str(path),
            remedy=f"Set {STATE} to a folder that this user may write",
        ) from None
    others = [place_of(text) for (text,) in known]
    return [other for other in others if other != here and _may_exist(other)]


def _may_exist(place: Place) -> bool:
    """Whether a ledger is still there; a database is not asked."""
    return isinstance(place, Database) or place.exists()
