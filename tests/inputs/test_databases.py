"""Tables of databases: real servers and files, one state for a reading, and no password anywhere."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from xstat_ray.errors import InputError
from xstat_ray.inputs.databases import DatabaseTable, holds_password
from xstat_ray.inputs.stream_copy import copy

USES = {"id": "id", "area": "value", "at": "time", "weight": "number"}
ROWS = [
    {"id": "2", "area": "b", "at": dt.datetime(2024, 1, 1, 5), "weight": 0.5},
    {"id": "10", "area": "a", "at": dt.datetime(2024, 1, 1, 6), "weight": 2.0},
]
SORTED = [ROWS[1], ROWS[0]]


def read(database: DatabaseTable, folder: Path, uses: dict[str, str] | None = None) -> list[dict]:
    copy(database, uses or USES, folder)
    return pq.read_table(folder).to_pylist()


# SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "operator's 100%.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            'CREATE TABLE "my presence" (id TEXT, area TEXT, at TEXT, weight REAL, x BLOB)'
        )
        connection.executemany(
            'INSERT INTO "my presence" VALUES (?, ?, ?, ?, NULL)',
            [(row["id"], row["area"], row["at"].isoformat(), row["weight"]) for row in ROWS],
        )
    return path


def test_a_table_of_sqlite_is_read_with_text_for_times(file, tmp_path):
    assert read(DatabaseTable(f"sqlite:{file}", "my presence"), tmp_path / "copy") == SORTED
    query = "SELECT *, 7 AS more FROM \"my presence\" WHERE area = 'a' -- one;"
    assert read(DatabaseTable(f"sqlite:{file}", query=query), tmp_path / "query") == SORTED[:1]


def test_reading_writes_nothing_into_sqlite(file, tmp_path):
    before = file.read_bytes()
    database = DatabaseTable(f"sqlite:{file}", query='DELETE FROM "my presence" RETURNING id')
    with pytest.raises(InputError):
        copy(database, {"id": "id"}, tmp_path / "copy")
    assert file.read_bytes() == before
    missing = tmp_path / "no.db"
    with pytest.raises(InputError, match="there is no such SQLite file"):
        copy(DatabaseTable(f"sqlite:{missing}", "presence"), USES, tmp_path / "copy")
    assert not missing.exists()


@pytest.mark.parametrize(
    ("table", "query", "problem"),
    [
        ("nobody", None, "there is no such table"),
        (None, "SELECT nobody FROM t", "there is no such table"),
        (None, 'SELECT nobody FROM "my presence"', "names a column that is not there"),
        (None, "SELEKT 1", "does not understand the query"),
        (None, 'SELECT id, area, at FROM "my presence"', r"no such column .*column weight"),
    ],
)
def test_what_sqlite_cannot_do_is_told_without_the_query(file, tmp_path, table, query, problem):
    with pytest.raises(InputError, match=problem) as caught:
        copy(DatabaseTable(f"sqlite:{file}", table, query), USES, tmp_path / "copy")
    assert query is None or query not in str(caught.value)


def test_a_column_of_sqlite_with_values_of_several_types_says_none_of_them(tmp_path):
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id)")
        connection.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(70_000)])
        connection.execute("INSERT INTO t VALUES ('0901111')")
    with pytest.raises(InputError, match="values of several types") as caught:
        copy(DatabaseTable(f"sqlite:{path}", "t"), {"id": "id"}, tmp_path / "copy")
    assert "0901111" not in str(caught.value)


# Any other driver


def test_a_profile_names_any_driver(file, tmp_path, monkeypatch):
    import adbc_driver_sqlite

    (tmp_path / "profiles").mkdir()
    monkeypatch.setenv("ADBC_PROFILE_PATH", str(tmp_path / "profiles"))
    monkeypatch.setenv("OPERATOR_FILE", str(file))
    (tmp_path / "profiles" / "operator.toml").write_text(
        f'profile_version = 1\ndriver = "{adbc_driver_sqlite._driver_path()}"\n'
        '[Options]\nuri = "{{ env_var(OPERATOR_FILE) }}"\n'
    )
    database = DatabaseTable("profile://operator", "my presence")
    assert read(database, tmp_path / "copy") == SORTED
    with pytest.raises(InputError):
        copy(DatabaseTable("profile://nobody", "t"), USES, tmp_path / "no")


# Passwords

SECRET = "canary%2Fpw"
WITH_PASSWORD = [
    f"postgresql://reader:{SECRET}@db.example/operator",
    f"postgresql://reader:{SECRET}@/operator?host=/run",
    f"postgres://reader@db.example/operator?password={SECRET}",
    f"postgresql://db.example/operator?sslmode=require&pass%77ord={SECRET}",
    f"postgresql:///operator?sslpassword={SECRET}",
    f"host=db.example password={SECRET} dbname=operator",
    f"mysql://reader:{SECRET}@db.example/operator",
]


@pytest.mark.parametrize("uri", WITH_PASSWORD)
def test_a_uri_with_a_password_is_refused_and_not_repeated(uri):
    assert holds_password(uri)
    with pytest.raises(InputError, match="a URI holds a password. .*PGPASSWORD") as caught:
        DatabaseTable(uri, "presence")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://reader@db.example:5432/operator?sslmode=require",
        "postgresql://%2Frun%2Fpostgresql:5432/operator",
        "postgresql:///operator?passfile=/home/x/.pgpass",
        "sqlite:/data/password.db",
        "data/2024:01/x@y.parquet",
        "s3://bucket/x",
    ],
)
def test_other_uris_hold_none(uri):
    assert not holds_password(uri)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("postgresql://db/x",), "one of table and query"),
        (("sqlite:x.db", "t", "SELECT 1"), "one of table and query"),
        (("mysql://db/x", "t"), "not the URI of a database"),
    ],
)
def test_a_database_has_a_uri_that_is_known_and_one_of_table_and_query(arguments, problem):
    with pytest.raises(InputError, match=problem):
        DatabaseTable(*arguments)
