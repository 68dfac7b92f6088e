"""Settings of a world, read from a configuration: its days, its people, how much they travel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from xstat_ray.hokkaido.world.numbers import CAPACITY
from xstat_ray.inputs.section import Section
from xstat_ray.planning.cluster import Cluster, read_cluster
from xstat_ray.planning.settings import DISPLAYS

_TOP = ("world", "out", "runtime", "shards", "replicas", "window", "cluster", "display")


@dataclass(frozen=True)
class World:
    """The settings that determine every byte of a world."""

    seed: int = 20231029
    first_day: dt.date = dt.date(2023, 10, 22)
    days: int = 14
    people: int = 36_000
    """Number of people, subscribers or not, inside and outside Hokkaido."""
    block: int = 4_500
    """Number of people in a block, the unit of work and of a presence file; the last block may have
    fewer."""
    outside: float = 0.12
    """Share of the people who live outside Hokkaido."""
    share: float = 0.42
    """Share of the residents of 10 years and older who are subscribers of the operator."""
    corporate: float = 0.06
    """Share of the subscribers that are companies."""
    opt_out: float = 0.01
    """Share of the subscribers whose data may not be used."""
    member: float = 0.45
    """Share of the passengers who are members of the airline's programme."""
    no_consent: float = 0.02
    """Share of the members who did not consent."""
    unsteady: float = 0.004
    """Share of the subscribers whose phone is off for some hours on some days."""
    air: float = 0.3
    """Chance that a person travels by air in a fortnight."""
    ground: float = 0.25
    """Chance that a resident of Hokkaido who does not fly goes on a journey of some days by road in
    a fortnight."""
    own: float = 0.75
    """Share of the journeys by air that are booked with this airline; the others are in no table of
    boardings."""
    studied: float = 25.0
    """Factor by which the routes between Sapporo and eastern Hokkaido are chosen more often than
    their seats suggest."""

    @property
    def last_day(self) -> dt.date:
        """The last day of the tables."""
        return self.first_day + dt.timedelta(days=self.days - 1)

    @property
    def blocks(self) -> int:
        """Number of blocks of people."""
        return -(-self.people // self.block)

    @property
    def dates(self) -> list[dt.date]:
        """All days of the tables."""
        return [self.first_day + dt.timedelta(days=day) for day in range(self.days)]

    def as_dict(self) -> dict[str, Any]:
        """Values of the settings that JSON can hold, by name."""
        return asdict(self) | {"first_day": self.first_day.isoformat()}


@dataclass(frozen=True)
class SynthesizeConfig:
    """The checked configuration of `xstat-ray synthesize`."""

    world: World
    out: Path
    runtime: str
    """Where blocks are made: `ray` or `local`."""
    window: int
    """Blocks in flight on Ray."""
    cluster: Cluster
    display: str


def synthesize_config(raw: Mapping[str, Any], origin: str) -> SynthesizeConfig:
    """Check a composed configuration with the keys of conf/synthesize.yaml.

    Raises:
        StudyError: an unknown key, or a value of the wrong type or out of range; names the key.
    """
    top = Section(raw, key="", origin=origin, known=_TOP)
    return SynthesizeConfig(
        world=read_world(top.child("world", [field.name for field in fields(World)])),
        out=top.disk_path("out"),
        runtime=top.choice("runtime", ("ray", "local"), "ray"),
        window=top.whole("window", 8, least=1),
        cluster=read_cluster(top),
        display=top.choice("display", DISPLAYS, "auto"),
    )


def read_world(section: Section) -> World:
    """Check the block `world` of a scale.

    Raises:
        StudyError: an unknown key, or a value of the wrong type or out of range; names the key.
    """
    defaults = World()
    values: dict[str, Any] = {}
    for field in fields(World):
        default = getattr(defaults, field.name)
        if isinstance(default, dt.date):
            values[field.name] = _date(section, field.name, default)
        elif isinstance(default, int):
            values[field.name] = section.whole(
                field.name, default, least=0 if field.name == "seed" else 1
            )
        else:
            values[field.name] = _number(section, field.name, default)
    world = World(**values)
    if world.people > CAPACITY:
        raise section.error(f"there are numbers for {CAPACITY:,} people only", "people")
    return world


def _date(section: Section, name: str, default: dt.date) -> dt.date:
    text = section.text(name, default.isoformat())
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise section.error("not a date", name, remedy='Write "2023-10-22", in quotes') from None


def _number(section: Section, name: str, default: float) -> float:
    """Read a share, from 0 to 1, or the factor `studied`, which may exceed 1."""
    value = float(section.fraction(name, Fraction(str(default))))
    most = 1000.0 if name == "studied" else 1.0
    if not 0 <= value <= most:
        raise section.error(f"{name} is not between 0 and {most:g}", name)
    return value
