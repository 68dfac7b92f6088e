"""From noisy sums to the published tables of a day: refined, consistent, small numbers withheld."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.hokkaido.population.declaration import ATTRIBUTES, HOURS
from xstat_ray.hokkaido.population.expansion import UNITS
from xstat_ray.hokkaido.population.plan import BreakdownPlan, PopulationPlan
from xstat_ray.hokkaido.population.sums import ELSEWHERE, LOCAL
from xstat_ray.inputs.domains import decode
from xstat_ray.model.row_tree import level_labels, level_names
from xstat_ray.privacy.evidence import Figures, Rule
from xstat_ray.privacy.least_squares import NoisyLevel
from xstat_ray.privacy.settle import settle

NOT_BROKEN_DOWN = "-1"
"""Value in delivered files of an attribute by which a number is not broken down."""
_TIMES = tuple(f"{hour:02d}00" for hour in range(HOURS))
_TEXTS = [(name, pa.string()) for name in ("breakdown", "date", "time", "area", *ATTRIBUTES)]
_INTERVAL = [("low95", pa.float64()), ("high95", pa.float64()), ("stderr", pa.float64())]
STATISTICS_SCHEMA = pa.schema([
    *_TEXTS,
    ("noisy", pa.float64()),
    ("estimate", pa.int64()),
    *_INTERVAL,
    ("suppressed", pa.bool_()),
])  # fmt: skip
AREAS_SCHEMA = pa.schema([
    *_TEXTS[:3],
    ("level", pa.string()),
    *_TEXTS[3:],
    ("unbiased", pa.float64()),
    ("estimate", pa.int64()),
    *_INTERVAL,
    ("suppressed", pa.bool_()),
])  # fmt: skip
DELIVERED_SCHEMA = pa.schema([*_TEXTS[1:], ("population", pa.int64()), *_INTERVAL])
LEAST_SIZE = 5.0
"""Standard errors of a delivered number at least: its coefficient of variation is at most 20 %."""
MEAN_DAY = "mean"
"""Date, in delivered files, of numbers of the mean day; and time of the mean over its hours."""


class DayTables(NamedTuple):
    """The published tables of one breakdown on one day."""

    statistics: pa.Table
    areas: pa.Table
    delivered: pa.Table


def publish(
    plan: PopulationPlan, breakdown: BreakdownPlan, day: int, noisy: Mapping[int, NDArray[np.int64]]
) -> DayTables:
    """Make the tables of a breakdown on a day; equal sums give equal tables.

    Args:
        plan: the release.
        breakdown: the breakdown.
        day: number of the day, from 0.
        noisy: by measured level, (nodes, columns) sums in units, in the order of the tree.
    """
    date = plan.declaration.dates[day].strftime("%Y%m%d")
    sheet = _Sheet(plan, breakdown, date, _TIMES)
    people = {level: values / UNITS for level, values in noisy.items()}
    statistics, areas = _tables(sheet, people, 1)
    return DayTables(statistics, areas, _delivered(statistics))


def publish_mean_day(
    plan: PopulationPlan, breakdown: BreakdownPlan, people: Mapping[int, NDArray[np.float64]]
) -> pa.Table:
    """Make the delivered table of the mean day of a release, hour by hour and over its hours.

    Args:
        plan: the release.
        breakdown: the breakdown.
        people: by measured level, (nodes, columns) noisy people, added up over all days.
    """
    days = plan.declaration.days
    by_hour = {level: values / days for level, values in people.items()}
    over_hours = {
        level: values.reshape(len(values), HOURS, -1).mean(axis=1)
        for level, values in by_hour.items()
    }
    parts = [
        (by_hour, _TIMES, days),
        (over_hours, (MEAN_DAY,), days * HOURS),
    ]
    tables = [
        _tables(_Sheet(plan, breakdown, MEAN_DAY, times), values, count)[0]
        for values, times, count in parts
    ]
    return pa.concat_tables([_delivered(table) for table in tables])


def _tables(
    sheet: _Sheet, people: Mapping[int, NDArray[np.float64]], count: int
) -> tuple[pa.Table, pa.Table]:
    """Refine noisy people, and decide what of them is published.

    Args:
        sheet: lays out the tables.
        people: by measured level, (nodes, columns) noisy people.
        count: how many noisy sums each is the mean of.

    Returns:
        Statistics and areas.
    """
    plan = sheet.plan
    tree = plan.areas.tree
    design = sheet.breakdown.design
    privacy = plan.declaration.privacy
    measured = {
        m.level: NoisyLevel(people[m.level], (m.mechanism.stderr / UNITS) ** 2 / count or 1.0)
        for m in design.levels
    }
    levels = sorted({0, *design.reporting})
    rule = Rule(
        design.budget.noise,
        privacy.publish == "distinct",
        plan.declaration.withheld_below,
        least_size=LEAST_SIZE,
        grain=0,
    )
    settled = settle(tree, measured, rule, levels)
    error = np.full(tree.cells, design.levels[0].mechanism.stderr / UNITS / np.sqrt(count))
    statistics = sheet.table(0, {"noisy": people[0], "stderr": error}, settled.figures[0])
    above = [AREAS_SCHEMA.empty_table()]
    for level in (level for level in design.reporting if level > 0):
        values = {"unbiased": settled.unbiased[level], "stderr": settled.stderrs[level]}
        figures = settled.figures[level]
        above.append(sheet.table(level, values, figures).select(AREAS_SCHEMA.names))
    return (
        statistics.select(STATISTICS_SCHEMA.names).cast(STATISTICS_SCHEMA),
        pa.concat_tables(above),
    )


def _delivered(statistics: pa.Table) -> pa.Table:
    """Lay out what is not withheld as users of Mobile Spatial Statistics know it.

    Intervals are rounded outwards to whole people, and standard errors up to tenths.
    """
    kept = statistics.filter(pc.invert(statistics["suppressed"]))
    columns = [kept[name] for name, _ in _TEXTS[1:]]
    measures = [
        kept["estimate"],
        pc.floor(kept["low95"]),
        pc.ceil(kept["high95"]),
        pc.divide(pc.ceil(pc.multiply(kept["stderr"], 10)), 10),
    ]
    return pa.table([*columns, *measures], schema=DELIVERED_SCHEMA)


class _Sheet(NamedTuple):
    """Lays out the values of a breakdown on a day: hour by hour, areas in declared order."""

    plan: PopulationPlan
    breakdown: BreakdownPlan
    date: str
    times: tuple[str, ...]

    def table(
        self, level: int, values: Mapping[str, NDArray[np.float64]], figures: Figures
    ) -> pa.Table:
        """Make a table with a row for each node of a level and column.

        Args:
            level: level of the tree of areas.
            values: by name, (nodes, columns), or (nodes,) where they are equal in every column; in
                the order of the tree.
            figures: what is published; null where it is withheld.
        """
        suppressed = self._flat(level, figures.hidden)
        columns = self._labels(level)
        for name, value in values.items():
            wide = (
                value if value.ndim > 1 else np.broadcast_to(value[:, None], figures.hidden.shape)
            )
            columns[name] = pa.array(self._flat(level, wide))
        shown = {"estimate": figures.estimate, "low95": figures.low, "high95": figures.high}
        for name, published in shown.items():
            columns[name] = pa.array(self._flat(level, published), mask=suppressed)
        return pa.table(columns | {"suppressed": pa.array(suppressed)})

    def _flat(self, level: int, values: NDArray[Any]) -> NDArray[Any]:
        declared = np.empty_like(values)
        declared[self.plan.areas.tree.nodes[level]] = values
        return declared.reshape(len(declared), len(self.times), -1).transpose(1, 0, 2).ravel()

    def _labels(self, level: int) -> dict[str, pa.Array]:
        """Make the columns that tell what a value counts."""
        dimensions = [self.plan.areas.dimension]
        attributes = self.breakdown.layout.labels
        areas = level_labels(dimensions, level)
        labels = [("time", self.times), ("area", areas), *attributes]
        size = prod(len(values) for _, values in labels)
        columns = decode(labels, np.arange(size))
        head = {"breakdown": self.breakdown.layout.breakdown.name, "date": self.date}
        head |= {"level": level_names(dimensions)[level]}
        columns |= {name: pa.repeat(value, size) for name, value in head.items()}
        for name in ATTRIBUTES:
            columns.setdefault(name, pa.repeat(NOT_BROKEN_DOWN, size))
        if level == 0 and dict(attributes).get("residence") == LOCAL:
            place = np.arange(size) // (size // len(self.times) // len(areas)) % len(areas)
            municipalities = pa.array(self.plan.areas.municipality.tolist(), pa.string())
            columns["residence"] = pc.if_else(
                pc.equal(columns["residence"], LOCAL[0]),
                municipalities.take(pa.array(place)),
                ELSEWHERE,
            )
        return columns
