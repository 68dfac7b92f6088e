"""Sums of weighted stays: what one file adds to the cells of every breakdown on every day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.hokkaido.population.areas import Areas
from xstat_ray.hokkaido.population.declaration import HOURS, Attribute, Breakdown, Residence
from xstat_ray.hokkaido.population.presence import Stays
from xstat_ray.hokkaido.population.register import AGES, SEXES, Register
from xstat_ray.hokkaido.population.subscribers import Lines
from xstat_ray.util.arrays import run_starts
from xstat_ray.util.secrecy import Secret

LOCAL = ("local", "elsewhere")
ELSEWHERE = "00000"
"""Residence of people who are not at home in the municipality, where nothing finer is published."""
DELIVERED_AGES = ("15", "20", "30", "40", "50", "60", "70")
"""Ten-year classes by their youngest age; the first is 15 to 19."""
DELIVERED_GENDERS = ("2", "1")
"""Of `SEXES`: 1 is male, 2 female."""


@dataclass(frozen=True)
class Layout:
    """The columns of a breakdown on a day: 24 hours, and within each its attributes, the last varying fastest."""

    breakdown: Breakdown
    residence: Residence
    homes: tuple[str, ...]

    @cached_property
    def labels(self) -> tuple[tuple[Attribute, tuple[str, ...]], ...]:
        """Attributes with the labels that are published.

        Where residence is `local`, those of `LOCAL`.
        """
        named: dict[Attribute, tuple[str, ...]] = {
            "residence": {
                "local": LOCAL,
                "municipality": self.homes,
                "prefecture": self._prefectures,
            }[self.residence],
            "age": DELIVERED_AGES,
            "gender": DELIVERED_GENDERS,
        }
        return tuple((name, named[name]) for name in self.breakdown.by)

    @property
    def columns(self) -> int:
        """Columns of a day."""
        return HOURS * prod(len(labels) for _, labels in self.labels)

    @property
    def _prefectures(self) -> tuple[str, ...]:
        return tuple(sorted({home[:2] + "000" for home in self.homes}))

    def column(
        self,
        hour: NDArray[np.int64],
        home: NDArray[np.int64],
        attributes: dict[Attribute, NDArray[np.int64]],
    ) -> NDArray[np.int64]:
        """(N,) columns of stays, given the hour, the number of the home and the other attributes' numbers."""
        if "residence" in self.breakdown.by and self.residence != "local":
            attributes = attributes | {"residence": self._residence[home]}
        column = hour
        for name, labels in self.labels:
            column = column * len(labels) + attributes[name]
        return column

    @cached_property
    def _residence(self) -> NDArray[np.int64]:
        if self.residence == "municipality":
            return np.arange(len(self.homes))
        return np.array([self._prefectures.index(home[:2] + "000") for home in self.homes])


@dataclass(frozen=True, repr=False)
class Sparse(Secret):
    """Sums of some cells: sorted distinct keys, leaf x columns + column, and their sums in units."""

    keys: NDArray[np.int64]
    sums: NDArray[np.int64]

    @classmethod
    def of(cls, keys: NDArray[np.int64], values: NDArray[np.int64]) -> Sparse:
        """Add up values of equal keys."""
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        values = values[order]
        first = run_starts(keys)
        return cls(keys[first], np.add.reduceat(values, first) if len(first) else values)

    @classmethod
    def join(cls, parts: Sequence[Sparse]) -> Sparse:
        """Overlay several."""
        empty = np.zeros(0, np.int64)
        keys = np.concatenate([empty, *(part.keys for part in parts)])
        return cls.of(keys, np.concatenate([empty, *(part.sums for part in parts)]))


@dataclass(frozen=True, repr=False)
class Summation(Secret):
    """Adds up the stays of one release."""

    layouts: Sequence[Layout]
    areas: Areas
    register: Register
    lines: Lines
    weights: NDArray[np.int64]
    """(classes,) in parts of a person."""

    def add_up(self, stream: Iterable[Stays]) -> dict[int, list[Sparse]]:
        """Sums by day, for every layout, of all stays in areas of the release."""
        days: dict[int, list[list[Sparse]]] = {}
        for stays in stream:
            classes = self.lines.classes[stays.line]
            home, sex, age = self.register.parts(classes)
            units = self.weights[classes] * stays.seconds
            attributes: dict[Attribute, NDArray[np.int64]] = {
                "residence": (self._municipality[stays.place] != home).astype(np.int64),
                # 15 to 19 is a class of its own, then two of five years make one.
                "age": (age + 1) // 2,
                "gender": sex,
            }
            leaf = self.areas.land_leaf[stays.place]
            for day in np.unique(stays.day).tolist():
                own = stays.day == day
                parts = days.setdefault(day, [[] for _ in self.layouts])
                for layout, part in zip(self.layouts, parts, strict=True):
                    column = layout.column(
                        stays.hour[own], home[own], {name: v[own] for name, v in attributes.items()}
                    )
                    part.append(Sparse.of(leaf[own] * layout.columns + column, units[own]))
        return {day: [Sparse.join(part) for part in parts] for day, parts in days.items()}

    @cached_property
    def _municipality(self) -> NDArray[np.int64]:
        """(L,) number among the register's homes of the municipality of each 500 m cell.

        -1 where nobody lives.
        """
        found = pc.index_in(
            self.areas.land_municipality, value_set=pa.array(self.register.homes, pa.string())
        )
        numbers: NDArray[np.int64] = found.fill_null(-1).to_numpy().astype(np.int64)
        return numbers


assert len(DELIVERED_AGES) == (len(AGES) + 1) // 2 and len(DELIVERED_GENDERS) == len(SEXES)
