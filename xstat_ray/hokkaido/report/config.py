"""From a composed configuration to the arguments of `xstat-ray report`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstat_ray.inputs.section import Section, first_duplicate
from xstat_ray.planning.settings import DISPLAYS

_TOP = ("run", "out", "language", "geofiles", "figures", "display")
_DISPLAYS = DISPLAYS[:2]
"""Displays of a job that shows no progress, so that there are no events to write as JSON."""
LANGUAGES = ("ja", "en")


@dataclass(frozen=True)
class ReportConfig:
    """The checked configuration of `xstat-ray report`."""

    runs: tuple[Path, ...]
    out: Path
    language: str
    geofiles: bool
    figures: bool
    display: str


def report_config(raw: Mapping[str, Any], origin: str) -> ReportConfig:
    """Check a composed configuration with the keys of conf/report.yaml.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type; names the key.
    """
    top = Section(raw, key="", origin=origin, known=_TOP)
    runs = top.texts("run")
    if not runs:
        raise top.error(
            "no folder is given",
            "run",
            remedy="Name the output folder of a job: run=out/doto_movement",
        )
    paths = top.disk_paths("run")
    if (twice := first_duplicate(runs)) is not None:
        raise top.error(f"{twice} is given twice", "run")
    return ReportConfig(
        runs=paths,
        out=top.disk_path("out"),
        language=top.choice("language", LANGUAGES, "ja"),
        geofiles=top.flag("geofiles", True),
        figures=top.flag("figures", True),
        display=top.choice("display", _DISPLAYS, "auto"),
    )
