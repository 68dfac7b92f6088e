"""The job as one call on tables that are no files: counts of the join, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import deltalake
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.case import COLUMNS, COUNTS, KEY_BITS, ROWS, Case, counts, study, use_key
from tests.killing import child, clean_server
from tests.sizes import thorough
from xstat_ray import DatabaseTable, Delta, InputError, Source, crosstab
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import PartyLostError
from xstat_ray.inputs import stream_copy
from xstat_ray.inputs.spool import RECORD, SPOOL
from xstat_ray.runtime.driver import Driver


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return generate(KEY_BITS)


@pytest.fixture
def case(tmp_path: Path, key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> Case:
    use_key(key, monkeypatch.setattr)
    return Case(tmp_path)


def copies(case: Case) -> list[Path]:
    """What there is of copies of tables below the case's folder."""
    return [path for path in case.folder.rglob("*") if SPOOL in path.relative_to(case.folder).parts]


def record(out: Path, role: str) -> dict[str, object]:
    """What a party's own record tells of the tables that were copied."""
    return json.loads((out / "parties" / role / RECORD).read_text())


def test_data_frames_are_counted_like_files(case):
    opted_out = pa.table({"id": ["3"]})
    row = Source(pd.DataFrame(ROWS), exclude=opted_out)
    assert counts(case.run(study(), row=row, column=pl.DataFrame(COLUMNS))) == {
        **COUNTS, ("a", "x"): 1
    }  # fmt: skip
    assert copies(case) == []
    assert case.intake("row")["excluded"] == 1
    assert record(case.out, "row")["exclude-1"] == {"read": "a Table of Python", "version": None}


def test_without_an_output_folder_nothing_of_the_tables_stays(case, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(case.folder))
    monkeypatch.chdir(case.folder)
    before = set(case.folder.iterdir())
    tables = {"row": pa.table(ROWS), "column": pa.table(COLUMNS).to_reader()}
    assert counts(crosstab(study(), **tables, options=case.options())) == COUNTS
    assert {path.name for path in set(case.folder.iterdir()) - before} <= {".xstat-ray"}


def sqlite_of(case: Case, columns: dict[str, list[str]]) -> str:
    path = case.folder / "operator.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE presence (id TEXT, area TEXT)")
        connection.executemany("INSERT INTO presence VALUES (?, ?)", zip(*columns.values()))
    return f"sqlite:{path}"


def test_a_delta_table_is_counted_as_it_is_at_the_start(case, monkeypatch):
    lake = case.folder / "lake"
    deltalake.write_deltalake(lake, pa.table(ROWS))
    de_identify = Driver.de_identify

    def overwritten(self, folders):
        deltalake.write_deltalake(lake, pa.table({"id": ["1"], "area": ["b"]}), mode="overwrite")
        return de_identify(self, folders)

    monkeypatch.setattr(Driver, "de_identify", overwritten)
    for row in (Delta(lake), Delta(lake, 0)):
        out = case.folder / str(row.version)
        assert counts(case.run(study(), out, row=row)) == COUNTS
        assert record(out, "row")["table"]["version"] == "delta-version-0"
    assert copies(case) == []


def test_a_database_is_counted_as_it_is_at_the_start(case, monkeypatch):
    database = DatabaseTable(sqlite_of(case, ROWS), "presence")
    de_identify = Driver.de_identify

    def emptied(self, folders):
        with closing(sqlite3.connect(case.folder / "operator.db")) as connection, connection:
            connection.execute("DELETE FROM presence")
        return de_identify(self, folders)

    monkeypatch.setattr(Driver, "de_identify", emptied)
    assert counts(case.run(study(), row=database)) == COUNTS
    assert copies(case) == []


class Ended(Exception):
    """Stands for the end of the process."""


def test_a_copy_is_whole_while_it_is_used_and_goes_with_any_end(case, monkeypatch):
    seen = []

    def end(self, folders):
        seen.append([path.suffix for path in copies(case) if path.is_file()])
        raise Ended

    monkeypatch.setattr(Driver, "de_identify", end)
    with pytest.raises(Ended):
        case.run(study(), row=pa.table(ROWS), column=pa.table(COLUMNS))
    assert sorted(seen[0]) == [".json", ".json", ".parquet", ".parquet"]
    assert copies(case) == []


def test_a_party_that_is_lost_finds_its_copy_again(case, monkeypatch):
    de_identify = Driver.de_identify
    left = ["lost"]

    def lost_once(self, folders):
        made = de_identify(self, folders)
        if left:
            raise PartyLostError(left.pop())
        return made

    monkeypatch.setattr(Driver, "de_identify", lost_once)
    assert counts(case.run(study(), row=pa.table(ROWS).to_reader())) == COUNTS


def test_a_run_that_is_resumed_reads_no_table_again(case, monkeypatch):
    """The stream of the first run is used up, and the database is gone."""
    uri = sqlite_of(case, ROWS)
    stream = pa.table(COLUMNS).to_reader()
    release = Driver.release
    monkeypatch.setattr(Driver, "release", lambda *_: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception, match="killed"):
        case.run(study(), row=DatabaseTable(uri, "presence"), column=stream)
    assert copies(case) == []
    monkeypatch.setattr(Driver, "release", release)
    with closing(sqlite3.connect(case.folder / "operator.db")) as connection, connection:
        connection.execute("DROP TABLE presence")
    assert counts(case.run(study(), row=DatabaseTable(uri, "presence"), column=stream)) == COUNTS


def test_what_a_killed_run_left_of_a_copy_is_removed_by_the_next(case):
    folder = case.out / "parties" / "row" / SPOOL
    (folder / "table").mkdir(parents=True)
    (folder / "table" / "part-00000.parquet").write_bytes(b"cleartext")
    assert counts(case.run(study(), row=pa.table(ROWS))) == COUNTS
    assert copies(case) == []


def test_a_table_that_is_not_there_is_refused_before_anything_starts(case):
    with pytest.raises(InputError, match="there is no such SQLite file"):
        case.run(study(), row=DatabaseTable(f"sqlite:{case.folder}/none.db", "t"))
    assert not case.out.exists()


@pytest.fixture(scope="module")
def server():
    return clean_server(__name__)


DEATHS = {
    "while it is copied": (stream_copy, "_write"),
    "while it is read": (Driver, "de_identify"),
    "once the noise is stored": (Driver, "release"),
}


def run_and_die(key: bytes, call: dict[str, object], death: str, report: object) -> None:
    """Release a study in this process, which SIGKILL ends on the way."""
    use_key(PrivateKey.from_bytes(key))
    setattr(*DEATHS[death], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    crosstab(study(noise="laplace"), **call)


@thorough
@pytest.mark.parametrize("death", DEATHS)
def test_a_killed_run_is_finished_by_the_same_call_and_leaves_no_copy(case, key, server, death):
    database = DatabaseTable(sqlite_of(case, ROWS), "presence")
    row = Source(database, ledger=case.ledger)
    call = {**case.sources, "row": row, "out": case.out, "options": case.options()}
    status, _ = child(server, run_and_die, key.export_bytes(), call, death)
    assert status == -signal.SIGKILL
    assert copies(case)
    crosstab(study(noise="laplace"), **call)
    assert copies(case) == []
    assert case.published() and case.debits() == 1
