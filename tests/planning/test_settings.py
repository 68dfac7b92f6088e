"""What all jobs on a study read alike: each key of a configuration arrives in its place."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from xstat_ray.errors import InputError, StudyError
from xstat_ray.inputs.databases import DatabaseTable
from xstat_ray.inputs.lakes import Delta, Iceberg
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.source import DEFAULT_LEDGER, Source
from xstat_ray.inputs.table_options import TableOptions
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.options import Options
from xstat_ray.planning.settings import TOP, read_options, read_source, read_study
from xstat_ray.privacy.ledger import Ledger

STUDY = {
    "name": "small",
    "row": {"id": "id", "dimensions": [{"name": "area", "values": ["a", "b"]}]},
    "column": {"id": "id", "dimensions": [{"name": "kind", "values": ["x"]}]},
}
BARE: dict[str, Any] = {"crypto": {}, "replicas": {}, "cluster": {}, "unsafe": {}}
FULL: dict[str, Any] = {
    "crypto": {"key_bits": 2048, "slot_bits": 40, "constant_time": True},
    "shards": 7,
    "batch": "week",
    "runtime": "local",
    "replicas": {"row": 3, "column": 4},
    "window": 9,
    "cluster": {"cpus": 5},
    "memory": 1 << 40,
    "unsafe": {"allow_no_noise": True},
}


def top(raw: dict[str, Any]) -> Section:
    return Section(raw, key="", origin="small.yaml", known=TOP)


def test_each_option_has_a_key() -> None:
    options = read_options(top(FULL))
    assert options == Options(
        key_bits=2048,
        slot_bits=40,
        constant_time=True,
        shards=7,
        batch="week",
        runtime="local",
        replicas={"row": 3, "column": 4},
        in_flight=9,
        cluster=Cluster(cpus=5),
        memory=1 << 40,
        allow_no_noise=True,
    )
    defaults = Options()
    for field in fields(Options):
        if field.name != "runtime":  # jobs run on Ray unless they are told not to
            assert getattr(options, field.name) != getattr(defaults, field.name), field.name


def test_what_is_left_open_has_the_defaults_of_options_but_jobs_run_on_ray() -> None:
    assert read_options(top(BARE)) == Options(runtime="ray")


@pytest.mark.parametrize("default", [False, True])
def test_constant_time_is_left_to_the_deployment_unless_it_is_set(default: bool) -> None:
    assert read_options(top(BARE), constant_time=default).constant_time is default
    for declared in (False, True):
        raw = BARE | {"crypto": {"constant_time": declared}}
        assert read_options(top(raw), constant_time=default).constant_time is declared


@pytest.mark.parametrize(
    ("data", "source"),
    [
        ({"path": "t.csv"}, Source("t.csv")),
        ({"path": "t.csv", "exclude": "a.csv"}, Source("t.csv", ("a.csv",))),
        (
            {"path": "t.csv", "exclude": ["a.csv", "b.csv"], "damaged": "skip"},
            Source("t.csv", ("a.csv", "b.csv"), skip_damaged=True),
        ),
        ({"path": "t.csv", "damaged": "stop"}, Source("t.csv")),
        (
            {"path": "t.csv", "exclude": {"path": "lake", "format": "delta", "version": 3}},
            Source("t.csv", (Delta("lake", 3),)),
        ),
        (
            {"path": "t.csv", "exclude": ["a.csv", {"path": "sqlite:o.db", "table": "gone"}]},
            Source("t.csv", ("a.csv", DatabaseTable("sqlite:o.db", "gone"))),
        ),
        ({"path": ["a.csv", "b-*.csv"]}, Source(("a.csv", "b-*.csv"))),
        (
            {"path": ["t.csv"], "encoding": "cp932", "delimiter": "tab", "format": "csv"},
            Source("t.csv", options=TableOptions("cp932", "csv", "tab")),
        ),
        (
            {"path": "t.csv", "int96": "utc", "multiline": "allow", "encoding": None},
            Source("t.csv", options=TableOptions(int96="utc", multiline="allow")),
        ),
    ],
)
def test_where_a_party_s_data_lies(data: dict[str, Any], source: Source) -> None:
    section = Section({"row": data}, key="data", origin="small.yaml", known=("row", "column"))
    assert read_source(section, "row") == replace(source, ledger=DEFAULT_LEDGER.absolute())


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        ("encoding", "shift", "a name that Python knows"),
        ("format", "xlsx", "Choose one of .*parquet, arrow"),
        ("delimiter", ";;", "one character"),
        ("int96", "tokyo", "Choose one of refuse, utc, local"),
        ("multiline", "yes", "Choose one of stop, allow"),
    ],
)
def test_a_setting_of_files_that_has_no_such_value(key: str, value: str, remedy: str) -> None:
    raw = {"row": {"path": "t.csv", key: value}}
    section = Section(raw, key="data", origin="x", known=("row", "column"))
    with pytest.raises(StudyError, match=remedy) as caught:
        read_source(section, "row")
    assert caught.value.key == f"data.row.{key}"


@pytest.mark.parametrize(
    ("entry", "key", "problem"),
    [
        ({"path": "a.csv", "format": "csv"}, "[0].format", "set for all of a party's files"),
        ({"path": ["a.csv", "b.csv"]}, "[0].path", "one path"),
        ({"path": "lake", "kind": "delta"}, "[0].kind", "unknown"),
        ({"path": "sqlite:o.db"}, "[0].table", "one of table and query"),
        ({"path": "postgresql://u:secret@h/db", "table": "o"}, "[0].path", "password"),
        ({"path": "s3://k:secret@b/lake", "format": "delta"}, "[0].path", "credentials"),
    ],
)
def test_a_list_of_people_to_leave_out_that_is_none(
    entry: dict[str, Any], key: str, problem: str
) -> None:
    raw = {"row": {"path": "t.csv", "exclude": [entry]}}
    section = Section(raw, key="data", origin="x", known=("row", "column"))
    with pytest.raises(StudyError, match=problem) as caught:
        read_source(section, "row")
    assert caught.value.key == f"data.row.exclude{key}"
    assert "secret" not in str(caught.value)


def test_a_ledger_that_is_named_is_not_made_by_a_run(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    raw = {"path": "t.csv", "ledger": str(path)}
    section = Section({"row": raw}, key="data", origin="x", known=("row", "column"))
    with pytest.raises(
        InputError,
        match=r"the row party's budget ledger does not exist \(file .*/other.sqlite, key "
        r"data.row.ledger\). Make it once: xstat-ray budget create ledger=.*/other.sqlite$",
    ):
        read_source(section, "row")
    assert not path.exists()
    Ledger(path)
    assert read_source(section, "row").ledger == path


def test_the_default_of_a_domain_is_made_by_its_first_run(tmp_path: Path) -> None:
    section = Section({"row": {"path": "t.csv"}}, key="data", origin="x", known=("row", "column"))
    default = tmp_path / "private" / "ledger.sqlite"
    assert read_source(section, "row", default).ledger == default


def test_damaged_files_are_stopped_at_or_skipped_and_nothing_else() -> None:
    section = Section(
        {"row": {"path": "t.csv", "damaged": "ignore"}}, key="data", origin="x", known=("row",)
    )
    with pytest.raises(StudyError, match="Choose one of stop, skip") as caught:
        read_source(section, "row")
    assert caught.value.key == "data.row.damaged"


@pytest.mark.parametrize(
    ("privacy", "padding"),
    [
        ({}, "dp"),
        ({"padding": None}, "dp"),
        ({"padding": "off"}, "off"),
        ({"padding": False}, "off"),
    ],
)
def test_a_study_that_leaves_padding_open_has_that_of_the_deployment(
    privacy: dict[str, Any], padding: str
) -> None:
    raw = {"study": STUDY, "privacy": privacy, "out": "not of the study"}
    assert read_study(raw, "small.yaml", padding="dp").privacy.padding == padding
    assert read_study(raw, "small.yaml").privacy.padding == "off"


def read_path(**data: object) -> object:
    section = Section({"row": data}, key="data", origin="small.yaml", known=("row", "column"))
    return read_source(section, "row").table


@pytest.mark.parametrize(
    ("data", "table"),
    [
        ({"path": "lake/t", "format": "files"}, "lake/t"),
        ({"path": "lake/t", "format": "delta"}, Delta("lake/t")),
        ({"path": "lake/t", "format": "delta", "version": 0}, Delta("lake/t", 0)),
        ({"path": "c.n.t", "format": "iceberg", "version": 1 << 62}, Iceberg("c.n.t", 1 << 62)),
        ({"path": "sqlite:x.db", "table": "t"}, DatabaseTable("sqlite:x.db", "t")),
        (
            {"path": "postgresql://a@b/c", "query": "SELECT 1"},
            DatabaseTable("postgresql://a@b/c", query="SELECT 1"),
        ),
    ],
)
def test_a_table_of_a_lake_or_a_database(data: dict[str, Any], table: object) -> None:
    assert read_path(**data) == table


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"path": "lake/t", "format": "hudi"}, "data.row.format"),
        ({"path": "lake/t", "version": 3}, "data.row.version"),
        ({"path": "lake/t", "format": "delta", "version": "newest"}, "data.row.version"),
        ({"path": "lake/t", "table": "t"}, "data.row.table"),
        ({"path": "lake/t", "format": "delta", "query": "SELECT 1"}, "data.row.query"),
        ({"path": "sqlite:x.db"}, "data.row.table"),
        ({"path": "sqlite:x.db", "table": "t", "query": "SELECT 1"}, "data.row.table"),
        ({"path": "sqlite:x.db", "table": "t", "format": "delta"}, "data.row.format"),
    ],
)
def test_keys_of_a_table_that_do_not_go_together_are_refused(
    data: dict[str, Any], key: str
) -> None:
    with pytest.raises(StudyError) as caught:
        read_path(**data)
    assert caught.value.key == key


@pytest.mark.parametrize("key", ["path", "exclude"])
def test_a_password_is_refused_by_its_key_and_not_repeated(key: str) -> None:
    data = {"path": "t.csv", key: "postgresql://reader:canary@db/operator"}
    with pytest.raises(StudyError, match="a URI holds a password .*PGPASSWORD") as caught:
        read_path(**data)
    assert caught.value.key == f"data.row.{key}"
    assert "canary" not in str(caught.value)
