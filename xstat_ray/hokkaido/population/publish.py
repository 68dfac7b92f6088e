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
from xstat_ray.privacy.least_squares import NoisyLevel, least_squares
from xstat_ray.privacy.mechanism import half_width95
from xstat_ray.privacy.refine import refine
from xstat_ray.privacy.suppress import suppress

NOT_BROKEN_DOWN = "-1"
"""Value in delivered files of an attribute by which a number is not broken down."""
_TIMES = tuple(f"{hour:02d}00" for hour in range(HOURS))
_TEXTS = [(name, pa.string()) for name in ("breakdown", "date", "time", "area", *ATTRIBUTES)]
STATISTICS_SCHEMA = pa.schema([
    *_TEXTS,
    ("noisy", pa.float64()),
    ("estimate", pa.int64()),
    ("stderr", pa.float64()),
    ("suppressed", pa.bool_()),
])  # fmt: skip
AREAS_SCHEMA = pa.schema([
    *_TEXTS[:3],
    ("level", pa.string()),
    *_TEXTS[3:],
    ("unbiased", pa.float64()),
    ("low95", pa.float64()),
    ("high95", pa.float64()),
    ("estimate", pa.int64()),
    ("stderr", pa.float64()),
    ("suppressed", pa.bool_()),
])  # fmt: skip
DELIVERED_SCHEMA = pa.schema([*_TEXTS[1:], ("population", pa.int64())])


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
    tree = plan.areas.tree
    design = breakdown.design
    measured = {
        m.level: NoisyLevel(noisy[m.level] / UNITS, (m.mechanism.stderr / UNITS) ** 2 or 1.0)
        for m in design.levels
    }
    levels = tuple(sorted({0, *design.reporting}))
    estimates = refine(tree, measured)
    hidden = suppress(tree, estimates, levels, plan.declaration.withheld_below)
    sheet = _Sheet(plan, breakdown, plan.declaration.dates[day].strftime("%Y%m%d"))
    values = {
        "noisy": measured[0].values,
        "stderr": np.full(tree.cells, design.levels[0].mechanism.stderr / UNITS),
    }
    statistics = sheet.table(0, values, estimates[0], hidden[0]).select(STATISTICS_SCHEMA.names)
    above = [AREAS_SCHEMA.empty_table()]
    errors = design.stderrs(tree)
    unbiased = least_squares(tree, measured)
    for level in (level for level in design.reporting if level > 0):
        value = unbiased[level].values
        error = errors[level] / UNITS
        half = half_width95(design.budget.noise, error)[:, None]
        values = {
            "unbiased": value,
            "low95": value - half,
            "high95": value + half,
            "stderr": error,
        }
        above.append(
            sheet.table(level, values, estimates[level], hidden[level]).select(AREAS_SCHEMA.names)
        )
    return DayTables(
        statistics.cast(STATISTICS_SCHEMA), pa.concat_tables(above), _delivered(statistics)
    )


def _delivered(statistics: pa.Table) -> pa.Table:
    """Lay out what is not withheld as users of Mobile Spatial Statistics know it."""
    kept = statistics.filter(pc.invert(statistics["suppressed"]))
    columns = [kept[name] for name in DELIVERED_SCHEMA.names[:-1]]
    return pa.table([*columns, kept["estimate"]], schema=DELIVERED_SCHEMA)


class _Sheet(NamedTuple):
    """Lays out the values of a breakdown on a day: hour by hour, areas in declared order."""

    plan: PopulationPlan
    breakdown: BreakdownPlan
    date: str

    def table(
        self,
        level: int,
        values: Mapping[str, NDArray[Any]],
        estimate: NDArray[np.int64],
        hidden: NDArray[np.bool_],
    ) -> pa.Table:
        """Make a table with a row for each node of a level and column.

        Args:
            level: level of the tree of areas.
            values: by name, (nodes, columns), or (nodes,) where they are equal in every column; in
                the order of the tree.
            estimate: (nodes, columns) refined people, written as null where hidden.
            hidden: (nodes, columns) whether the estimate is withheld.
        """
        suppressed = self._flat(level, hidden)
        columns = self._labels(level)
        for name, value in values.items():
            wide = value if value.ndim > 1 else np.broadcast_to(value[:, None], hidden.shape)
            columns[name] = pa.array(self._flat(level, wide))
        columns["estimate"] = pa.array(self._flat(level, estimate), mask=suppressed)
        return pa.table(columns | {"suppressed": pa.array(suppressed)})

    def _flat(self, level: int, values: NDArray[Any]) -> NDArray[Any]:
        declared = np.empty_like(values)
        declared[self.plan.areas.tree.nodes[level]] = values
        return declared.reshape(len(declared), HOURS, -1).transpose(1, 0, 2).ravel()

    def _labels(self, level: int) -> dict[str, pa.Array]:
        """Make the columns that tell what a value counts."""
        dimensions = [self.plan.areas.dimension]
        attributes = self.breakdown.layout.labels
        areas = level_labels(dimensions, level)
        labels = [("time", _TIMES), ("area", areas), *attributes]
        size = prod(len(values) for _, values in labels)
        columns = decode(labels, np.arange(size))
        head = {"breakdown": self.breakdown.layout.breakdown.name, "date": self.date}
        head |= {"level": level_names(dimensions)[level]}
        columns |= {name: pa.repeat(value, size) for name, value in head.items()}
        for name in ATTRIBUTES:
            columns.setdefault(name, pa.repeat(NOT_BROKEN_DOWN, size))
        if level == 0 and dict(attributes).get("residence") == LOCAL:
            place = np.arange(size) // (size // HOURS // len(areas)) % len(areas)
            municipalities = pa.array(self.plan.areas.municipality.tolist(), pa.string())
            columns["residence"] = pc.if_else(
                pc.equal(columns["residence"], LOCAL[0]),
                municipalities.take(pa.array(place)),
                ELSEWHERE,
            )
        return columns
