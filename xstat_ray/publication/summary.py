"""The totals of a release that say most, for whoever ran it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.inputs.study_dimensions import PUBLISHED
from xstat_ray.model.measure import Measure
from xstat_ray.privacy.evidence import Rule
from xstat_ray.privacy.least_squares import Estimate
from xstat_ray.privacy.means import means
from xstat_ray.publication.measures import measure_columns
from xstat_ray.publication.release import Release

_TOTAL = "total"


class Total(NamedTuple):
    """A sum of unbiased counts, with its interval among those that are listed."""

    what: str
    value: int
    low: int
    high: int


class OverallMean(NamedTuple):
    """The mean of a measure over the whole table, with its 95 % interval."""

    what: str
    value: float
    low: float
    high: float


class _Family(NamedTuple):
    """Totals by the labels of a dimension or of a level."""

    name: str
    labels: list[str]
    values: NDArray[np.float64]
    stderrs: NDArray[np.float64]


def summary(release: Release, count: int = 3) -> list[Total]:
    """List the largest totals that stand out of their noise, by each dimension and level.

    The noise of a total is small beside it where that of its cells is not. Totals are sums of
    unbiased counts, those of suppressed cells included, and are rounded.

    Args:
        release: the release.
        count: most totals of a dimension or level.
    """
    least = max(1, release.plan["suppress_below"])
    rule = Rule(release.plan["noise"], distinct=True, least=least)
    listed = []
    for family in _families(release):
        rounded = np.rint(family.values).astype(np.int64)
        figures = rule.family(family.values, family.stderrs, rounded)
        order = np.argsort(-rounded, kind="stable")
        for i in [int(i) for i in order if not figures.hidden[i]][:count]:
            ends = (int(max(0, end[i])) for end in (figures.low, figures.high))
            listed.append(Total(f"{family.name}: {family.labels[i]}", int(rounded[i]), *ends))
    return listed


def overall_means(release: Release) -> list[OverallMean]:
    """Work out the mean of each measure over all cells and columns.

    None where the total is not published, or is of nobody.
    """
    rows = release.areas.filter(pc.equal(release.areas["level"], _TOTAL))
    found = []
    for facts in release.plan.get("measures", ()) if len(rows) else ():
        measure = Measure(facts["name"], "", facts["low"], facts["high"], facts["unit"])
        count, total = (
            _estimate(rows, *columns)
            for columns in (
                ("unbiased", "stderr"),
                (f"{measure.name}_sum", f"{measure.name}_sum_stderr"),
            )
        )
        # Of values less mid, whose noise is independent of the count's.
        sums = Estimate(
            total.values - measure.mid * count.values,
            np.maximum(total.variances - measure.mid**2 * count.variances, 0),
        )
        mean = means(measure, count, sums, release.plan["noise"], distinct=False)
        if count.values[0, 0] >= 1:
            unit = f" in {measure.unit}" if measure.unit else ""
            figures = (float(part[0, 0]) for part in (mean.mean, mean.low, mean.high))
            found.append(OverallMean(f"{measure.name}{unit}", *figures))
    return found


def _estimate(rows: pa.Table, values: str, stderrs: str) -> Estimate:
    """Add up the columns of the table, whose noises are independent."""
    total = rows[values].to_numpy().sum(keepdims=True)
    variance = (rows[stderrs].to_numpy() ** 2).sum(keepdims=True)
    return Estimate(total.reshape(1, 1), variance)


def _families(release: Release) -> Iterator[_Family]:
    """Yield totals by column, then by area from coarse to fine.

    Where the total of a column was measured by itself it has less noise than the sum of its cells.
    """
    cells = release.statistics
    areas = release.areas
    levels = pc.unique(areas["level"]).to_pylist()
    whole = areas.filter(pc.equal(areas["level"], _TOTAL))
    others = (*PUBLISHED, *measure_columns(release.plan))
    names = [name for name in cells.column_names if name not in others]
    columns = [name for name in names if len(whole) and name in whole.column_names[2:]]
    for name in columns:
        yield _family(name, whole[name], whole, "unbiased")
    for level in reversed([level for level in levels if level != _TOTAL]):
        table = areas.filter(pc.equal(areas["level"], level))
        yield _family(level, table["area"], table, "unbiased")
    for name in names:
        if name not in columns and name not in levels:
            yield _family(name, cells[name], cells, "noisy")


def _family(name: str, keys: pa.ChunkedArray, table: pa.Table, column: str) -> _Family:
    labels = pc.unique(keys)
    place = pc.index_in(keys, value_set=labels).to_numpy()

    def total(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(place, weights, minlength=len(labels)).astype(np.float64)

    value = table[column].to_numpy().astype(float)
    variance = table["stderr"].to_numpy() ** 2
    return _Family(
        name, labels.cast(pa.string()).to_pylist(), total(value), np.sqrt(total(variance))
    )
