"""Tables that are no files, between domains: one copy for all steps, which goes once it is emitted."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from tests.case import COUNTS, ROWS, Case, study
from tests.federation.domains import Domains
from tests.federation.test_steps import result
from xstat_ray import DatabaseTable, Source
from xstat_ray.errors import ClusterError, PendingError, ProtocolError
from xstat_ray.federation.party import FACTS
from xstat_ray.federation.table_copy import table_files
from xstat_ray.inputs.spool import SPOOL

pytestmark = pytest.mark.usefixtures("quick_key", "umask_kept")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def database(folder: Path, columns: dict[str, list[str]]) -> DatabaseTable:
    """The table of these columns, in a file of SQLite."""
    with closing(sqlite3.connect(folder / "operator.db")) as connection, connection:
        connection.execute(f"CREATE TABLE t ({', '.join(columns)})")
        connection.executemany("INSERT INTO t VALUES (?, ?)", zip(*columns.values()))
    return DatabaseTable(f"sqlite:{folder}/operator.db", "t")


def empty(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "operator.db")) as connection, connection:
        connection.execute("DELETE FROM t")


def test_all_steps_read_what_the_first_has_read(case, tmp_path):
    """The rows are gone from the database after the ID exchange."""
    sources = {"row": Source(database(tmp_path, ROWS)), "column": case.tables["column"]}
    domains = Domains(tmp_path, study(), sources)
    domains.run(until=("row", "emit"))
    copy = domains.state("row") / SPOOL
    assert list(copy.rglob("*.parquet"))
    empty(tmp_path)
    domains.run()
    assert result(domains) == COUNTS
    assert not copy.exists() and (domains.state("row") / FACTS).exists()


def run(folder: Path) -> SimpleNamespace:
    return SimpleNamespace(folder=folder, plan=SimpleNamespace(study=study()))


@pytest.mark.parametrize("step", ["exchange", "emit", "all"])
@pytest.mark.parametrize("error", [PendingError("x"), ClusterError("x"), KeyboardInterrupt()])
def test_a_copy_stays_for_the_same_command(tmp_path, step, error):
    source = Source(pa.table(ROWS))
    with pytest.raises(type(error)), table_files(run(tmp_path), "row", source, step):
        raise error
    assert (tmp_path / SPOOL / "complete.json").exists()
    # A stream can be read once, and the copy is read again.
    with table_files(run(tmp_path), "row", source, step) as files:
        assert Path(files.files).exists()
        (tmp_path / FACTS).write_text("{}")
    assert not (tmp_path / SPOOL).exists()


@pytest.mark.parametrize("error", [ProtocolError("x"), ValueError("x")])
def test_a_copy_goes_with_an_error_that_ends_the_run(tmp_path, error):
    with (
        pytest.raises(type(error)),
        table_files(run(tmp_path), "row", Source(pa.table(ROWS)), "all"),
    ):
        raise error
    assert not (tmp_path / SPOOL).exists()


@pytest.mark.parametrize(
    ("step", "emitted"), [("handshake", False), ("noise", True), ("emit", True)]
)
def test_steps_that_read_no_table_copy_none(tmp_path, step, emitted):
    if emitted:
        (tmp_path / FACTS).write_text("{}")
    with table_files(run(tmp_path), "row", Source(pa.table(ROWS)), step) as files:
        assert not files.is_outside
        assert not (tmp_path / SPOOL).exists()


def test_a_party_that_has_emitted_its_table_needs_it_no_more(case, tmp_path):
    """The same command goes through all steps again when a later one had to wait."""
    sources = {"row": Source(database(tmp_path, ROWS)), "column": case.tables["column"]}
    domains = Domains(tmp_path, study(noise="laplace"), sources)
    domains.run(until=("row", "noise"))
    (tmp_path / "operator.db").unlink()
    with suppress(PendingError):
        domains.step("row", "all")
    domains.run()
    assert (domains.out / "statistics.parquet").exists()
