"""Configuration of the crosstab and plan jobs: where each value arrives, and how what is refused is named."""

from __future__ import annotations

import pytest

from xstat_ray.cli.config import crosstab_config, plan_config
from xstat_ray.errors import InputError, StudyError
from xstat_ray.inputs.source import DEFAULT_LEDGER, Source
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan_report import Target
from xstat_ray.util.location import Location


def raw(**changes):
    """A composed configuration, with dotted keys replaced; a value of `...` removes the key."""
    side = {"id": "id", "dimensions": [{"name": "area", "values": ["a", "b"]}]}
    config = {
        "study": {
            "name": "small",
            "row": side,
            "column": side | {"dimensions": [{"name": "kind", "values": ["x"]}]},
        },
        "privacy": {"noise": "laplace", "epsilon": 1},
        "data": {
            "row": {"path": "rows.csv", "exclude": None},
            "column": {"path": "columns.csv", "exclude": "out.csv"},
        },
        "out": "out/here",
        "runtime": "ray",
        "shards": 5,
        "replicas": {"row": 1, "column": 3},
        "window": 9,
        "crypto": {"key_bits": 2048, "slot_bits": None},
        "cluster": {"address": None, "cpus": None, "store_bytes": 1000},
        "display": "quiet",
        "unsafe": {"allow_no_noise": False},
    }
    for key, value in changes.items():
        *path, last = key.split(".")
        section = config
        for name in path:
            section = section[name]
        if value is ...:
            del section[last]
        else:
            section[last] = value
    return config


def test_everything_arrives_where_it_belongs():
    config = crosstab_config(raw(), "small.yaml")
    assert config.study.name == "small"
    ledger = DEFAULT_LEDGER.absolute()
    assert config.rows["row"] == Source("rows.csv", ledger=ledger)
    assert config.columns["column"] == Source("columns.csv", ("out.csv",), ledger=ledger)
    assert (config.out, config.display) == (Location.of("out/here"), "quiet")
    assert config.options == Options(
        key_bits=2048,
        slot_bits=None,
        shards=5,
        runtime="ray",
        replicas={"row": 1, "column": 3},
        in_flight=9,
        cluster=Cluster(store_bytes=1000),
        allow_no_noise=False,
    )


PARTIES = [{"name": "jal", "persons": 50}, {"name": "hac", "persons": 50}]


def test_each_column_party_has_what_is_set_for_it_or_for_all():
    paths = {"jal": "jal.csv", "hac": "hac.csv"}
    changes = {"study.column.parties": PARTIES, "study.bounds": None, "data.column.path": paths}
    config = crosstab_config(raw(**changes), "small.yaml")
    ledger = DEFAULT_LEDGER.absolute()
    assert config.columns == {
        name: Source(f"{name}.csv", ("out.csv",), ledger=ledger) for name in ("jal", "hac")
    }
    for wrong in ({"jal": "jal.csv"}, {**paths, "ana": "ana.csv"}):
        with pytest.raises(StudyError, match=r"parties are jal, hac.*key data\.column\.path"):
            crosstab_config(raw(**{**changes, "data.column.path": wrong}), "small.yaml")
    with pytest.raises(StudyError, match=r"key data\.column\.path"):
        crosstab_config(raw(**{"data.column.path": paths}), "small.yaml")


def test_the_plan_of_several_column_parties_has_the_ledger_of_each(tmp_path):
    ledgers = {"jal": str(tmp_path / "jal.sqlite"), "hac": str(tmp_path / "hac.sqlite")}
    changes = {"study.column.parties": PARTIES, "study.bounds": None}
    given = raw(**changes, **{"data.column.ledger": ledgers})
    del given["out"]
    config = plan_config(given, "small.yaml")
    assert dict(config.ledgers) == {
        "small/row": DEFAULT_LEDGER.absolute(),
        **{f"small/{name}": tmp_path / f"{name}.sqlite" for name in ledgers},
    }


def test_each_row_party_has_what_is_set_for_it_or_for_all(tmp_path):
    paths = {"north": "north.csv", "south": "south.csv"}
    parties = {"study.row.parties": [{"name": name} for name in paths], "data.row.path": paths}
    config = crosstab_config(raw(**parties), "small.yaml")
    assert {name: source.table for name, source in config.rows.items()} == {
        name: Source(path).table for name, path in paths.items()
    }
    with pytest.raises(StudyError, match=r"row parties are north, south.*key data\.row\.path"):
        crosstab_config(raw(**{**parties, "data.row.path": {"north": "n.csv"}}), "small.yaml")
    ledgers = {"north": str(tmp_path / "n.sqlite"), "south": str(tmp_path / "s.sqlite")}
    given = raw(**parties, **{"data.row.ledger": ledgers})
    del given["out"]
    known = dict(plan_config(given, "small.yaml").ledgers)
    assert known["small/south"] == tmp_path / "s.sqlite" and "small/row" not in known
    with pytest.raises(StudyError, match="looks at the table of one row party"):
        plan_config({**given, "look": True}, "small.yaml")


def test_a_ledger_that_is_named_must_be_there_unless_nothing_is_debited(tmp_path):
    place = tmp_path / "ledger.sqlite"
    for key in ("ledger", "data.column.ledger"):
        changes = {"ledger": None, key: str(place)}
        with pytest.raises(InputError, match=f"key {key}.*xstat-ray budget create ledger="):
            crosstab_config(raw(**changes), "small.yaml")
        without_noise = crosstab_config(raw(**changes, **{"privacy.noise": "off"}), "small.yaml")
        assert without_noise.columns["column"].ledger == place
        assert (without_noise.rows["row"].ledger == place) == (key == "ledger")


def test_optional_values():
    changes = {
        "batch": "week",
        "crypto.slot_bits": 30,
        "crypto.constant_time": True,
        "cluster.address": "auto",
        "cluster.cpus": 2,
        "unsafe.allow_no_noise": True,
    }
    options = crosstab_config(raw(**changes, runtime="local"), "small.yaml").options
    assert (options.slot_bits, options.cluster.address, options.cluster.cpus) == (30, "auto", 2)
    assert (options.allow_no_noise, options.runtime) == (True, "local")
    assert options.constant_time and options.batch == "week"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("privcy", {}, r"unknown key \(file small.yaml, key privcy\). Did you mean 'privacy'\?"),
        ("zzz", 1, "unknown key .*key zzz.*Known keys are study, privacy"),
        ("data.rows", {}, r"unknown key .*key data.rows.*Did you mean 'row'\?"),
        ("data.row.pth", "x", r"key data.row.pth.*Did you mean 'path'\?"),
        ("crypto.keybits", 1, r"key crypto.keybits.*Did you mean 'key_bits'\?"),
        ("cluster.adress", "x", r"key cluster.adress.*Did you mean 'address'\?"),
        ("replicas.rows", 1, r"key replicas.rows.*Did you mean 'row'\?"),
        ("unsafe.allow", True, r"key unsafe.allow\).*Known keys are allow_no_noise"),
        ("study.rwo", {}, "key study.rwo"),
        ("out", "", "out is not a text .*key out"),
        ("out", 2024, "out is not a text .*key out"),
        ("data.row.path", None, "path is missing .*key data.row.path"),
        ("data.column.path", ..., "key data.column.path"),
        ("data.column", ..., "column is missing .*key data.column"),
        ("crypto", 2048, "is not a mapping .*key crypto"),
        ("crypto.key_bits", "2048", "whole number of at least 1 .*key crypto.key_bits"),
        ("crypto.slot_bits", 0, "key crypto.slot_bits"),
        ("shards", True, "key shards"),
        ("window", 0, "key window"),
        ("replicas.column", 1.5, "key replicas.column"),
        ("cluster.cpus", 0, "key cluster.cpus"),
        ("display", "loud", "key display.*Choose one of auto, quiet, json"),
        ("runtime", "spark", "key runtime.*Choose one of ray, local"),
        ("data.row.ledger", 7, "ledger is not a text .*key data.row.ledger"),
    ],
)
def test_what_is_refused_is_named(key, value, message):
    with pytest.raises(StudyError, match=message) as caught:
        crosstab_config(raw(**{key: value}), "small.yaml")
    assert caught.value.exit_code == 2


def test_nothing_but_true_switches_the_noise_guard_off():
    with pytest.raises(StudyError, match="neither true nor false .*key unsafe.allow_no_noise"):
        crosstab_config(raw(**{"unsafe.allow_no_noise": "yes"}), "small.yaml")


def test_a_plan_needs_no_tables_and_no_output():
    config = plan_config(raw(data=..., out=None), "small.yaml")
    assert (config.study.name, config.options.key_bits, config.options.shards) == ("small", 2048, 5)
    assert (config.target, config.display) == (None, "quiet")


def test_a_target_is_for_cells_unless_a_level_is_named():
    assert plan_config(raw(target_stderr=2.5), "small.yaml").target == Target(2.5, "cell")
    assert plan_config(raw(target_stderr=3, target_level="total"), "small.yaml").target == Target(
        3.0, "total"
    )


def test_a_sweep_with_a_past_release_tells_what_would_be_published(tmp_path):
    sweep = {"privacy.epsilon": [1, 2], "data": str(tmp_path)}
    with pytest.raises(InputError, match="no statistics of a release.*key sweep.data"):
        plan_config(raw(sweep=sweep), "small.yaml")
    points = plan_config(raw(sweep=sweep | {"data": None}), "small.yaml").sweep.points
    assert [point.shown for point in points] == [None, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_stderr": 0}, "target_stderr is not more than zero .*key target_stderr"),
        ({"target_stderr": -1}, "target_stderr is not more than zero .*key target_stderr"),
        ({"target_stderr": "low"}, "target_stderr is not a number .*key target_stderr"),
        ({"target_level": 4}, "target_level is not a text .*key target_level"),
        ({"target": 4}, "key target.*Did you mean 'target_"),
        ({"crypto.keybits": 1}, "key crypto.keybits"),
        ({"display": "loud"}, "key display"),
    ],
)
def test_what_is_refused_of_a_plan_is_named(changes, message):
    with pytest.raises(StudyError, match=message):
        plan_config(raw(**changes), "small.yaml")
