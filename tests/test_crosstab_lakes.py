"""Real tables, each written as a table of a lake or of a database: every cell is counted exactly."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import adbc_driver_postgresql.dbapi
import deltalake
import numpy as np
import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog

from tests import postgres as postgresql
from tests.object_store import Bucket
from tests.sizes import slow
from xstat_ray import DatabaseTable, Delta, Iceberg, Options, Source, crosstab
from xstat_ray.inputs.outside import OutsideTable

KINDS = ("delta", "iceberg", "sqlite", "postgresql", "delta in a bucket")


def written(
    kind: str, name: str, table: pa.Table, folder: Path, request: pytest.FixtureRequest
) -> OutsideTable:
    """Write a table, and tell how it is read."""
    if kind.startswith("delta"):
        deltalake.write_deltalake(folder / name, table, partition_by=table.column_names[-1:])
        if kind == "delta":
            return Delta(folder / name)
        bucket: Bucket = request.getfixturevalue("bucket")
        return Delta(bucket.copy(folder / name, name))
    if kind == "iceberg":
        place = {"uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"}
        catalog = load_catalog(kind, type="sql", **place)
        catalog.create_namespace_if_not_exists("real")
        made = catalog.create_table(f"real.{name}", table.schema)
        made.append(table)
        return Iceberg(made.metadata_location)
    if kind == "sqlite":
        with closing(sqlite3.connect(folder / "real.db")) as connection, connection:
            connection.execute(f"CREATE TABLE {name} ({', '.join(table.column_names)})")
            marks = ", ".join("?" * table.num_columns)
            rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        return DatabaseTable(f"sqlite:{folder}/real.db", name)
    server: postgresql.Server = request.getfixturevalue("postgres")
    uri = server.uri(server.new_database())
    with adbc_driver_postgresql.dbapi.connect(uri) as connection:
        with connection.cursor() as cursor:
            cursor.adbc_ingest(name, table, mode="create")
        connection.commit()
    return DatabaseTable(uri, name)


def real_tables(
    kind: str, nycflights: SimpleNamespace, folder: Path, request: pytest.FixtureRequest
) -> dict[str, OutsideTable]:
    """Write both parties' real tables, with the columns that the study uses."""
    tables = {}
    for role, name, stored in (
        ("row", "flights", nycflights.rows),
        ("column", "planes", nycflights.flags),
    ):
        side = getattr(nycflights.study, role)
        used = dict.fromkeys([side.id, *(d.column for d in side.dimensions)])
        if side.time:
            used[side.time] = None
        tables[role] = written(kind, name, stored.select(list(used)), folder, request)
    return tables


@slow
@pytest.mark.parametrize("kind", KINDS)
def test_real_tables_are_counted_exactly(kind, nycflights, nycflights_expected, tmp_path, request):
    found = real_tables(kind, nycflights, tmp_path, request)
    tables = {
        role: Source(table, ledger=tmp_path / "ledger.sqlite") for role, table in found.items()
    }
    options = Options(key_bits=2048, shards=6, allow_no_noise=True)
    release = crosstab(nycflights.study, **tables, out=tmp_path / "out", options=options)
    counts = np.array(release.statistics["noisy"]).reshape(nycflights_expected.shape)
    assert counts.sum() > 1000
    np.testing.assert_array_equal(counts, nycflights_expected)
    assert not list((tmp_path / "out").rglob("part-*"))
