"""The server that tests start: it asks for passwords over TCP, comes back after a crash, and is missed aloud."""

from __future__ import annotations

import os
import pwd
import signal
from pathlib import Path

import psycopg
import pytest

from tests import postgres as module
from tests.postgres import MISSING, PASSWORD, skipped
from tests.sizes import slow, thorough

pytest_plugins = ["pytester"]


def test_it_runs_as_an_ordinary_user(postgres):
    owner = Path(f"/proc/{postgres.pid}").stat().st_uid
    assert owner == os.getuid() if os.getuid() else pwd.getpwuid(owner).pw_name in module._ORDINARY


def test_over_tcp_a_password_is_asked_for(postgres, monkeypatch):
    role = postgres.new_role()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.uri(user=role, tcp=True))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.uri(user=role, tcp=True, password="another"))
    psycopg.connect(postgres.uri(user=role, tcp=True, password=PASSWORD)).close()
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    psycopg.connect(postgres.uri(user=role, tcp=True)).close()


@thorough
def test_it_comes_back_after_a_crash_with_what_was_committed():
    if module.programs() is None:
        pytest.skip(MISSING)
    with module.started("fsync=on") as server:
        server.execute("CREATE TABLE t AS SELECT 7 AS x")
        server.stop(signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            server.execute("SELECT 1")
        server.start()
        assert server.execute("SELECT x FROM t") == [(7,)]


@slow
def test_a_run_without_it_says_how_many_tests_were_left_out(pytester):
    pytester.makeconftest(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"
        "import tests.conftest\n"
        "from tests.conftest import postgres, pytest_terminal_summary\n"
        "tests.conftest.postgresql.programs = lambda: None\n"
    )
    pytester.makepyfile("def test_one(postgres): pass\ndef test_two(postgres): pass\n")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.stdout.fnmatch_lines([f"*2 tests LEFT OUT: {MISSING}*"])


def test_other_skipped_tests_are_not_counted():
    reports = [type("Report", (), {"longrepr": text}) for text in ("Skipped: no browser", MISSING)]
    assert skipped(reports) == 1
