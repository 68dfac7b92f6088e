"""Makes the tables of a ledger in PostgreSQL, as their owner; runs come as another role.

The writer may read and insert. It may change and delete nothing, and has no other role by which it
could. Triggers refuse it for everybody: the owner has to drop them first, which the chain and the
other party guard against (`history`, `ledger`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xstat_ray.errors import InputError
from xstat_ray.privacy.database import REMEDY, Database, connected, load_driver, reason, unusable
from xstat_ray.privacy.history import APPEND, VERSION

if TYPE_CHECKING:
    import psycopg

_TABLES = (
    """
    CREATE TABLE history (
        number bigint PRIMARY KEY,
        at text COLLATE "C" NOT NULL,
        kind text COLLATE "C" NOT NULL CHECK (kind IN ('cap', 'debit', 'refusal', 'witness')),
        dataset text COLLATE "C" NOT NULL,
        study text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        release text COLLATE "C" NOT NULL,
        epsilon text COLLATE "C" NOT NULL,
        delta text COLLATE "C" NOT NULL,
        rho text COLLATE "C" NOT NULL,
        cap text COLLATE "C" NOT NULL,
        note text COLLATE "C" NOT NULL,
        session text COLLATE "C" NOT NULL,
        head text COLLATE "C" NOT NULL,
        digest text COLLATE "C" NOT NULL UNIQUE
    )
    """,
    "CREATE TABLE origin (digest text NOT NULL, version integer NOT NULL)",
    "CREATE UNIQUE INDEX debited_once ON history (dataset, release) WHERE kind = 'debit'",
    "CREATE UNIQUE INDEX paid_once ON history (dataset, session) "
    "WHERE kind = 'debit' AND session <> ''",
    """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS
    $$ BEGIN RAISE EXCEPTION 'history is append-only'; END $$
    """,
    "CREATE TRIGGER no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON history "
    "EXECUTE FUNCTION refuse()",
    "ALTER TABLE history ENABLE ALWAYS TRIGGER no_change",
)
_SEALED = (
    "CREATE TRIGGER no_change BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON origin "
    "EXECUTE FUNCTION refuse()",
    "ALTER TABLE origin ENABLE ALWAYS TRIGGER no_change",
)


@dataclass(frozen=True)
class Kept:
    """What a ledger held where it was before."""

    origin: str
    rows: Sequence[tuple[Any, ...]]
    """All columns of the history, oldest first."""

    @property
    def head(self) -> str:
        """The digest of the last entry, or the origin."""
        return str(self.rows[-1][-1]) if self.rows else self.origin


def create(database: Database, writer: str, kept: Kept | None = None) -> None:
    """Make a ledger, and let a role write to it.

    Args:
        database: where; its user becomes the owner.
        writer: role with which runs come.
        kept: what it holds from the start; by default nothing.

    Raises:
        InputError: there is a ledger, or another's schema; the writer is no role, or has rights by
            which it could change entries; the owner may not do this, or cannot be reached.
    """
    driver = load_driver()
    try:
        with connected(database) as connection, connection.transaction():
            _check_place(connection, database)
            _check_writer(connection, writer)
            _make(connection, database.schema, writer, kept or Kept(os.urandom(32).hex(), ()))
    except driver.Error as error:
        raise unusable(database, reason(error), REMEDY) from None


def _check_place(connection: psycopg.Connection[Any], database: Database) -> None:
    """Refuse what is there already, and what could not hold all names."""
    one = connection.execute(
        "SELECT to_regclass('history') IS NOT NULL, "
        "(SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = %s) "
        "<> quote_ident(current_user), current_setting('server_encoding')",
        (database.schema,),
    ).fetchone()
    assert one is not None
    there, of_another, encoding = one
    if there:
        raise InputError("there is a ledger already", file=str(database))
    if of_another:
        raise unusable(
            database,
            "its schema belongs to another role, which could drop it",
            "Name another one: postgresql://...?schema=SCHEMA",
        )
    if encoding != "UTF8":
        raise unusable(
            database, f"the database's encoding is {encoding}", "Make one with ENCODING 'UTF8'"
        )


def _check_writer(connection: psycopg.Connection[Any], writer: str) -> None:
    """Refuse a role that could change entries all the same."""
    found = connection.execute(
        "SELECT rolsuper OR rolcreaterole OR pg_has_role(pg_roles.oid, datdba, 'MEMBER') "
        "OR pg_has_role(rolname, current_user, 'MEMBER') "
        "FROM pg_roles, pg_database WHERE rolname = %s AND datname = current_database()",
        (writer,),
    ).fetchone()
    if found is None:
        raise InputError(
            "there is no such role in the database",
            key="writer",
            remedy="Make it first, as in docs/budget.md: CREATE ROLE NAME LOGIN",
        )
    if found[0]:
        raise InputError(
            "this role could change entries: it is a superuser, may make roles, or has the role "
            "that owns the ledger or the database",
            key="writer",
            remedy="Name a role that has nothing else to do",
        )


def _make(connection: psycopg.Connection[Any], schema: str, writer: str, kept: Kept) -> None:
    from psycopg import sql

    names = {"schema": sql.Identifier(schema), "writer": sql.Identifier(writer)}
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {schema}").format(**names))
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO origin VALUES (%s, %s)", (kept.origin, VERSION))
    with connection.cursor() as cursor:
        cursor.executemany(APPEND.replace("?", "%s"), kept.rows)
    for statement in (
        *_SEALED,
        "REVOKE ALL ON history, origin FROM PUBLIC, {writer}",
        "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, {writer}",
        "GRANT USAGE ON SCHEMA {schema} TO {writer}",
        "GRANT SELECT, INSERT ON history TO {writer}",
        "GRANT SELECT ON origin TO {writer}",
    ):
        connection.execute(sql.SQL(statement).format(**names))
