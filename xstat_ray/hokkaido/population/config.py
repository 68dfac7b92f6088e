"""From a composed configuration to the arguments of `xstat-ray population`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.population.areas import COARSER
from xstat_ray.hokkaido.population.declaration import (
    AREA_KINDS,
    ATTRIBUTES,
    RESIDENCES,
    AreaKind,
    Attribute,
    Breakdown,
    Declaration,
    Residence,
)
from xstat_ray.hokkaido.population.run import OperatorTables, PopulationOptions
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.source import absolute_location
from xstat_ray.inputs.study_file import read_id
from xstat_ray.inputs.study_privacy import read_privacy
from xstat_ray.planning.cluster import Cluster, read_cluster
from xstat_ray.planning.settings import DISPLAYS
from xstat_ray.planning.table_settings import FILE_KEYS, read_file_options
from xstat_ray.privacy.places import place_of

_TOP = (
    "population", "privacy", "tables", "data", "out", "runtime", "shards", "replicas", "window",
    "cluster", "ledger", "display", "unsafe", "world",
)  # fmt: skip
_POPULATION = (
    "first_day", "days", "timezone", "area", "within", "residence", "breakdowns", "class_residents",
    "weight_cap", "least_lines", "dataset", "id",
)  # fmt: skip
_DATA = (
    *("presence", "subscribers", "register", "exclude", "unreadable"),
    *("format", *FILE_KEYS),
)
_MOST_DAYS = 1 << 15


@dataclass(frozen=True)
class PopulationConfig:
    """The checked configuration of `xstat-ray population`."""

    declaration: Declaration
    tables: OperatorTables
    out: Path
    options: PopulationOptions
    runtime: str
    """Where tasks run: `ray` or `local`."""
    window: int
    """Tasks in flight on Ray."""
    cluster: Cluster
    display: str


def population_config(raw: Mapping[str, Any], origin: str) -> PopulationConfig:
    """Check a composed configuration with the keys of conf/population.yaml.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type or out of range; names
            the key.
    """
    top = Section(raw, key="", origin=origin, known=_TOP)
    defaults = PopulationOptions()
    return PopulationConfig(
        declaration=read_declaration(top),
        tables=_tables(top.child("data", _DATA)),
        out=top.disk_path("out").absolute(),
        options=PopulationOptions(
            shards=top.whole("shards", defaults.shards, least=1),
            ledger=place_of(top.text("ledger", str(defaults.ledger))),
            allow_no_noise=top.child("unsafe", ("allow_no_noise",)).flag("allow_no_noise", False),
        ),
        runtime=top.choice("runtime", ("ray", "local"), "ray"),
        window=top.whole("window", 8, least=1),
        cluster=read_cluster(top),
        display=top.choice("display", DISPLAYS, "auto"),
    )


def read_declaration(top: Section) -> Declaration:
    """Check the blocks `population` and `privacy`.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type or out of range.
    """
    section = top.child("population", _POPULATION)
    area = section.choice("area", AREA_KINDS, "municipality")
    days = section.whole("days", 0, least=1) if section.need("days") else 0
    if days > _MOST_DAYS:
        raise section.error(f"days is more than {_MOST_DAYS:,}", "days")
    cap = section.fraction("weight_cap", Declaration.weight_cap)
    if not 1 <= cap <= 100:
        raise section.error("weight_cap is not between 1 and 100", "weight_cap")
    form, region = read_id(section)
    return Declaration(
        first_day=_date(section),
        days=days,
        breakdowns=_breakdowns(section),
        area=cast(AreaKind, area),
        within=_within(section),
        residence=cast(Residence, section.choice("residence", RESIDENCES, Declaration.residence)),
        timezone=_timezone(section),
        class_residents=section.whole("class_residents", Declaration.class_residents, least=1),
        weight_cap=cap,
        least_lines=section.whole("least_lines", Declaration.least_lines, least=0),
        privacy=read_privacy(top, ("cell", *COARSER[area], "total"), joint=False),
        dataset=section.text("dataset", Declaration.dataset),
        id_form=form,
        id_region=region,
    )


def _tables(data: Section) -> OperatorTables:
    return OperatorTables(
        presence=absolute_location(data.location("presence")),
        subscribers=absolute_location(data.location("subscribers")),
        register=absolute_location(data.location("register")),
        excluded=tuple(map(absolute_location, data.locations("exclude"))),
        options=read_file_options(data),
        count_unreadable=data.choice("unreadable", ("stop", "count"), "stop") == "count",
    )


def _date(section: Section) -> dt.date:
    text = section.text("first_day")
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise section.error(
            "not a date", "first_day", remedy='Write "2023-10-22", in quotes'
        ) from None


def _timezone(section: Section) -> str:
    name = section.text("timezone", Declaration.timezone)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise section.error(
            f"unknown time zone {name!r}", "timezone", remedy="Use a name such as Asia/Tokyo"
        ) from None
    return name


def _within(section: Section) -> tuple[str, ...]:
    names = section.texts("within")
    if stray := [name for name in names if name not in hokkaido.SUBPREFECTURES]:
        remedy = f"Choose among {', '.join(hokkaido.SUBPREFECTURES)}"
        raise section.error(f"{stray[0]!r} is no subprefecture", "within", remedy=remedy)
    return tuple(sorted(set(names)))


def _breakdowns(section: Section) -> tuple[Breakdown, ...]:
    raw = section.need("breakdowns")
    if not isinstance(raw, Mapping) or not raw:
        raise section.error(
            "breakdowns is not a mapping of name to {by: [...], share: ...}", "breakdowns"
        )
    named = section.child("breakdowns", [str(name) for name in raw])
    shares = {}
    attributes = {}
    for name in map(str, raw):
        if not name.isidentifier():
            raise named.error("the name of a breakdown is not of letters, digits and _", name)
        entry = named.child(name, ("by", "share"))
        shares[name] = entry.fraction("share", Fraction(1))
        if shares[name] <= 0:
            raise entry.error("share is not more than zero", "share")
        by = entry.texts("by")
        if stray := [attribute for attribute in by if attribute not in ATTRIBUTES]:
            remedy = f"Choose among {', '.join(ATTRIBUTES)}"
            raise entry.error(f"{stray[0]!r} is no attribute", "by", remedy=remedy)
        attributes[name] = tuple(cast(Attribute, a) for a in ATTRIBUTES if a in by)
    whole = sum(shares.values())
    return tuple(Breakdown(name, attributes[name], share / whole) for name, share in shares.items())
