"""The settings of a world: every scale, defaults, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from xstat_ray.errors import StudyError
from xstat_ray.hokkaido.world.settings import SynthesizeConfig, World, synthesize_config

CONF = Path(__file__).parents[3] / "conf"


def read(**changes: Any) -> SynthesizeConfig:
    """Read a configuration of a small world."""
    return synthesize_config(
        {"world": {"people": 100, **changes}, "out": "data", "cluster": {}}, "a test"
    )


def test_every_scale_describes_a_world():
    people = {}
    for scale in ("laptop", "city", "hokkaido-day", "hokkaido"):
        with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            composed = compose("synthesize", [f"scale={scale}"])
        config = synthesize_config(OmegaConf.to_container(composed), "a test")
        people[scale] = config.world.people
        assert config.world.blocks * config.world.block >= config.world.people
    assert people["laptop"] < people["city"] < people["hokkaido-day"] == people["hokkaido"]
    assert (config.world.dates[0], config.world.dates[-1]) == (
        dt.date(2023, 8, 28),
        dt.date(2024, 3, 31),
    )


def test_what_is_not_given_has_its_default():
    assert read().world == World(people=100)
    assert read(first_day="2023-12-30", days=3).world.last_day == dt.date(2024, 1, 1)
    assert World(people=9_001, block=4_500).blocks == 3


def test_settings_can_be_written_as_json():
    assert json.loads(json.dumps(World().as_dict()))["first_day"] == "2023-10-22"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("share", 1.5),
        ("share", -0.1),
        ("days", 0),
        ("people", 40_000_000),
        ("first_day", "2023-02-30"),
        ("studied", 2000),
        ("people", "many"),
        ("air", "often"),
        ("seed", -1),
        ("colour", "red"),
    ],
)
def test_what_cannot_be_is_refused_by_name(key, value):
    with pytest.raises(StudyError) as caught:
        read(**{key: value})
    assert f"world.{key}" in str(caught.value)
    assert "a test" in str(caught.value)


def test_a_factor_may_exceed_one():
    assert read(studied=30).world.studied == 30
