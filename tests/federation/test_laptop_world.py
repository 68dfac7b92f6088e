"""The laptop's Hokkaido gives the same cells in three padded domains as in the local deployment.

Noise is off. The test is slow; `test_steps` and `tests/jobs/test_domains.py` compare small tables
and real ones.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.federation.domains import Domains
from xstat_ray import crosstab, load_study
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World, synthesize_config
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study

pytestmark = pytest.mark.slow
CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both deployments bound the same people's contributions to the same rows."""
    monkeypatch.setattr(
        "xstat_ray.roles.party.os", SimpleNamespace(urandom=lambda size: bytes(range(size)))
    )


def laptop() -> World:
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return synthesize_config(
            OmegaConf.to_container(compose("synthesize", ["scale=laptop"])), "a test"
        ).world


def study_of(world: World, padding: str) -> Study:
    """The study, in the days of the world."""
    study = load_study(CONF / "study" / "doto_movement.yaml")
    start = study.period.start.replace(
        year=world.first_day.year, month=world.first_day.month, day=world.first_day.day
    )
    period = dataclasses.replace(
        study.period, start=start, end=start + dt.timedelta(days=world.days)
    )
    privacy = dataclasses.replace(study.privacy, noise="off", padding=padding)
    return dataclasses.replace(study, period=period, privacy=privacy)


def test_federated_and_padded_is_local_and_plain(quick_key, same_seed, tmp_path):
    world = laptop()
    tables = tmp_path / "tables"
    build(world, tables, map, lambda _: None)
    sources = {
        "row": Source(
            tables / "operator" / "presence",
            (tables / "operator" / "opt_out.parquet", tables / "operator" / "not_used.parquet"),
        ),
        "column": Source(
            tables / "airline" / "boardings.parquet", tables / "airline" / "no_consent.parquet"
        ),
    }
    domains = Domains(tmp_path / "domains", study_of(world, "dp"), sources, shards=4)
    plain = crosstab(study_of(world, "off"), **sources, options=domains.options)
    domains.run()
    assert pq.read_table(domains.out / "statistics.parquet").equals(plain.statistics)
    assert pq.read_table(domains.out / "areas.parquet").equals(plain.areas)
    assert sum(plain.statistics["noisy"].to_pylist()) > 1000
