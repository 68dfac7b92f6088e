"""Check a composed configuration (plain dictionaries) once, and turn it into a job's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from xstat_ray.inputs.section import Section
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan_report import Target
from xstat_ray.planning.settings import (
    DISPLAYS,
    TOP,
    column_data,
    read_ledger,
    read_options,
    read_shared_ledger,
    read_source,
    read_study,
    row_data,
)
from xstat_ray.planning.sweep import Sweep, make_sweep, read_data, read_grid
from xstat_ray.publication.rehearsal import PastRelease
from xstat_ray.runtime.ledgers import Ledgers, ledgers_of
from xstat_ray.util.location import Location

_PLAN = ("target_stderr", "target_level", "look", "sweep", "figure")


@dataclass(frozen=True)
class CrosstabConfig:
    """Checked configuration of `xstat-ray crosstab`."""

    study: Study
    rows: Mapping[str, Source]
    """By name of the row party; `row` where there is one."""
    columns: Mapping[str, Source]
    """By name of the column party; `column` where there is one."""
    out: Location
    options: Options
    display: str
    federated: bool
    """Whether the roles run as three domains."""


@dataclass(frozen=True)
class PlanConfig:
    """Checked configuration of `xstat-ray plan`."""

    study: Study
    options: Options
    target: Target | None
    row: Source | None
    """The row party's table, where it is to be looked at."""
    ledgers: Ledgers
    """The parties' ledgers, by data set."""
    out: Location | None
    """Where the release would go, if that is known."""
    display: str
    sweep: Sweep | None
    """Errors over a grid of settings, in place of the plan; None without one."""
    level: str
    """The level whose errors are drawn."""
    figure: Path | None
    """Where they are drawn."""


def crosstab_config(raw: Mapping[str, Any], origin: str) -> CrosstabConfig:
    """Check a composed configuration.

    Args:
        raw: nested dictionaries with the keys of conf/crosstab.yaml.
        origin: name of the study's file, for messages.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type; names the key.
    """
    top = Section(raw, key="", origin=origin, known=(*TOP, "ledger"))
    data = top.child("data", ("row", "column"))
    federated = top.choice("deployment", ("local", "federated"), "local") == "federated"
    study = read_study(raw, origin, padding="dp" if federated else "off")
    # Without noise nothing is debited.
    spends = study.privacy.noise != "off" or study.privacy.padding == "dp"
    ledger = read_shared_ledger(top, spends=spends)
    return CrosstabConfig(
        study=study,
        rows={
            name: read_source(of_party, "row", ledger, spends=spends)
            for name, of_party in row_data(data, study).items()
        },
        columns={
            name: read_source(of_party, "column", ledger, spends=spends)
            for name, of_party in column_data(data, study).items()
        },
        out=top.location("out"),
        options=read_options(top, constant_time=federated),
        display=top.choice("display", DISPLAYS, "auto"),
        federated=federated,
    )


def plan_config(raw: Mapping[str, Any], origin: str) -> PlanConfig:
    """Check a composed configuration with the keys of conf/plan.yaml.

    Where the row party's table lies is read only if `look` is true.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type; names the key.
    """
    top = Section(raw, key="", origin=origin, known=(*TOP, *_PLAN))
    study = read_study(raw, origin)
    sources = {terms.name: Source(Path()) for terms in study.parties}
    if top.get("data") is not None:
        data = top.child("data", ("row", "column"))
        ledgers = {
            name: read_ledger(of_party, "column")
            for name, of_party in column_data(data, study).items()
        } | {name: read_ledger(of_party, "row") for name, of_party in row_data(data, study).items()}
        sources = {name: Source(Path(), ledger=ledgers[name]) for name in sources}
    return PlanConfig(
        study=study,
        options=read_options(top),
        target=_target(top),
        row=_looked_at(top, study) if top.flag("look", False) else None,
        ledgers=ledgers_of(study, sources),
        out=None if top.get("out") is None else top.location("out"),
        display=top.choice("display", DISPLAYS, "auto"),
        sweep=_sweep(top, raw, origin),
        level=top.text("target_level", Target.level),
        figure=top.optional_disk_path("figure"),
    )


def _looked_at(top: Section, study: Study) -> Source:
    """Find the row party's table, at which the plan is to look."""
    if study.row.parties:
        remedy = "Leave look out; each row party looks whether its table fits when a run starts"
        raise top.error("the plan looks at the table of one row party", "look", remedy=remedy)
    return read_source(top.child("data", ("row", "column")), "row")


def _sweep(top: Section, raw: Mapping[str, Any], origin: str) -> Sweep | None:
    grid = read_grid(top)
    if grid:
        path = read_data(top)
        past = None if path is None else PastRelease.read(path, "sweep.data")
        return make_sweep(raw, grid, origin, past.rehearse if past else None)
    if top.get("figure") is not None:
        raise top.error("there is nothing to draw", "figure", remedy="Set sweep as well")
    return None


def _target(top: Section) -> Target | None:
    level = top.text("target_level", Target.level)
    stderr = top.fraction("target_stderr", Fraction(0))
    if top.get("target_stderr") is None:
        return None
    if stderr <= 0:
        raise top.error("target_stderr is not more than zero", "target_stderr")
    return Target(float(stderr), level)
