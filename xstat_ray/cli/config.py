"""From a composed configuration (plain dictionaries) to the arguments of a job, checked once at the edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from xstat_ray.crosstab import Options
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import PaddingMode, Study
from xstat_ray.planning.batching import BATCHES, Batch
from xstat_ray.planning.cluster import read_cluster
from xstat_ray.planning.plan_report import Target
from xstat_ray.runtime.executor import Source

TOP = (
    "study", "privacy", "tables", "data", "out", "runtime", "shards", "batch", "replicas", "window", "crypto",
    "cluster", "ledger", "display", "unsafe", "world",
    "deployment",
)  # fmt: skip
_PLAN = ("target_stderr", "target_level", "look")
DISPLAYS = ("auto", "quiet", "json")


@dataclass(frozen=True)
class CrosstabConfig:
    """What `jobs.crosstab` needs."""

    study: Study
    row: Source
    column: Source
    out: Path
    options: Options
    display: str
    federated: bool
    """Whether the roles run as three domains."""


@dataclass(frozen=True)
class PlanConfig:
    """What `jobs.plan` needs."""

    study: Study
    options: Options
    target: Target | None
    row: Source | None
    """The row party's table, where it is to be looked at."""
    display: str


def crosstab_config(raw: Mapping[str, Any], origin: str) -> CrosstabConfig:
    """Check a composed configuration.

    Args:
        raw: nested dictionaries with the keys of conf/crosstab.yaml.
        origin: name of the study's file, for messages.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type; names the key.
    """
    top = Section(raw, key="", origin=origin, known=TOP)
    data = top.child("data", ("row", "column"))
    federated = top.choice("deployment", ("local", "federated"), "local") == "federated"
    return CrosstabConfig(
        study=read_study(raw, origin, padding="dp" if federated else "off"),
        row=read_source(data, "row"),
        column=read_source(data, "column"),
        out=Path(top.text("out")),
        options=read_options(top, constant_time=federated),
        display=top.choice("display", DISPLAYS, "auto"),
        federated=federated,
    )


def plan_config(raw: Mapping[str, Any], origin: str) -> PlanConfig:
    """Check a composed configuration with the keys of conf/plan.yaml.

    Where tables lie is read only to `look` there.

    Raises:
        StudyError: as `crosstab_config`.
    """
    top = Section(raw, key="", origin=origin, known=(*TOP, *_PLAN))
    return PlanConfig(
        study=read_study(raw, origin),
        options=read_options(top),
        target=_target(top),
        row=read_source(top.child("data", ("row", "column")), "row")
        if top.flag("look", False)
        else None,
        display=top.choice("display", DISPLAYS, "auto"),
    )


def read_study(raw: Mapping[str, Any], origin: str, *, padding: PaddingMode = "off") -> Study:
    """The study that a configuration describes.

    `padding` is what holds where the configuration leaves it open.
    """
    blocks = {key: raw[key] for key in ("study", "privacy") if key in raw}
    privacy = blocks.get("privacy")
    if isinstance(privacy, Mapping) and privacy.get("padding") is None:
        blocks["privacy"] = {**privacy, "padding": padding}
    return parse(blocks, origin=origin)


def _target(top: Section) -> Target | None:
    level = top.text("target_level", Target.level)
    stderr = top.fraction("target_stderr", Fraction(0))
    if top.get("target_stderr") is None:
        return None
    if stderr <= 0:
        raise top.error("target_stderr is not more than zero", "target_stderr")
    return Target(float(stderr), level)


def read_source(data: Section, role: str) -> Source:
    """Where a party's data lies."""
    section = data.child(role, ("path", "exclude", "damaged"))
    damaged = section.choice("damaged", ("stop", "skip"), "stop")
    return Source(section.text("path"), section.texts("exclude"), skip_damaged=damaged == "skip")


def read_options(top: Section, *, constant_time: bool = False) -> Options:
    """How to run; `constant_time` is what holds where the configuration leaves it open."""
    usual = Options()
    crypto = top.child("crypto", ("key_bits", "slot_bits", "constant_time"))
    replicas = top.child("replicas", ("row", "column"))
    return Options(
        key_bits=crypto.whole("key_bits", usual.key_bits, least=1),
        slot_bits=_optional_whole(crypto, "slot_bits"),
        constant_time=crypto.flag("constant_time", constant_time),
        shards=top.whole("shards", usual.shards, least=1),
        batch=cast(Batch, top.choice("batch", BATCHES, usual.batch)),
        runtime="ray" if top.choice("runtime", ("ray", "local"), "ray") == "ray" else "local",
        replicas={
            role: replicas.whole(role, count, least=1) for role, count in usual.replicas.items()
        },
        window=top.whole("window", usual.window, least=1),
        cluster=read_cluster(top),
        ledger=Path(top.text("ledger", str(usual.ledger))),
        allow_no_noise=top.child("unsafe", ("allow_no_noise",)).flag("allow_no_noise", False),
    )


def _optional_whole(section: Section, name: str) -> int | None:
    return None if section.get(name) is None else section.whole(name, 0, least=1)
