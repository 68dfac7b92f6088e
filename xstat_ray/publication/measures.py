"""The columns of the published tables that measures have: sums and means, with their units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.model.measure import MEANS, SUMS, Measure, published_names
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.row_tree import RowTree
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.least_squares import Estimate, NoisyLevel, least_squares
from xstat_ray.privacy.means import Means, means


class PublishedMeasures:
    """Sums and means of all measures of a release, by reporting level."""

    def __init__(
        self,
        plan: Plan,
        tree: RowTree,
        coefficients: Coefficients,
        counts: Mapping[int, Estimate],
    ) -> None:
        """Solve the sums of all measures, as the counts are, but without a least value.

        Args:
            plan: the study and its design.
            tree: the whole row tree.
            coefficients: of the release.
            counts: unbiased counts and their variances, by reporting level.
        """
        self._plan = plan
        self._counts = counts
        self._sums = [
            least_squares(tree, noisy_levels(plan, tree, coefficients, number))
            for number in range(1, 1 + len(plan.study.column.measures))
        ]

    def figures(self, level: int) -> Iterator[tuple[Measure, Means]]:
        """Yield the figures of each measure at a reporting level."""
        privacy = self._plan.study.privacy
        noise = self._plan.mechanism.noise
        distinct = privacy.publish == "distinct"
        for measure, sums in zip(self._plan.study.column.measures, self._sums, strict=True):
            yield (
                measure,
                means(measure, self._counts[level], sums[level], noise, distinct=distinct),
            )

    def columns(
        self, level: int, hidden: NDArray[np.bool_]
    ) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.bool_] | None]]:
        """Yield name, values and what is withheld of them, of each column at a reporting level.

        Sums are there always, as noisy counts are. Means are withheld where the count is, or where
        it is below one.

        Args:
            level: of the row tree.
            hidden: (nodes, columns) which counts are withheld.
        """
        nobody = hidden | (self._counts[level].values < 1)
        for measure, found in self.figures(level):
            sums = (found.total, found.total_stderr)
            for name, values in zip(SUMS, sums, strict=True):
                yield f"{measure.name}_{name}", values, None
            of_means = (found.mean, found.low, found.high, found.stderr)
            for name, values in zip(MEANS, of_means, strict=True):
                yield f"{measure.name}_{name}", values, nobody


def noisy_levels(
    plan: Plan, tree: RowTree, coefficients: Coefficients, number: int = 0
) -> dict[int, NoisyLevel]:
    """Take the noisy counts, or the noisy sums of a measure, of all measured levels.

    Args:
        plan: the study and its design.
        tree: the whole row tree.
        coefficients: of the release.
        number: 0 for the counts, then the measures.
    """
    slots = plan.study.slots
    columns = slice(slots * number, slots * (number + 1))
    return {
        level.level: NoisyLevel(
            coefficients.values[section][tree.nodes[level.level], columns],
            level.mechanisms[number].stderr ** 2 or 1.0,
        )
        for level, section in zip(plan.design.levels, plan.design.sections, strict=True)
    }


def measure_columns(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of all columns of measures in the tables of a release.

    Args:
        plan: what plan.json of the release holds.
    """
    names = (measure["name"] for measure in plan.get("measures", ()))
    return tuple(column for name in names for column in published_names(name))


def with_units(table: pa.Table, measures: Sequence[Measure]) -> pa.Table:
    """Add the units of measures to the metadata of a table, in the order of the study."""
    units = {measure.name: measure.unit for measure in measures if measure.unit is not None}
    if not units:
        return table
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **units})
