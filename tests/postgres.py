"""A PostgreSQL server for tests: started by an ordinary user, ended by its process id.

Whoever comes by the Unix socket is trusted; over TCP a password is asked for (SCRAM). The fixture
`postgres` (conftest.py) gives the session's server, or skips the test where none is installed; the
last lines of the run say so then.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from xstat_ray.privacy.database import Database
from xstat_ray.privacy.postgresql_schema import create

MISSING = "PostgreSQL is not installed (apt-get install postgresql)"
"""Why tests are skipped."""
ADMIN = "postgres"
"""The superuser's name."""
PASSWORD = "over-tcp-f3a9"
"""Of all roles, for whoever comes over TCP."""
OWNER = "keeper"
"""Role that owns the ledgers."""
WRITER = "runs"
"""Role that may write to them."""
_ORDINARY = ("postgres", "nobody")
"""Users one of whom starts the server where tests run as root, which PostgreSQL refuses."""
_SETTINGS = (
    "unix_socket_permissions=0777",
    "shared_buffers=16MB",
    "max_connections=60",
    "autovacuum=off",
    "log_min_messages=warning",
)


@cache
def programs() -> Path | None:
    """The folder with PostgreSQL's programs; None where it is not installed."""
    found = shutil.which("initdb")
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4])
    )
    path = Path(found).resolve() if found else next(reversed(installed), None)
    return path and path.parent


def _user() -> dict[str, Any]:
    """Whom to start a process as: options of `subprocess.Popen`."""
    if os.getuid() != 0:
        return {}
    names = {user.pw_name: user for user in pwd.getpwall()}
    user = next(names[name] for name in _ORDINARY if name in names)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _ending_with_parent(command: list[str]) -> list[str]:
    """Have a fast shutdown where the tests are killed, if the system can."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT", *command] if setpriv else command


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Server:
    """A server, started when it is made."""

    def __init__(self, folder: Path, *settings: str) -> None:
        """Make the files of a server in an empty folder, and start it.

        Args:
            folder: with a short path, as it holds a socket.
            settings: settings of postgresql.conf, such as `fsync=off`.
        """
        self._folder = folder
        self._data = folder / "data"
        self._settings = (*_SETTINGS, *settings)
        self._numbers = count(1)
        self.port = _free_port()
        owner = _user()
        if owner:
            os.chown(folder, owner["user"], owner["group"])
        folder.chmod(0o755)
        self._run(
            "initdb",
            *("-D", str(self._data), "-U", ADMIN, "-E", "UTF8", "--locale=C", "--no-sync"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
        )
        self.start()
        self.execute(f"ALTER ROLE {ADMIN} PASSWORD '{PASSWORD}'")
        for name in (OWNER, WRITER):
            self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        self.execute(f"GRANT CREATE ON DATABASE postgres TO {OWNER}")

    @property
    def pid(self) -> int:
        """Process id of the postmaster, which other processes of the server end with."""
        return self._process.pid

    def start(self) -> None:
        """Start the server, and return when it answers.

        Raises:
            RuntimeError: it does not within a minute; with the end of its log.
        """
        command = [str(_programs() / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        for setting in (f"unix_socket_directories={self._folder}", *self._settings):
            command += ["-c", setting]
        deadline = time.monotonic() + 60
        self._process = self._launch(command)
        while time.monotonic() < deadline:
            # After a crash the new server waits until processes of the old one are gone.
            if self._process.poll() is not None:
                self._process = self._launch(command)
            try:
                psycopg.connect(self.uri()).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError((self._folder / "log").read_text(errors="replace")[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT is a fast shutdown, SIGQUIT and SIGKILL are crashes."""
        self._process.send_signal(how)
        self._process.wait(timeout=60)

    def uri(
        self,
        database: str = "postgres",
        user: str = ADMIN,
        *,
        tcp: bool = False,
        password: str | None = None,
        **parameters: str,
    ) -> str:
        """The address of a database.

        Args:
            database: name of the database.
            user: role to come as.
            tcp: come over TCP, where a password is asked for.
            password: what is written into the address.
            parameters: further parameters of the address.
        """
        who = quote(user) if password is None else f"{quote(user)}:{quote(password, safe='')}"
        host = "127.0.0.1" if tcp else quote(str(self._folder), safe="")
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parameters.items())
        return f"postgresql://{who}@{host}:{self.port}/{database}{query and '?' + query}"

    def execute(self, statement: Any, database: str = "postgres", user: str = ADMIN) -> list[Any]:
        """Run a statement on a connection of its own, and return the rows that it gives."""
        with psycopg.connect(self.uri(database, user), autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []

    def new_database(self) -> str:
        """Make an empty database, and return its name."""
        name = f"d{next(self._numbers)}"
        self.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def new_role(self, options: str = "") -> str:
        """Make a role that may log in, with `PASSWORD`, and return its name."""
        name = f"r{next(self._numbers)}"
        self.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {options}")
        return name

    def new_schema(self, user: str = OWNER) -> Database:
        """The address of a schema that is not there yet, for its owner to make a ledger in."""
        return Database(self.uri(user=user, schema=f"ledger{next(self._numbers)}"))

    def new_ledger(self) -> Database:
        """Make an empty ledger; its address is the writer's."""
        made = self.new_schema()
        create(made, WRITER)
        return Database(self.uri(user=WRITER, schema=made.schema))

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                _ending_with_parent(command),
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_user(),
            )

    def _run(self, program: str, *arguments: str) -> None:
        process = self._launch([str(_programs() / program), *arguments])
        if process.wait(timeout=120):
            raise RuntimeError((self._folder / "log").read_text(errors="replace")[-2000:])


def _programs() -> Path:
    folder = programs()
    assert folder is not None, MISSING
    return folder


@contextmanager
def started(*settings: str) -> Iterator[Server]:
    """Start a server, by default one that waits for no disk, and end it.

    Args:
        settings: instead of `fsync=off`.
    """
    # Pytest's folders are root's alone, and their paths are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        server = Server(Path(folder), *(settings or ("fsync=off", "full_page_writes=off")))
        try:
            yield server
        finally:
            server.stop()


def skipped(reports: list[Any]) -> int:
    """How many of these skipped tests were skipped for want of a server."""
    return sum(MISSING in str(report.longrepr) for report in reports)
