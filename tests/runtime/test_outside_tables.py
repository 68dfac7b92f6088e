"""Tables that are no files, on Ray: exact counts on two nodes, and no credential in any memory or file."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import pytest

from tests import postgres as postgresql
from tests.case import COLUMNS, COUNTS, KEY_BITS, ROWS, Case, counts, study
from tests.federation.canaries import search
from tests.runtime.memory import files, object_store, remember
from tests.runtime.test_leaks import search_objects
from tests.runtime.test_ray_session import run
from tests.sizes import thorough
from tests.test_crosstab_lakes import KINDS, real_tables
from xstat_ray import DatabaseTable
from xstat_ray.runtime import ray_executor

pytestmark = pytest.mark.ray
SECRET = "canary-9f2c61d07ab3"


@pytest.fixture
def operator(postgres: postgresql.Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a database with both tables, whose password only the environment has."""
    name = postgres.new_database()
    role = postgres.new_role()
    postgres.execute(f"ALTER ROLE {role} PASSWORD '{SECRET}'")
    for table, columns in {"presence": ROWS, "boardings": COLUMNS}.items():
        first, second = columns
        postgres.execute(f"CREATE TABLE {table} ({first} text, {second} text)", name)
        postgres.execute(f"GRANT SELECT ON {table} TO {role}", name)
        for pair in zip(*columns.values()):
            postgres.execute(f"INSERT INTO {table} VALUES {pair}", name)
    monkeypatch.setenv("PGPASSWORD", SECRET)
    return postgres.uri(name, role, tcp=True)


@thorough
def test_no_password_reaches_ray_or_a_file(operator, ray_folder, tmp_path, monkeypatch, capfd):
    wanted = {"password": SECRET.encode()}
    refs = remember(monkeypatch)
    checked = []

    class Held(ray_executor.RayExecutor):
        def close(self) -> None:
            search_objects(wanted, refs)
            assert search(wanted, object_store()) == set()
            # Handed over on purpose, it is found.
            planted = self.put(SECRET.encode() * 40_000)
            assert search(wanted, object_store()) == {("password", "object store")}
            del planted
            checked.append(True)
            super().close()

    monkeypatch.setattr(ray_executor, "RayExecutor", Held)
    case = Case(tmp_path)
    tables = {
        "row": DatabaseTable(operator, "presence"),
        "column": DatabaseTable(operator, "boardings"),
    }
    assert counts(case.run(study(), runtime="ray", **tables)) == COUNTS
    assert checked
    refs.clear()
    printed = capfd.readouterr()
    streams = [("stdout", printed.out.encode()), ("stderr", printed.err.encode())]
    assert search(wanted, iter(streams)) == set()
    for folder in (case.folder, ray_folder):
        assert search(wanted, files(folder)) == set()


TWO_NODES = f"""
import json, sys
from pathlib import Path
from ray.cluster_utils import Cluster as Nodes
from tests.case import COLUMNS, ROWS, counts, study
from xstat_ray import DatabaseTable, Delta, Iceberg, Options, Source, crosstab
from xstat_ray.planning.cluster import Cluster
import pyarrow as pa

folder = Path(sys.argv[1])
tables = {{
    "Python": (pa.table(ROWS), pa.table(COLUMNS)),
    "Delta": (Delta(folder / "lake" / "row"), Delta(folder / "lake" / "column", 0)),
    "Iceberg": (Iceberg("lake.mobile.rows"), Iceberg("lake.mobile.columns")),
    "SQLite": (DatabaseTable(f"sqlite:{{folder}}/t.db", "rows"), DatabaseTable(f"sqlite:{{folder}}/t.db", "columns")),
}}
if len(sys.argv) > 2:
    tables["PostgreSQL"] = (DatabaseTable(sys.argv[2], "rows"), DatabaseTable(sys.argv[2], "columns"))
arguments = {{"num_cpus": 1, "object_store_memory": 100 << 20}}
cluster = Nodes(initialize_head=True, head_node_args=arguments)
try:
    cluster.add_node(**arguments)
    address = "127.0.0.1:" + cluster.address.rsplit(":", 1)[1]
    options = Options(runtime="ray", key_bits={KEY_BITS}, shards=2, allow_no_noise=True, cluster=Cluster(address=address))
    found = {{}}
    for name, (row, column) in tables.items():
        out = folder / "out" / name
        ledger = folder / "ledger.sqlite"
        release = crosstab(study(), row=Source(row, ledger=ledger), column=Source(column, ledger=ledger), out=out, options=options)
        left = [str(path) for path in out.rglob("*") if "part-" in path.name]
        found[name] = [list(counts(release).values()), left]
    print(json.dumps(found))
finally:
    cluster.shutdown()
"""


def catalog_of(folder: Path) -> dict[str, str]:
    """Settings of a catalog of Iceberg tables."""
    return {
        "type": "sql",
        "uri": f"sqlite:///{folder}/catalog.db",
        "warehouse": f"file://{folder}/warehouse",
    }


def write_all(folder: Path, server: postgresql.Server | None) -> list[str]:
    """Write both tables in each way; returns the URI of the database of a server, if there is one."""
    import sqlite3
    from contextlib import closing

    import deltalake
    import pyarrow as pa
    from pyiceberg.catalog import load_catalog

    # Pyiceberg has read the variables when it was imported.
    catalog = load_catalog("lake", **catalog_of(folder))
    catalog.create_namespace("mobile")
    uri = []
    if server is not None:
        name = server.new_database()
        uri = [server.uri(name)]
    for role, columns in {"row": ROWS, "column": COLUMNS}.items():
        table = pa.table(columns)
        deltalake.write_deltalake(folder / "lake" / role, table)
        catalog.create_table(f"mobile.{role}s", table.schema).append(table)
        names = ", ".join(f"{column} text" for column in columns)
        with closing(sqlite3.connect(folder / "t.db")) as connection, connection:
            connection.execute(f"CREATE TABLE {role}s ({names})")
            connection.executemany(f"INSERT INTO {role}s VALUES (?, ?)", zip(*columns.values()))
        if server is not None:
            server.execute(f"CREATE TABLE {role}s ({names})", name)
            for pair in zip(*columns.values()):
                server.execute(f"INSERT INTO {role}s VALUES {pair}", name)
    return uri


@pytest.mark.slow
def test_each_kind_of_table_is_counted_exactly_on_two_nodes(tmp_path, monkeypatch, request):
    (tmp_path / "warehouse").mkdir()
    for key, value in catalog_of(tmp_path).items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{key.upper()}", value)
    server = request.getfixturevalue("postgres") if postgresql.programs() else None
    uri = write_all(tmp_path, server)
    # Ray's sockets have paths of at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="xr") as short:
        environment = {"RAY_TMPDIR": short, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
        found = run(TWO_NODES, tmp_path, str(tmp_path), *uri, **environment)
    assert len(found) == 4 + len(uri)
    assert found == {name: [list(COUNTS.values()), []] for name in found}


REAL = f"""
import json, pickle, sys
from pathlib import Path
from ray.cluster_utils import Cluster as Nodes
from xstat_ray import Options, Source, crosstab
from xstat_ray.planning.cluster import Cluster

folder = Path(sys.argv[1])
study, kinds = pickle.loads((folder / "run.pickle").read_bytes())
arguments = {{"num_cpus": 1, "object_store_memory": 100 << 20}}
cluster = Nodes(initialize_head=True, head_node_args=arguments)
try:
    for _ in range(2):
        cluster.add_node(**arguments)
    address = "127.0.0.1:" + cluster.address.rsplit(":", 1)[1]
    options = Options(runtime="ray", key_bits={KEY_BITS}, shards=6, allow_no_noise=True, cluster=Cluster(address=address))
    ledger = folder / "ledger.sqlite"
    found = {{}}
    for kind, tables in kinds.items():
        sources = {{role: Source(table, ledger=ledger) for role, table in tables.items()}}
        release = crosstab(study, **sources, out=folder / "out" / kind, options=options)
        found[kind] = release.statistics["noisy"].to_pylist()
    print(json.dumps(found))
finally:
    cluster.shutdown()
"""


@pytest.mark.slow
def test_real_tables_of_every_kind_are_counted_exactly_on_three_nodes(
    nycflights, nycflights_expected, tmp_path, request
):
    kinds = [kind for kind in KINDS if kind != "postgresql" or postgresql.programs()]
    tables = {}
    for number, kind in enumerate(kinds):
        folder = tmp_path / str(number)
        folder.mkdir()
        tables[kind] = real_tables(kind, nycflights, folder, request)
    (tmp_path / "run.pickle").write_bytes(pickle.dumps((nycflights.study, tables)))
    # Ray's sockets have paths of at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="xr") as short:
        environment = {"RAY_TMPDIR": short, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
        found = run(REAL, tmp_path, str(tmp_path), **environment)
    assert found == {kind: nycflights_expected.ravel().tolist() for kind in kinds}
