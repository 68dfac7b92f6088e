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
from xstat_ray.hokkaido.population.presence import HourStays
from xstat_ray.hokkaido.population.register import AGES, SEXES, Register
from xstat_ray.hokkaido.population.subscribers import Subscribers
from xstat_ray.util.arrays import run_starts
from xstat_ray.util.secrecy import Secret

LOCAL = ("local", "elsewhere")
ELSEWHERE = "00000"
"""Published residence of people away from home, where nothing finer is published."""
DELIVERED_AGES = ("15", "20", "30", "40", "50", "60", "70")
"""Ten-year classes by their youngest age; the first is 15 to 19."""
DELIVERED_GENDERS = ("2", "1")
"""Published codes in the order of `SEXES`: 2 is female, 1 male."""


@dataclass(frozen=True)
class Layout:
    """Columns of a breakdown on a day: hours, and in each the attributes, the last fastest."""

    breakdown: Breakdown
    residence: Residence
    homes: tuple[str, ...]

    @cached_property
    def labels(self) -> tuple[tuple[Attribute, tuple[str, ...]], ...]:
        """Attributes with their published labels; those of `LOCAL` where residence is `local`."""
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
        """Find the columns of N stays.

        Args:
            hour: (N,) hour of the day.
            home: (N,) place in `homes`.
            attributes: by name, (N,) place among the labels; residence may be left out unless it
                is `local`.

        Returns:
            (N,) numbers of columns.
        """
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
    """Sums of some cells, in units, by sorted distinct keys: leaf * columns + column."""

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
        """Overlay several sums of cells: equal keys are added up."""
        empty = np.zeros(0, np.int64)
        keys = np.concatenate([empty, *(part.keys for part in parts)])
        return cls.of(keys, np.concatenate([empty, *(part.sums for part in parts)]))


@dataclass(frozen=True, repr=False)
class Summation(Secret):
    """Adds up the weighted stays of one release."""

    layouts: Sequence[Layout]
    areas: Areas
    register: Register
    subscribers: Subscribers
    weights: NDArray[np.int64]
    """(classes,) in parts of a person."""

    def add_up(self, stream: Iterable[HourStays]) -> dict[int, list[Sparse]]:
        """Add up the stays of a stream.

        Args:
            stream: stays in areas of the release.

        Returns:
            By day, the sums for every layout.
        """
        days: dict[int, list[list[Sparse]]] = {}
        for stays in stream:
            classes = self.subscribers.classes[stays.subscriber]
            home, sex, age = self.register.parts(classes)
            units = self.weights[classes] * stays.seconds
            attributes: dict[Attribute, NDArray[np.int64]] = {
                "residence": (self._municipality[stays.place] != home).astype(np.int64),
                # The class of 15 to 19 stands alone, then two of five years make one of ten.
                "age": (age + 1) // 2,
                "gender": sex,
            }
            leaf = self.areas.land_leaf[stays.place]
            for day in np.unique(stays.day).tolist():
                on_day = stays.day == day
                on_day_attributes = {name: values[on_day] for name, values in attributes.items()}
                parts = days.setdefault(day, [[] for _ in self.layouts])
                for layout, part in zip(self.layouts, parts, strict=True):
                    column = layout.column(stays.hour[on_day], home[on_day], on_day_attributes)
                    keys = leaf[on_day] * layout.columns + column
                    part.append(Sparse.of(keys, units[on_day]))
        return {day: [Sparse.join(part) for part in parts] for day, parts in days.items()}

    @cached_property
    def _municipality(self) -> NDArray[np.int64]:
        """(L,) place of each 500 m cell's municipality among the homes; -1 where nobody lives."""
        found = pc.index_in(
            self.areas.land_municipality, value_set=pa.array(self.register.homes, pa.string())
        )
        numbers: NDArray[np.int64] = found.fill_null(-1).to_numpy().astype(np.int64)
        return numbers


assert len(DELIVERED_AGES) == (len(AGES) + 1) // 2 and len(DELIVERED_GENDERS) == len(SEXES)
