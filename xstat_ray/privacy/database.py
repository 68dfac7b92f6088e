"""Addresses of PostgreSQL databases, and connections to them.

An address (libpq's "Connection URIs") holds no password: it is shown, kept in logs and handed from
process to process. libpq looks for the password in the process that connects: in PGPASSWORD, a
password file or a service file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from xstat_ray.errors import InputError

if TYPE_CHECKING:
    import psycopg

SCHEMA = "xstat_ray"
"""The schema of a ledger whose address names none."""
_ADDRESS = re.compile(
    r"(?i:postgres(?:ql)?)://(?:(?P<user>[\w.~%+-]*)@)?(?P<hosts>[\w.~%,:\[\]-]*)"
    r"(?:/(?P<database>[\w.~%+-]*))?(?:\?(?P<query>[\w.~%=&/:,+*-]*))?",
    re.ASCII,
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::(?P<port>\d*))?")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_PARAMETERS = (
    "application_name", "channel_binding", "connect_timeout", "dbname", "gssencmode", "host",
    "hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
    "krbsrvname", "load_balance_hosts", "passfile", "port", "require_auth", "service",
    "sslcert", "sslcrl", "sslkey", "sslmode", "ssl_min_protocol_version", "sslrootcert",
    "sslsni", "target_session_attrs", "tcp_user_timeout", "user",
)  # fmt: skip
_DEFAULTS = {
    "application_name": "xstat-ray",
    "connect_timeout": "10",
    # A host that is gone is noticed within a minute.
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
    # Of several servers the one that is written to: others may lag behind.
    "target_session_attrs": "read-write",
}
_HELD = "Leave it out, and have libpq look for it: in ~/.pgpass, a service file or PGPASSWORD"


@dataclass(frozen=True)
class Database:
    """Where a ledger lies in PostgreSQL: `postgresql://USER@HOST:PORT/DATABASE?schema=SCHEMA`."""

    uri: str
    parameters: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """What libpq is given."""
    schema: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Take the address apart.

        Raises:
            InputError: it is none, it holds a password, or it has a parameter that is not known.
                The message does not show it.
        """
        parameters = _parameters(self.uri)
        schema = parameters.pop("schema", SCHEMA)
        if not _NAME.fullmatch(schema):
            raise InputError(
                "the schema in the address of the budget ledger is no plain name",
                remedy="Use small letters, digits and _",
            )
        object.__setattr__(self, "parameters", _DEFAULTS | parameters)
        object.__setattr__(self, "schema", schema)

    def __str__(self) -> str:
        """Return the address."""
        return self.uri

    def absolute(self) -> Database:
        """Return this address, which means the same everywhere."""
        return self

    def resolve(self) -> Database:
        """Return the shortest address of this place, whoever connects and however."""
        named = {
            name: value
            for name in ("host", "hostaddr", "port", "dbname", "service")
            if (value := self.parameters.get(name))
        }
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in named.items())
        return Database(f"postgresql://?{query}{query and '&'}schema={self.schema}")

    def exists(self) -> bool:
        """Whether there is a ledger, by one look.

        Raises:
            InputError: the database cannot be reached, or this user may not look.
        """
        driver = load_driver()
        try:
            with connected(self) as connection:
                found = connection.execute(_LOOK, (self.schema,)).fetchone()
        except driver.Error as error:
            raise unusable(self, reason(error), REMEDY) from None
        if found == (False,):
            raise unusable(self, "this role may not read it", AS_WRITER)
        return found is not None


_LOOK = (
    "SELECT has_schema_privilege(pg_namespace.oid, 'USAGE') "
    "AND has_table_privilege(pg_class.oid, 'SELECT') FROM pg_class "
    "JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE relname = 'history' AND nspname = %s"
)
AS_WRITER = "Connect as the writer that budget create was told"
REMEDY = (
    "Check the address, and that the server runs and this user may come; the password is looked "
    "for in PGPASSWORD, a password file and a service file"
)


def load_driver() -> Any:
    """Import psycopg.

    Raises:
        InputError: it is not installed.
    """
    try:
        import psycopg
    except ImportError:
        raise InputError(
            "a budget ledger in PostgreSQL needs psycopg",
            remedy="pip install 'xstat-ray[postgresql]'",
        ) from None
    return psycopg


@contextmanager
def connected(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """Connect, with the ledger's schema as the only one; transactions are begun by hand."""
    driver = load_driver()
    with closing(
        driver.connect(**database.parameters, autocommit=True, prepare_threshold=None)
    ) as connection:
        # Temporary tables last, so that none takes the place of one of the ledger's.
        connection.execute(f'SET search_path TO "{database.schema}", pg_temp')
        yield connection


def unusable(database: Database, why: str | None, remedy: str | None) -> InputError:
    """Make an error that names the ledger."""
    return InputError(f"the budget ledger cannot be used: {why}", file=str(database), remedy=remedy)


def reason(error: psycopg.Error) -> str:
    """Say why, in one line: without details, which have values."""
    text = error.diag.message_primary or str(error).strip() or type(error).__name__
    return " ".join(text.splitlines()[0].split())


def _parameters(uri: str) -> dict[str, str]:
    whole = _ADDRESS.fullmatch(uri)
    if whole is None:
        if re.match(r"[^/]*//[^@]*:.*@", uri, re.S):
            raise InputError("the address of the budget ledger holds a password", remedy=_HELD)
        raise _malformed()
    found = dict[str, str]()
    if whole["user"]:
        found["user"] = unquote(whole["user"])
    if whole["hosts"]:
        found |= _hosts(whole["hosts"])
    if whole["database"]:
        found["dbname"] = unquote(whole["database"])
    for part in (whole["query"] or "").split("&"):
        if part:
            found |= [_parameter(part)]
    return found


def _hosts(text: str) -> dict[str, str]:
    parts = [_HOST.fullmatch(part) for part in text.split(",")]
    if not all(parts):
        raise _malformed()
    hosts = [unquote(part["host"].strip("[]")) for part in parts if part]
    ports = [part["port"] or "" for part in parts if part]
    return {"host": ",".join(hosts)} | ({"port": ",".join(ports)} if any(ports) else {})


def _parameter(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    if "password" in name.lower():
        raise InputError("the address of the budget ledger holds a password", remedy=_HELD)
    if name not in _PARAMETERS and name != "schema":
        known = ", ".join(sorted({*_PARAMETERS, "schema"}))
        raise InputError(
            "the address of the budget ledger has a parameter that is not known",
            remedy=f"Known are {known}",
        )
    return name, unquote(value)


def _malformed() -> InputError:
    return InputError(
        "the address of the budget ledger cannot be read",
        remedy="Write postgresql://USER@HOST:PORT/DATABASE?schema=SCHEMA, other characters than "
        "letters, digits and - . _ ~ as % and two hexadecimal digits",
    )
