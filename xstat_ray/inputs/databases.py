"""Tables of databases, through ADBC: PostgreSQL, SQLite, and whatever an ADBC profile names.

A table is read by one statement, so all of it is of one moment. Nothing here holds a password: a
driver takes it from its environment (`PGPASSWORD`, `~/.pgpass`, a profile), and a URI with one is
refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pyarrow as pa

from xstat_ray.errors import InputError
from xstat_ray.inputs.outside import Opened, OutsideTable, extra

_URI = re.compile(r"(postgresql|postgres|sqlite|profile):", re.IGNORECASE)
_PASSWORD = re.compile(r"\w+://[^@]*:[^@]*@|\b(ssl)?password\s*=", re.IGNORECASE)
_SECRET_PARAMETERS = ("password", "sslpassword", "oauth_client_secret")
_BATCH_BYTES = 1 << 24
_BATCH_ROWS = 1 << 16
"""Rows of a batch of SQLite, by the first of which the types of columns are found."""

_LOGIN = (
    "the database refuses the login",
    "Set PGPASSWORD in the environment of this command, or write a line of ~/.pgpass",
)
_LOST = ("the connection was lost while the table was read", "Run the same command again")
_STATES = {
    "28P01": _LOGIN,
    "28000": _LOGIN,
    "3D000": ("there is no such database", "Check the URI"),
    "42P01": ("there is no such table", "Check table or query, and the schema: SCHEMA.TABLE"),
    "42501": ("the login may not read the table", "Grant it SELECT"),
    "42703": ("the query names a column that is not there", "Check the query"),
    "42601": ("the database does not understand the query", "Run it by itself to see the error"),
    "25006": ("the query would write to the database", "Use a query that only reads"),
    "57P01": _LOST,
    "57P02": _LOST,
    "08006": _LOST,
    "57014": ("the query was cancelled", "Raise statement_timeout for this login"),
}
"""What an error of PostgreSQL means, by its SQLSTATE, and what to do."""


def is_database(uri: str) -> bool:
    """Whether this is the URI of a database, and not a path or an object store."""
    return _URI.match(uri) is not None


def holds_password(uri: str) -> bool:
    """Whether a URI, or a line of parameters for a driver, holds a password."""
    if _PASSWORD.search(uri):
        return True
    parameters = parse_qsl(uri.partition("?")[2], keep_blank_values=True)
    return any(name.lower() in _SECRET_PARAMETERS for name, _ in parameters)


URI_PROBLEM = "a URI holds a password"
URI_REMEDY = (
    "Take it out, as others can read a command line and a file; set PGPASSWORD, or write a line "
    "of ~/.pgpass"
)


@dataclass(frozen=True)
class DatabaseTable(OutsideTable):
    """A table of a database, or what a query gives."""

    uri: str
    """`postgresql://USER@HOST/DATABASE`, `sqlite:FILE`, or `profile://NAME`: a connection profile
    of ADBC, for any other driver. It holds no password."""
    table: str | None = None
    """Name of a table or a view, perhaps with its schema: `SCHEMA.TABLE`."""
    query: str | None = field(default=None, repr=False)
    """A query in place of a table."""

    parses = True

    def __post_init__(self) -> None:
        """Check the URI.

        Raises:
            InputError: it is of no known kind, holds a password, or there is not one of table and
                query.
        """
        if holds_password(self.uri):
            raise InputError(URI_PROBLEM, remedy=URI_REMEDY)
        if not is_database(self.uri):
            raise InputError(
                "not the URI of a database",
                remedy="Write postgresql://USER@HOST/DATABASE, sqlite:FILE or profile://NAME; from "
                "Python, a stream of any ADBC driver is taken as well",
            )
        if (self.table is None) == (self.query is None):
            raise InputError(
                "one of table and query is needed", file=self.uri, remedy="Name the table"
            )

    def __str__(self) -> str:
        return f"{self.uri}, {'the query' if self.table is None else f'table {self.table}'}"

    def identity(self) -> str:
        """Name the database and the table, or the query by its hash."""
        query = hashlib.sha256((self.query or "").encode()).hexdigest()
        return f"{self.uri} {self.table} {query}"

    def check(self) -> None:
        """Check that the driver is there, and the file of SQLite.

        Raises:
            InputError: it is not.
        """
        extra(self._driver, "sql", "a database")
        if self._scheme == "sqlite" and not self._file.is_file():
            raise InputError(
                "there is no such SQLite file", file=str(self._file), remedy="Check the path"
            )

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Connect, and run the query."""
        self.check()
        connection = self._connect()
        cursor = connection.cursor()
        try:
            options = self._options
            if options:
                cursor.adbc_statement.set_options(**options)
            if self._scheme == "postgresql":
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield self._opened(cursor)
        finally:
            # A connection that was lost cannot be closed; why it was lost is told already.
            for thing in (cursor, connection):
                with suppress(Exception):
                    thing.close()

    def _opened(self, cursor: Any) -> Opened:
        if self.query is not None:
            cursor.execute(self.query)
            reader = cursor.fetch_record_batch()
            return Opened(reader.schema.names, lambda columns: reader)
        name = ".".join(map(_quoted, str(self.table).split(".")))
        cursor.execute(f"SELECT * FROM {name} LIMIT 0")  # noqa: S608
        columns = cursor.fetch_record_batch().schema.names

        def read(wanted: Sequence[str]) -> pa.RecordBatchReader:
            cursor.execute(f"SELECT {', '.join(map(_quoted, wanted))} FROM {name}")  # noqa: S608
            return cursor.fetch_record_batch()

        return Opened(columns, read)

    def explain(self, error: Exception) -> InputError:
        """Tell what the error's code means; its text may hold values."""
        state = str(getattr(error, "sqlstate", None) or "")
        problem, remedy = _STATES.get(state) or _by_text(str(error), state)
        return InputError(problem, file=str(self), remedy=remedy)

    @property
    def _scheme(self) -> str:
        scheme = self.uri.partition(":")[0].lower()
        return "postgresql" if scheme == "postgres" else scheme

    @property
    def _file(self) -> Path:
        return Path(re.sub(r"^sqlite:(//(?=/))?", "", self.uri, flags=re.IGNORECASE))

    @property
    def _driver(self) -> str:
        kind = "manager" if self._scheme == "profile" else self._scheme
        return f"adbc_driver_{kind}.dbapi"

    @property
    def _options(self) -> dict[str, str]:
        return {
            "postgresql": {"adbc.postgresql.batch_size_hint_bytes": str(_BATCH_BYTES)},
            "sqlite": {"adbc.sqlite.query.batch_rows": str(_BATCH_ROWS)},
        }.get(self._scheme, {})

    def _connect(self) -> Any:
        driver = extra(self._driver, "sql", "a database")
        if self._scheme == "sqlite":
            # Without mode=ro SQLite would make a file that is not there.
            return driver.connect(f"file:{quote(str(self._file.absolute()))}?mode=ro")
        if self._scheme == "profile":
            return driver.connect(uri=self.uri, autocommit=True)
        return driver.connect(self.uri)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_WORDS: tuple[tuple[tuple[str, ...], tuple[str, str]], ...] = (
    # "closed the connection unexpectedly" must not be taken for what is expected below.
    (("closed the connection", "terminat"), _LOST),
    (("password", "authentication"), _LOGIN),
    (("no such table",), _STATES["42P01"]),
    (("no such column",), _STATES["42703"]),
    (("syntax error",), _STATES["42601"]),
    (
        ("mismatch", "expected"),
        ("a column holds values of several types", "Convert it in a query: CAST(... AS TEXT)"),
    ),
    (
        ("connect",),
        ("the database cannot be reached", "Check the URI, and that the server is running"),
    ),
)
"""What an error without a known code means, by words of the drivers; the first that fits."""


def _by_text(text: str, state: str) -> tuple[str, str]:
    for words, meaning in _WORDS:
        if any(word in text.lower() for word in words):
            return meaning
    shown = f" ({state})" if state.isalnum() else ""
    return f"the database ended the query{shown}", "Run it by itself to see the error"
