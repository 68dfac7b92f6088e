"""A made-up country whose tables lie in lakes, in databases and in a bucket, and its exact counts.

Whoever a party would have to draw about (boardings over a bound, overlapping windows, stays of
equal length) is on the airline's list of people to leave out, so that SQL on the tables in the clear
knows every count.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi
import adbc_driver_sqlite.dbapi
import deltalake
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog, load_catalog

from tests import postgres as postgresql
from tests.federation.test_laptop_world import study_of
from tests.hokkaido.needs.counting import count
from tests.object_store import Bucket
from xstat_ray import DatabaseTable, Delta, Iceberg, Source
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.model.study import Study

KINDS = ("delta", "iceberg", "postgresql", "sqlite", "s3")
PASSWORD = "CaNaRyPg5f83b0e1c927"
"""Of the role that reads the tables of PostgreSQL."""
TABLES = {
    "row": {
        "presence": "operator/presence",
        "opt_out": "operator/opt_out.parquet",
        "not_used": "operator/not_used.parquet",
    },
    "column": {
        "boardings": "airline/boardings.parquet",
        "no_consent": "airline/no_consent.parquet",
    },
}
"""Names of each party's tables, the lists of people to leave out last, and where they were made."""
ZONED = ("iceberg", "postgresql")
"""Kinds in which times are instants; elsewhere they are local, as they were made."""


class Country:
    """The tables as they were made, the study of movement in their days, and its counts."""

    def __init__(self, world: World, folder: Path) -> None:
        build(world, folder, map, lambda _: None)
        self.folder = folder
        self.study = study_of(world, "off")
        path = folder / TABLES["column"]["no_consent"]
        pq.write_table(pa.concat_tables([pq.read_table(path), undecided(self.study, folder)]), path)

    @cached_property
    def expected(self) -> list[int]:
        """The counts, by SQL on the tables in the clear."""
        return [int(number) for number in count(self.study, self.folder).ravel()]

    def table(self, role: str, name: str) -> ds.Dataset:
        """A table as it was made."""
        path = self.folder / TABLES[role][name]
        return ds.dataset(path, format="parquet", partitioning="hive" if path.is_dir() else None)


def small_world() -> World:
    """Settings of a country in which few people travel for some days."""
    return World(
        first_day=dt.date(2023, 10, 25), days=3, people=3000, block=1000, air=0.9, studied=50
    )


def undecided(study: Study, folder: Path) -> pa.Table:
    """List the passengers about whom a party draws, as the airline spells them."""
    db = duckdb.connect()
    route, _ = study.column.dimensions
    legs = [value for members in route.members for value in members]
    (area,) = study.row.dimensions
    places = [(value, place) for place, values in enumerate(area.members) for value in values]
    value, place = zip(*places, strict=True)
    db.register("places", pa.table({"value": value, "place": place}))
    db.execute(
        "CREATE MACRO phone(id) AS "
        "CASE WHEN id LIKE '0%' THEN '+81' || replace(id, '-', '')[2:] ELSE id END"
    )
    db.execute("CREATE MACRO hour(t) AS floor(epoch(t) / 3600)::BIGINT")
    windows = " UNION ALL ".join(
        f"SELECT id, hour({window.anchor}) + {offset // 3600} AS hour FROM flown"
        for window in study.column.windows
        for offset in window.offsets
    )
    db.execute(f"""
        CREATE TABLE flown AS SELECT *, phone(passenger) AS id
        FROM read_parquet('{folder}/airline/boardings.parquet') WHERE leg IN {tuple(legs)}
    """)
    db.execute(f"CREATE TABLE hours AS {windows}")
    db.execute(f"""
        CREATE TABLE stays AS SELECT subscriber AS id, hour(time) AS hour, place, sum(dwell) AS stay
        FROM read_parquet('{folder}/operator/presence/**/*.parquet', hive_partitioning = false)
        JOIN places ON value = mesh::VARCHAR SEMI JOIN hours ON id = subscriber AND hour = hour(time)
        GROUP BY ALL
    """)
    return db.sql(f"""
        SELECT DISTINCT passenger FROM flown WHERE id IN (
            SELECT id FROM flown GROUP BY id HAVING count(*) > {study.bounds.boardings}
            UNION SELECT id FROM flown GROUP BY id, leg HAVING count(*) > {study.bounds.per_column}
            UNION SELECT id FROM hours GROUP BY id, hour HAVING count(*) > 1
            UNION SELECT id FROM (
                FROM stays QUALIFY rank() OVER (PARTITION BY id, hour ORDER BY stay DESC) = 1
            ) GROUP BY id, hour HAVING count(*) > 1
        )
    """).to_arrow_table()


class Stores:
    """Writes the tables of a country, each kind's once, and tells how they are read."""

    def __init__(
        self, country: Country, folder: Path, bucket: Bucket, server: postgresql.Server | None
    ) -> None:
        self._country = country
        self._folder = folder
        self._bucket = bucket
        self._server = server
        self._sources = dict[tuple[str, str], Source]()

    def source(self, kind: str, role: str, ledger: Path) -> Source:
        """A party's tables of a kind."""
        if (kind, role) not in self._sources:
            write = getattr(self, f"_{kind}")
            tables = [write(role, name) for name in TABLES[role]]
            self._sources[kind, role] = Source(tables[0], tuple(tables[1:]))
        made = self._sources[kind, role]
        return Source(made.table, made.exclude, ledger=ledger)

    def _delta(self, role: str, name: str) -> Delta:
        """A version that newer ones have emptied; that of presence in partitions."""
        path = self._folder / "lake" / name
        table = self._country.table(role, name)
        days = ["date"] if "date" in table.schema.names else None
        deltalake.write_deltalake(path, _plain(table), partition_by=days)
        deltalake.DeltaTable(path).delete()
        return Delta(path, 0)

    def _iceberg(self, role: str, name: str) -> Iceberg:
        """A snapshot of many files, behind which the first of them was added once more."""
        table = self._country.table(role, name)
        made: Any = None
        parts = list(table.get_fragments())
        for part in [*parts, parts[0]]:
            rows = _plain(part, zoned=True).read_all()
            if made is None:
                made = self._catalog.create_table(f"world.{name}", rows.schema)
            if part is not parts[0] or made.current_snapshot() is None:
                made.append(rows)
        snapshot = made.current_snapshot().snapshot_id
        made.append(_plain(parts[0], zoned=True).read_all())
        return Iceberg(made.metadata_location, snapshot)

    def _postgresql(self, role: str, name: str) -> DatabaseTable:
        """A table whose reader has the password `PASSWORD`."""
        assert self._server is not None, postgresql.MISSING
        database, reader = self._database
        with adbc_driver_postgresql.dbapi.connect(self._server.uri(database)) as connection:
            with connection.cursor() as cursor:
                table = self._country.table(role, name)
                cursor.adbc_ingest(name, _plain(table, zoned=True), mode="create")
                cursor.execute(f"GRANT SELECT ON {name} TO {reader}")
            connection.commit()
        return DatabaseTable(self._server.uri(database, reader, tcp=True), name)

    def _sqlite(self, role: str, name: str) -> DatabaseTable:
        """A file; SQLite keeps times as text."""
        path = self._folder / f"{role}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
        with adbc_driver_sqlite.dbapi.connect(f"file:{path}") as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest(name, _plain(self._country.table(role, name)), mode="create")
            connection.commit()
        return DatabaseTable(f"sqlite:{path}", name)

    def _s3(self, role: str, name: str) -> str:
        """Two Parquet files, each one row group in no order of ids."""
        rows = _plain(self._country.table(role, name)).read_all()
        if "time" in rows.column_names:
            rows = rows.sort_by("time")
        middle = rows.num_rows // 2
        for number, part in enumerate((rows.slice(0, middle), rows.slice(middle))):
            sink = pa.BufferOutputStream()
            pq.write_table(part, sink, row_group_size=1 << 24)
            key = f"world/{name}/part-{number}.parquet"
            self._bucket.put(key, sink.getvalue().to_pybytes())
        return self._bucket.uri(f"world/{name}")

    @cached_property
    def _catalog(self) -> Catalog:
        place = {
            "uri": f"sqlite:///{self._folder}/catalog.db",
            "warehouse": f"file://{self._folder}/warehouse",
        }
        catalog = load_catalog("world", type="sql", **place)
        catalog.create_namespace("world")
        return catalog

    @cached_property
    def _database(self) -> tuple[str, str]:
        """A new database, and the role that may read its tables."""
        assert self._server is not None
        role = self._server.new_role()
        self._server.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
        return self._server.new_database(), role


def _plain(table: ds.Dataset | ds.Fragment, zoned: bool = False) -> pa.RecordBatchReader:
    """Stream a table without dictionaries, its times in microseconds, as instants if `zoned`."""

    def kind(field: pa.Field) -> pa.DataType:
        if pa.types.is_dictionary(field.type):
            return field.type.value_type
        if pa.types.is_timestamp(field.type):
            return pa.timestamp("us", "UTC" if zoned else None)
        return field.type

    scanner = table.scanner(fragment_readahead=1) if isinstance(table, ds.Dataset) else None
    scanner = scanner or table.scanner()
    names = scanner.projected_schema.names
    schema = pa.schema([(field.name, kind(field)) for field in scanner.projected_schema])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in scanner.to_batches():
            columns = []
            for name, column in zip(names, batch.columns, strict=True):
                if zoned and pa.types.is_timestamp(column.type):
                    column = pc.assume_timezone(column.cast(pa.timestamp("us")), "Asia/Tokyo")
                columns.append(column.cast(schema.field(name).type))
            if batch.num_rows:
                yield pa.record_batch(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())
