"""From a composed configuration to the arguments of `xstat-ray needs`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from xstat_ray.hokkaido.needs.access import Travel
from xstat_ray.hokkaido.needs.answer import Assumptions, Folders
from xstat_ray.hokkaido.needs.index import Sampling
from xstat_ray.inputs.section import Section
from xstat_ray.planning.settings import DISPLAYS

_TOP = ("releases", "market_share", "travel", "draws", "seed", "top", "out", "display")
_DISPLAYS = DISPLAYS[:2]
"""Displays of a job that shows no progress, so that there are no events to write as JSON."""


@dataclass(frozen=True)
class NeedsConfig:
    """The checked configuration of `xstat-ray needs`."""

    folders: Folders
    assumptions: Assumptions
    out: Path
    display: str


def needs_config(raw: Mapping[str, Any], origin: str) -> NeedsConfig:
    """Check a composed configuration with the keys of conf/needs.yaml.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type or out of range; names
            the key.
    """
    top = Section(raw, key="", origin=origin, known=_TOP)
    defaults = Assumptions()
    share = top.fraction("market_share", Fraction(str(defaults.market_share)))
    if not 0 < share <= 1:
        raise top.error("market_share is not more than 0 and at most 1", "market_share")
    sampling = Sampling(
        draws=top.whole("draws", defaults.sampling.draws, least=100),
        seed=top.whole("seed", defaults.sampling.seed, least=0),
        top=top.whole("top", defaults.sampling.top, least=1),
    )
    return NeedsConfig(
        folders=_folders(top.child("releases", [field.name for field in fields(Folders)])),
        assumptions=Assumptions(float(share), _travel(top), sampling),
        out=top.disk_path("out"),
        display=top.choice("display", _DISPLAYS, "auto"),
    )


def _folders(section: Section) -> Folders:
    return Folders(
        movement=section.disk_path("movement"),
        catchment=section.disk_path("catchment"),
        population=section.disk_path("population"),
        preboarding=section.optional_disk_path("preboarding"),
    )


def _travel(top: Section) -> Travel:
    names = [field.name for field in fields(Travel)]
    section = top.child("travel", names)
    defaults = Travel()
    values = {
        name: float(section.fraction(name, Fraction(str(getattr(defaults, name)))))
        for name in names
    }
    for name, value in values.items():
        if value < 0:
            raise section.error(f"{name} is negative", name)
    return Travel(**values)
