"""The configuration group `cluster`: what it may say, and that each of its files is valid."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from xstat_ray.errors import StudyError
from xstat_ray.inputs.section import Section
from xstat_ray.planning.cluster import Cluster, read_cluster

CONF = Path(__file__).parents[2] / "conf"


def read(**values: object) -> Cluster:
    return read_cluster(Section({"cluster": values}, key="", origin="o.yaml", known=("cluster",)))


def test_every_key_arrives():
    values = {
        "address": "auto",
        "cpus": 3,
        "store_bytes": 7,
        "spill": "/s",
        "labels": {"row": {"party": "row"}, "pool": None},
        "wait_seconds": 4,
        "silence_seconds": 5,
        "restarts": 0,
        "insecure": True,
        "metrics": True,
        "timeline": "/t.json",
    }
    expected = values | {
        "spill": Path("/s"),
        "timeline": Path("/t.json"),
        "labels": {"row": {"party": "row"}},
    }
    assert read(**values) == Cluster(**expected)
    assert values.keys() == yaml.safe_load((CONF / "cluster/local.yaml").read_text()).keys()
    assert (
        read() == Cluster()
        and Cluster().of("row") == {}
        and read(**values).of("row") == {"party": "row"}
    )


@pytest.mark.parametrize("choice", [path.stem for path in (CONF / "cluster").glob("*.yaml")])
def test_every_choice_is_valid(choice):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        composed = compose("crosstab", overrides=["study=nycflights", f"cluster={choice}"])
    raw = OmegaConf.to_container(composed.cluster)
    cluster = read(**raw)
    assert (cluster.address is None) == (choice == "local")
    assert set(cluster.labels) == ({"row", "column", "pool"} if choice == "labelled" else set())
    assert not cluster.insecure and not cluster.metrics


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lables": {}}, "Did you mean 'labels'"),
        ({"labels": {"rows": {}}}, "key cluster.labels.rows.*Did you mean 'row'"),
        ({"labels": {"row": "party=row"}}, "key cluster.labels.row.*Write {party: row}"),
        (
            {"labels": {"pool": {"party": None}}},
            "a label is not a text .*key cluster.labels.pool.party",
        ),
        ({"silence_seconds": 0}, "key cluster.silence_seconds"),
        ({"restarts": -1}, "key cluster.restarts"),
        ({"insecure": "yes"}, "key cluster.insecure"),
        ({"spill": 7}, "key cluster.spill"),
    ],
)
def test_what_is_refused_is_named(values, message):
    with pytest.raises(StudyError, match=message):
        read(**values)
