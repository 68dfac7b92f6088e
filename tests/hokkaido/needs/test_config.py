"""The configuration of `jobs.needs`: the committed file, and mistakes."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.configuration import settings_of
from xstat_ray.errors import StudyError
from xstat_ray.hokkaido.needs.answer import Assumptions
from xstat_ray.hokkaido.needs.config import needs_config


@pytest.fixture
def raw() -> dict[str, Any]:
    return settings_of("needs")


def test_the_committed_file_holds_the_defaults_of_the_code(raw):
    config = needs_config(raw, "needs.yaml")
    assert config.assumptions == Assumptions()
    assert (
        config.folders.movement == Path("out/doto_movement") and config.folders.preboarding is None
    )
    raw["releases"]["preboarding"] = "out/preboarding"
    assert needs_config(raw, "needs.yaml").folders.preboarding == Path("out/preboarding")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("market_share", 0, "key market_share"),
        ("market_share", 1.1, "key market_share"),
        ("draws", 10, "key draws"),
        ("display", "loud", "Choose one of auto, quiet"),
        ("travel.tolerated", -1, "key travel.tolerated"),
        ("travel.tolerted", 1, "Did you mean 'tolerated'"),
        ("releases.movement", None, "key releases.movement"),
        ("releases.presence", "data", "key releases.presence"),
    ],
)
def test_mistakes_are_named(raw, key, value, message):
    raw = deepcopy(raw)
    *parents, name = key.split(".")
    section = raw
    for parent in parents:
        section = section[parent]
    section[name] = value
    with pytest.raises(StudyError, match=message):
        needs_config(raw, "needs.yaml")
