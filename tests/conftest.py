"""What several test files share.

The demo's tables, a small synthetic study, and a Ray that is started once in a session.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from tests import oracle
from tests import postgres as postgresql
from tests.object_store import bucket, s3_server  # noqa: F401 - fixtures
from tests.synthetic import make_study, make_tables
from xstat_ray.crypto import oprf
from xstat_ray.crypto.kernels import choice
from xstat_ray.inputs.nycflights import write_tables
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.study_file import load
from xstat_ray.model.study import Bounds, Privacy
from xstat_ray.privacy import sqlite_history

ROOT = Path(__file__).parents[1]

# How long an example takes depends on what else the machine does; a build must not depend on which
# examples are drawn.
settings.register_profile(
    "tests",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.register_profile("short", settings.get_profile("tests"), max_examples=40)
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Draw fewer examples where what is thorough is left out, as `make test` does."""
    if "not thorough" in config.option.markexpr:
        settings.load_profile("short")


@cache
def group_of(path: str) -> str:
    """Name the process that runs the tests of a file, where several processes run them.

    Files that use the session's Ray share one, as it is started once for each process. For other
    files a process of their own is enough, for the sake of their fixtures.
    """
    return "ray" if "ray_folder" in (ROOT / path).read_text(encoding="utf-8") else path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that share Ray first: as the largest group they must not begin last."""
    items.sort(key=lambda item: group_of(item.nodeid.partition("::")[0]) != "ray")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests by group. (pytest-xdist 3.8 does not see its own marks with pytest 9.2.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid.partition("::")[0])

    return Groups(config, log)


@pytest.fixture(autouse=True, scope="session")
def state_of_shared_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep ledgers of tests out of the user's registry, in processes that tests start too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XSTAT_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def state_of_a_test(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give each test a registry: tests have data sets of the same names."""
    monkeypatch.setenv("XSTAT_STATE", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(autouse=True, scope="session")
def power_stays_on() -> Iterator[None]:
    """Wait for no disk in this process: tests kill processes, whose files the system keeps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        patch.setattr(sqlite_history, "DURABLE", "PRAGMA synchronous = OFF")
        yield


STUDY = ROOT / "conf" / "study" / "nycflights.yaml"


WIDE = (
    *("adversary", "crypto", "test_id_exchange.py", "test_protocol.py"),
    *("test_kill.py", "test_ray_kill.py"),
)
"""Folders and files in which the ID exchange of this process has all its columns; in the last two
another process goes on with it."""


@pytest.fixture(autouse=True)
def few_columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the columns of the ID exchange, each of which takes an oblivious transfer.

    So many are there for secrecy: that equal ids have equal keys, and others have not, takes few.
    Runs in processes of their own, on Ray and between domains on one machine, have all.
    """
    if not any(part in WIDE for part in request.path.relative_to(ROOT / "tests").parts):
        monkeypatch.setattr(oprf, "width", lambda *_: 64)


@pytest.fixture
def umask_kept() -> Iterator[None]:
    """Restore the umask after a test that runs steps of a domain, which set it, in this process."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def nycflights(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The demo without noise and with bounds that never bind, so that the counts are exact."""
    row, column = write_tables(tmp_path_factory.mktemp("nycflights"))
    study = replace(
        load(STUDY),
        bounds=Bounds(rows=600, boardings=1, persons=4000),
        privacy=Privacy(noise="off"),
    )
    return SimpleNamespace(
        study=study, row=row, column=column, rows=pq.read_table(row), flags=pq.read_table(column)
    )


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The synthetic study, without noise, with its tables on disk."""
    rows, flags = make_tables()
    folder = tmp_path_factory.mktemp("small")
    row = folder / "presence.parquet"
    column = folder / "boarding.parquet"
    pq.write_table(rows, row)
    pq.write_table(flags, column)
    sources = {"row": Source(row), "column": Source(column)}
    return SimpleNamespace(
        study=make_study(), row=row, column=column, sources=sources, rows=rows, flags=flags
    )


@pytest.fixture
def without_ifma(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make this a process without the extension and with XSTAT_KERNEL not set."""
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "xstat_ray.crypto.kernels._native", None)
    choice.choose.cache_clear()
    yield
    choice.choose.cache_clear()


@pytest.fixture(scope="session")
def ray_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start Ray on this machine for all tests that are marked `ray`; gives its private folder.

    The user's home is an empty folder meanwhile, and must be empty at the end.
    """
    from xstat_ray.planning.cluster import Cluster
    from xstat_ray.runtime.ray_session import session

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        # Matplotlib and Chromium keep caches where these variables tell.
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("caches")))
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            patch.delenv(name)
        # Tests of metrics need the node's agent whole.
        with session(Cluster(cpus=2, store_bytes=100 << 20, metrics=True)) as folder:
            yield folder
    # Where Rust is installed by rustup, building a wheel asks for its version, which makes a folder.
    assert [path.name for path in home.iterdir() if path.name != ".rustup"] == []


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgresql.Server]:
    """A PostgreSQL server for all tests of this process, which takes part in no crash."""
    if postgresql.programs() is None:
        pytest.skip(postgresql.MISSING)
    with postgresql.started() as server:
        yield server


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say aloud what was left out for want of a PostgreSQL server."""
    if missed := postgresql.skipped(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_sep("=", f"{missed} tests LEFT OUT: {postgresql.MISSING}", red=True)


@pytest.fixture(scope="session")
def nycflights_expected(nycflights: SimpleNamespace) -> NDArray[np.int64]:
    """The exact counts of the demo."""
    return oracle.count(nycflights.study, nycflights.rows, nycflights.flags)
