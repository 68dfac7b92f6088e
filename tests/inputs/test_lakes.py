"""Tables that the makers' packages of Delta and Iceberg have written, at every version."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.utils.config import Config

from xstat_ray.errors import InputError
from xstat_ray.inputs.lakes import Delta, Iceberg
from xstat_ray.inputs.outside import OutsideTable
from xstat_ray.inputs.stream_copy import copy

USES = {"id": "id", "area": "value"}
OLD = pa.table({"id": ["1", "2"], "area": ["a", "b b/=%"], "more": [1, 2]})
NEW = pa.table({"id": ["3"], "area": ["a"], "more": [3]})


def ids(table: OutsideTable, folder: Path) -> tuple[str, list[tuple[str, str]]]:
    """Which version is read, and its rows."""
    version = copy(table, USES, folder)
    return version, [tuple(row.values()) for row in pq.read_table(folder / version).to_pylist()]


ROWS_OLD = [("1", "a"), ("2", "b b/=%")]


# Delta


@pytest.fixture
def delta(tmp_path: Path) -> Path:
    """Version 0 is OLD, version 1 is NEW alone, whose file lies beside those of OLD."""
    path = tmp_path / "lake"
    deltalake.write_deltalake(path, OLD, partition_by=["area"])
    deltalake.write_deltalake(path, NEW, mode="overwrite")
    return path


def test_each_version_of_a_delta_table_is_what_it_was(delta, tmp_path):
    assert ids(Delta(delta, 0), tmp_path / "0") == ("delta-version-0", ROWS_OLD)
    assert ids(Delta(delta, 1), tmp_path / "1") == ("delta-version-1", [("3", "a")])
    assert ids(Delta(str(delta)), tmp_path / "newest") == ("delta-version-1", [("3", "a")])


def test_rows_that_were_deleted_and_columns_that_were_added_are_as_the_package_reads_them(
    tmp_path,
):
    path = tmp_path / "lake"
    deltalake.write_deltalake(path, OLD.select(["id"]))
    deltalake.write_deltalake(path, NEW.select(["id", "area"]), mode="append", schema_mode="merge")
    deltalake.DeltaTable(path).delete("id = '1'")
    assert ids(Delta(path), tmp_path / "copy")[1] == [("2", None), ("3", "a")]


@pytest.mark.parametrize(
    ("version", "problem"),
    [(9, "version 9 of the Delta table cannot be read"), (None, "there is no Delta table")],
)
def test_a_version_that_is_not_there_is_named(delta, tmp_path, version, problem):
    path = delta if version is not None else tmp_path
    with pytest.raises(InputError, match=problem) as caught:
        copy(Delta(path, version), USES, tmp_path / "copy")
    assert caught.value.file == str(path)


def test_a_version_whose_files_are_gone_is_refused(delta, tmp_path):
    deltalake.DeltaTable(delta).vacuum(
        retention_hours=0, enforce_retention_duration=False, dry_run=False
    )
    with pytest.raises(InputError, match="version 0 of the Delta table cannot be read"):
        copy(Delta(delta, 0), USES, tmp_path / "copy")


# Iceberg


@pytest.fixture
def iceberg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A table of a catalog in SQLite: OLD, then NEW beside it, then without person 1."""
    (tmp_path / "warehouse").mkdir()
    for key, value in {
        "TYPE": "sql",
        "URI": f"sqlite:///{tmp_path}/catalog.db",
        "WAREHOUSE": f"file://{tmp_path}/warehouse",
    }.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{key}", value)
    monkeypatch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())
    catalog = load_catalog("lake")
    catalog.create_namespace("operator")
    table = catalog.create_table("operator.presence", OLD.schema)
    snapshots = []
    for change in (
        lambda: table.append(OLD),
        lambda: table.append(NEW),
        lambda: table.delete("id = '1'"),
    ):
        change()
        snapshots.append(table.current_snapshot().snapshot_id)
    with table.update_schema() as schema:
        schema.rename_column("area", "region")
    return SimpleNamespace(table=table, snapshots=snapshots)


def test_each_snapshot_of_an_iceberg_table_is_what_it_was(iceberg, tmp_path):
    first, second, _ = iceberg.snapshots
    name = "lake.operator.presence"
    assert ids(Iceberg(name, first), tmp_path / "0") == (f"iceberg-snapshot-{first}", ROWS_OLD)
    assert ids(Iceberg(name, second), tmp_path / "1")[1] == [*ROWS_OLD, ("3", "a")]


def test_the_current_snapshot_has_no_deleted_rows_and_columns_by_their_new_names(iceberg, tmp_path):
    newest = iceberg.table.metadata_location
    for number, name in enumerate(["lake.operator.presence", newest]):
        folder = tmp_path / str(number)
        version = copy(Iceberg(name), {"id": "id", "region": "value"}, folder)
        assert version == f"iceberg-snapshot-{iceberg.snapshots[-1]}"
        assert pq.read_table(folder / version)["id"].to_pylist() == ["2", "3"]
    with pytest.raises(InputError, match="no such column .*column area"):
        copy(Iceberg(newest), USES, tmp_path / "copy")


def test_an_iceberg_table_or_snapshot_that_is_not_there_is_named(iceberg, tmp_path):
    with pytest.raises(InputError, match="there is no Iceberg table"):
        copy(Iceberg("lake.operator.nobody"), USES, tmp_path / "copy")
    with pytest.raises(InputError, match=r"the named \(7\) snapshot .* cannot be read"):
        copy(Iceberg("lake.operator.presence", 7), USES, tmp_path / "copy")
    with pytest.raises(InputError, match="does not tell which metadata"):
        Iceberg(tmp_path / "warehouse").check()


@pytest.mark.parametrize(
    ("table", "module", "command"),
    [
        (Delta("x"), "deltalake", r"pip install 'xstat-ray\[delta\]'"),
        (Iceberg("a.b.c"), "pyiceberg", r"pip install 'xstat-ray\[iceberg\]'"),
    ],
)
def test_without_its_package_a_lake_is_refused(table, module, command, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=f"needs the package {module}. {command}$"):
        table.check()
