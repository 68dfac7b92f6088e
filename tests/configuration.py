"""The shipped configuration files, read as YAML and put together without Hydra."""

from __future__ import annotations

from typing import Any

import yaml
from omegaconf import OmegaConf

from tests.pages import ROOT

CONF = ROOT / "conf"
MAINS = sorted(path.stem for path in CONF.glob("*.yaml"))
"""Names of the jobs."""


def groups_of(job: str) -> dict[str, str]:
    """The groups that a job chooses from, with its default; "???" where the user must choose."""
    defaults = _load(job)["defaults"]
    return {
        group: name for item in defaults if isinstance(item, dict) for group, name in item.items()
    }


def settings_of(job: str) -> dict[str, Any]:
    """What the file of a job sets or asks for, with what it includes from conf/base; no groups."""
    parts = []
    for item in _load(job)["defaults"]:
        if isinstance(item, str):
            parts.append(_load(job if item == "_self_" else item))
    merged = OmegaConf.to_container(OmegaConf.merge(*parts), resolve=False)
    assert isinstance(merged, dict)
    return {str(key): value for key, value in merged.items() if key not in ("defaults", "hydra")}


def _load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return content
