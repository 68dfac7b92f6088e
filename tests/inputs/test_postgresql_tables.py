"""Tables of PostgreSQL: one state for a reading, typed errors without values, no password anywhere."""

from __future__ import annotations

import datetime as dt
import logging
import threading

import psycopg
import pytest

from tests import postgres as postgresql
from tests.case import COLUMNS, COUNTS, Case, counts, study
from tests.case import ROWS as SMALL_ROWS
from tests.inputs.test_databases import ROWS, SORTED, USES, read
from tests.sizes import thorough
from xstat_ray.errors import InputError
from xstat_ray.inputs.databases import DatabaseTable
from xstat_ray.inputs.spool import SPOOL
from xstat_ray.inputs.stream_copy import copy


@pytest.fixture(scope="module")
def server(postgres: postgresql.Server) -> postgresql.Server:
    return postgres


@pytest.fixture(scope="module")
def operator(server: postgresql.Server) -> str:
    """A database with a table."""
    name = server.new_database()
    server.execute('CREATE SCHEMA "My Data"', name)
    server.execute(
        'CREATE TABLE "My Data".presence (id text, area varchar(9), at timestamp, '
        "weight numeric(6, 2), zoned timestamptz, number bigint, kind uuid)",
        name,
    )
    for row in ROWS:
        server.execute(
            f"INSERT INTO \"My Data\".presence VALUES ('{row['id']}', '{row['area']}', "
            f"'{row['at']}', {row['weight']}, '{row['at']}+09', {row['id']}, gen_random_uuid())",
            name,
        )
    return name


def test_a_table_of_postgresql_is_read_by_its_types(server, operator, tmp_path):
    uri = server.uri(operator)
    assert read(DatabaseTable(uri, "My Data.presence"), tmp_path / "copy") == SORTED
    query = "SELECT number AS id, zoned FROM \"My Data\".presence WHERE area = 'a'"
    found = read(DatabaseTable(uri, query=query), tmp_path / "q", {"id": "id", "zoned": "time"})
    assert found == [{"id": "10", "zoned": dt.datetime(2023, 12, 31, 21, tzinfo=dt.UTC)}]


@pytest.mark.parametrize(
    ("table", "query", "problem"),
    [
        ("nobody", None, "there is no such table"),
        ("presence", None, "there is no such table"),
        (None, "SELECT nobody FROM pg_class", "names a column that is not there"),
        (None, "SELEKT 1", "does not understand the query"),
        (None, "SELECT 1 AS id", "no such column"),
        (None, 'SELECT kind AS id, 1 AS area, now() AS at, 1 AS weight FROM "My Data".presence',
         "cannot serve as id .* convert it in a query"),
        (None, 'DELETE FROM "My Data".presence RETURNING *', "would write to the database"),
        (None, "SELECT 'canary-value'::int AS id, 1 AS area, now() AS at, 1 AS weight", "ended the query"),
    ],
)  # fmt: skip
def test_what_postgresql_cannot_do_is_told_without_the_query(
    server, operator, tmp_path, table, query, problem
):
    with pytest.raises(InputError, match=problem) as caught:
        copy(DatabaseTable(server.uri(operator), table, query), USES, tmp_path / "copy")
    assert query is None or query not in str(caught.value)
    assert "canary" not in str(caught.value)
    assert server.execute('SELECT count(*) FROM "My Data".presence', operator) == [(2,)]


def test_the_password_comes_from_the_environment_and_is_told_to_nobody(
    server, operator, tmp_path, monkeypatch, capfd, caplog
):
    caplog.set_level(logging.DEBUG)
    role = server.new_role()
    server.execute(f'GRANT USAGE ON SCHEMA "My Data" TO {role}', operator)
    server.execute(f'GRANT SELECT ON "My Data".presence TO {role}', operator)
    database = DatabaseTable(server.uri(operator, role, tcp=True), "My Data.presence")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    with pytest.raises(InputError, match="refuses the login.*PGPASSWORD.*pgpass"):
        copy(database, USES, tmp_path / "none")
    monkeypatch.setenv("PGPASSWORD", "canary-wrong")
    with pytest.raises(InputError, match="refuses the login") as caught:
        copy(database, USES, tmp_path / "wrong")
    told = str(caught.value)
    monkeypatch.setenv("PGPASSWORD", postgresql.PASSWORD)
    assert read(database, tmp_path / "right") == SORTED
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "pgpass").write_text(f"*:*:*:*:{postgresql.PASSWORD}\n")
    (tmp_path / "pgpass").chmod(0o600)
    assert read(database, tmp_path / "from file") == SORTED
    printed = capfd.readouterr()
    told += (
        f"{database!r} {database} {database.identity()} {printed.out} {printed.err} {caplog.text}"
    )
    for path in (tmp_path / "right").rglob("*.parquet"):
        told += path.read_bytes().decode(errors="replace")
    assert "canary" not in told and postgresql.PASSWORD not in told


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be reached .*127.0.0.1:1"):
        copy(DatabaseTable("postgresql://x@127.0.0.1:1/x", "t"), USES, tmp_path / "copy")


def test_what_is_committed_while_a_table_is_read_is_not_read(server, operator, tmp_path):
    """Rows are added and taken away between its batches."""
    name = server.new_database()
    server.execute(
        "CREATE TABLE t AS SELECT i AS id, repeat('x', 600) AS area FROM generate_series(1, 60000) i",
        name,
    )
    database = DatabaseTable(server.uri(name), "t")
    seen = 0
    with database.open() as opened:
        for number, batch in enumerate(opened.read(["id", "area"])):
            if number == 0:
                server.execute("DELETE FROM t WHERE id > 30000", name)
                server.execute("INSERT INTO t SELECT i, 'y' FROM generate_series(1, 1000) i", name)
            seen += batch.num_rows
        assert number > 0
    assert seen == 60_000
    assert server.execute("SELECT count(*) FROM t", name) == [(31_000,)]


@thorough
def test_a_connection_that_is_lost_ends_the_copy(server, operator, tmp_path):
    name = server.new_database()
    server.execute(
        "CREATE TABLE t AS SELECT i AS id, repeat('x', 500) AS area FROM generate_series(1, 400000) i",
        name,
    )

    def end_all() -> None:
        with psycopg.connect(server.uri(), autocommit=True) as connection:
            for _ in range(2000):
                connection.execute(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' "
                    "AND query LIKE '%COPY%'"
                )
                if stop.wait(0.005):
                    return

    stop = threading.Event()
    thread = threading.Thread(target=end_all)
    thread.start()
    try:
        with pytest.raises(InputError, match="the connection was lost"):
            copy(
                DatabaseTable(server.uri(name), "t"),
                {"id": "id", "area": "value"},
                tmp_path / "copy",
            )
    finally:
        stop.set()
        thread.join()


def test_tables_of_postgresql_are_counted(tmp_path, postgres):
    case = Case(tmp_path)
    name = postgres.new_database()
    for table, columns in {"presence": SMALL_ROWS, "boardings": COLUMNS}.items():
        first, second = columns
        postgres.execute(f"CREATE TABLE {table} ({first} text, {second} text)", name)
        for pair in zip(*columns.values()):
            postgres.execute(f"INSERT INTO {table} VALUES {pair}", name)
    uri = postgres.uri(name)
    tables = {"row": DatabaseTable(uri, "presence"), "column": DatabaseTable(uri, "boardings")}
    assert counts(case.run(study(), **tables)) == COUNTS
    assert not list(case.folder.rglob(f"{SPOOL}/**/*.parquet"))
