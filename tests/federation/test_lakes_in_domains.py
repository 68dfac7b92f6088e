"""Tables of lakes and databases between three domains: counted exactly, and no copy is left."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import COLUMNS, COUNTS, ROWS, study
from tests.federation.domains import Domains
from tests.sizes import slow
from tests.test_crosstab_lakes import KINDS, real_tables
from xstat_ray import DatabaseTable, Delta, Source


def test_a_lake_and_a_database_are_counted_exactly_by_three_domains(quick_key, tmp_path):
    deltalake.write_deltalake(tmp_path / "lake", pa.table(ROWS))
    deltalake.write_deltalake(tmp_path / "lake", pa.table(ROWS).slice(1), mode="overwrite")
    with closing(sqlite3.connect(tmp_path / "airline.db")) as connection, connection:
        connection.execute("CREATE TABLE boardings (id text, kind text)")
        connection.executemany("INSERT INTO boardings VALUES (?, ?)", zip(*COLUMNS.values()))
    column = DatabaseTable(f"sqlite:{tmp_path}/airline.db", "boardings")
    domains = Domains(
        tmp_path, study(), {"row": Source(Delta(tmp_path / "lake", 0)), "column": Source(column)}
    )
    domains.run()
    assert found(domains) == list(COUNTS.values())
    assert not any((domains.state(role) / "table").exists() for role in ("row", "column"))


def found(domains: Domains) -> list[int]:
    return pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()


@slow
@pytest.mark.parametrize("kind", KINDS)
def test_real_tables_of_every_kind_are_counted_exactly_by_three_domains(
    kind, quick_key, nycflights, nycflights_expected, tmp_path, request
):
    tables = real_tables(kind, nycflights, tmp_path, request)
    sources = {role: Source(table) for role, table in tables.items()}
    domains = Domains(tmp_path / "domains", nycflights.study, sources, shards=6)
    domains.run()
    counts = np.array(found(domains)).reshape(nycflights_expected.shape)
    assert counts.sum() > 1000
    np.testing.assert_array_equal(counts, nycflights_expected)
