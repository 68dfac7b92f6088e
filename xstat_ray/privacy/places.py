"""Where a ledger may lie: in a file, or in a PostgreSQL database."""

from __future__ import annotations

import shlex
from pathlib import Path

from xstat_ray.errors import InputError
from xstat_ray.privacy.database import Database
from xstat_ray.privacy.history import History
from xstat_ray.privacy.postgresql_history import PostgresqlHistory
from xstat_ray.privacy.sqlite_history import SqliteHistory
from xstat_ray.util.location import address_kind

Place = Path | Database
"""A file, or a database. Both are absolute, exist, and are shown by `str`."""


def place_of(text: str, key: str = "ledger") -> Place:
    """Read where a ledger lies.

    Args:
        text: path of a file, or address of a database, `postgresql://...`.
        key: key of the configuration, for the error.

    Raises:
        InputError: an address of another kind, or one that holds a password.
    """
    kind = address_kind(text)
    if kind is None:
        return Path(text)
    if kind not in ("postgresql", "postgres"):
        raise InputError(
            f"a budget ledger cannot lie at an address that begins with {kind}:",
            key=key,
            remedy="Name a file on a local disk, or postgresql://USER@HOST/DATABASE",
        )
    return Database(text)


def open_history(place: Place) -> History:
    """Open a ledger's history; a file is made where there is none.

    Raises:
        InputError: it cannot be used.
    """
    return SqliteHistory(place) if isinstance(place, Path) else PostgresqlHistory(place)


def argument(place: Place) -> str:
    """The setting `ledger=` of a place, as it is typed into a shell."""
    if isinstance(place, Path):
        return shlex.quote(f"ledger={place}")
    # Hydra takes no second = but in quotes; an address has no character that the shell changes.
    return f"\"ledger='{place}'\""


def create_command(place: Place) -> str:
    """The command that makes a ledger there."""
    writer = "" if isinstance(place, Path) else " writer=ROLE"
    return f"xstat-ray budget create {argument(place)}{writer}"


def check_database(place: Place) -> None:
    """Check that a ledger is there, if that is in a database; a file is made where there is none.

    Raises:
        InputError: there is none, or the database cannot be reached.
    """
    if isinstance(place, Database) and not place.exists():
        raise InputError(
            "the budget ledger does not exist",
            file=str(place),
            remedy=f"Make it once: {create_command(place)}",
        )
