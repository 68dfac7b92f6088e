"""Declarations of population releases, in plain frozen data; all of it is public."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from math import ceil
from typing import Literal, get_args

from xstat_ray.model.study import IdForm, Privacy

AreaKind = Literal["municipality", "mesh"]
Residence = Literal["local", "municipality", "prefecture"]
Attribute = Literal["residence", "age", "gender"]

AREA_KINDS, RESIDENCES, ATTRIBUTES = (get_args(kind) for kind in (AreaKind, Residence, Attribute))
HOURS = 24
FORMAT = 1


@dataclass(frozen=True)
class Breakdown:
    """One table of the release: people by area, date, hour and some attributes."""

    name: str
    by: tuple[Attribute, ...]
    """Attributes, in the order of `ATTRIBUTES`."""
    share: Fraction
    """Share of the budget; the shares of all breakdowns add up to 1."""


@dataclass(frozen=True)
class Declaration:
    """Declaration of a release: what it publishes, and how people are protected."""

    first_day: dt.date
    days: int
    breakdowns: tuple[Breakdown, ...]
    area: AreaKind = "municipality"
    within: tuple[str, ...] = ()
    """Subprefectures whose areas are published; empty means all of Hokkaido."""
    residence: Residence = "local"
    """Meaning of the attribute `residence`: whether people are at home in the municipality, or the
    municipality or prefecture of their home."""
    timezone: str = "Asia/Tokyo"
    class_residents: int = 100
    """Classes of the expansion are merged until the register has this many residents in them."""
    weight_cap: Fraction = Fraction(3)
    """Most people that one subscriber stands for."""
    least_lines: int = 3
    """Least number of subscribers (lines) that a delivered number stands for."""
    privacy: Privacy = field(default_factory=Privacy)
    dataset: str = "operator"
    """Name under which the operator's budget is kept."""
    id_form: IdForm = "phone"
    id_region: str | None = "JP"

    @property
    def dates(self) -> list[dt.date]:
        """All days of the release."""
        return [self.first_day + dt.timedelta(days=day) for day in range(self.days)]

    @property
    def hours(self) -> int:
        """Number of hours that the release covers."""
        return HOURS * self.days

    @property
    def withheld_below(self) -> int:
        """Least number of people that is delivered, and that `least_lines` subscribers reach."""
        return max(self.privacy.suppress_below, ceil(self.least_lines * self.weight_cap))

    def digest(self, register: bytes) -> bytes:
        """SHA-256 of the declaration and of the register, which name what is released.

        Args:
            register: SHA-256 of the register.
        """
        form = {"format": FORMAT, "population": asdict(self), "register": register.hex()}
        return hashlib.sha256(json.dumps(form, sort_keys=True, default=str).encode()).digest()
