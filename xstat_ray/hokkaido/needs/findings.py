"""What the published figures tell of eastern Hokkaido: three findings, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import pyarrow as pa

from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.needs.access import AIRPORTS
from xstat_ray.hokkaido.needs.opening import OPENED, OPENING

NEEDY = 3
"""Areas at the head of the list that are spoken of."""
_WRONG = 0.05
"""Chance that, where no share has changed, any area is named."""
_NORMAL95 = 1.959964


@dataclass(frozen=True)
class Rise:
    """The share of the opened airport in an area, before and after."""

    area: str
    before: float
    after: float

    @property
    def told(self) -> str:
        """Both shares in words."""
        return f"from {_percent(self.before)} to {_percent(self.after)}"


@dataclass(frozen=True)
class Findings:
    """English names of the areas of which something is told."""

    watershed: Mapping[str, tuple[str, ...]]
    """By airport, areas in which it leads all others by more than noise."""
    untold: int
    """Number of areas in which none does."""
    region: Rise | None
    """Rise of the share of the opened airport over all areas; None where it is not told."""
    risen: tuple[Rise, ...]
    """Areas in which that share has risen, the largest rise first."""
    needy: tuple[str, ...]
    """The first areas of the list, up to one whose interval reaches zero."""

    def sentences(self) -> Iterator[str]:
        """Say it; what is told of a list of areas stands before them."""
        yield from self._watershed()
        yield self._opening()
        yield self._needs()

    def _watershed(self) -> Iterator[str]:
        told = sum(map(len, self.watershed.values()))
        if not told:
            yield "In no area can the leading airport be told from noise."
            return
        yield f"The leading airport is told in {told} of {told + self.untold} areas:"
        for airport, areas in self.watershed.items():
            if areas:
                yield f"{_name(airport)}: {', '.join(areas)}."

    def _opening(self) -> str:
        if self.region is None:
            return f"No rise of the share of {_name(OPENED)} can be told from noise."
        told = (
            f"Since {OPENING}, when its route opened, the share of {_name(OPENED)} among the "
            f"passengers of all areas has risen {self.region.told}"
        )
        if not self.risen:
            return f"{told}."
        return f"{told}: {', '.join(f'in {rise.area} {rise.told}' for rise in self.risen)}."

    def _needs(self) -> str:
        if not self.needy:
            return "The need of no area can be told from noise."
        return f"Transport is missing most, beyond noise, in {', '.join(self.needy)}."


def find(tables: Mapping[str, pa.Table]) -> Findings:
    """Read the findings off the tables `needs`, `opening` and `region` of an answer.

    The table `opening` tests each area at 5 %. Here areas are spoken of together, and are told with
    a chance of 5 % for any wrong one among them (Bonferroni).
    """
    needs = tables["needs"].to_pylist()
    leading = {
        airport: tuple(row["name_en"] for row in needs if row["main_airport"] == airport)
        for airport in AIRPORTS
    }
    untold = len(needs) - sum(map(len, leading.values()))
    region = _risen([row | {"name_en": ""} for row in tables["region"].to_pylist()])
    risen = tuple(_risen(tables["opening"].to_pylist()))
    return Findings(leading, untold, next(iter(region), None), risen, tuple(_needy(needs)))


def _risen(rows: list[dict[str, Any]]) -> list[Rise]:
    known = [row for row in rows if row["change"] is not None]
    if not known:
        return []
    wider = NormalDist().inv_cdf(1 - _WRONG / (2 * len(known))) / _NORMAL95
    risen = [row for row in known if row["change"] > wider * (row["high95"] - row["low95"]) / 2]
    risen.sort(key=lambda row: -row["change"])
    return [Rise(row["name_en"], row["before"], row["after"]) for row in risen]


def _needy(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows[:NEEDY]:
        if not row["rank"] or row["need_low95"] <= 0:
            return
        yield row["name_en"]


def _name(airport: str) -> str:
    ports = hokkaido.airports()
    place = ports["iata"].to_pylist().index(airport)
    return str(ports["name_en"][place].as_py())


def _percent(share: float) -> str:
    """Write a share in percent, cut to 0 and 1, beyond which noise can carry it."""
    return f"{min(max(share, 0.0), 1.0):.0%}"
