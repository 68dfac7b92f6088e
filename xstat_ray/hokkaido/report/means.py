"""Means of measures in the form of a report: whole numbers where the counts are people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.hokkaido.needs.publication import read_table
from xstat_ray.inputs.study_dimensions import PUBLISHED
from xstat_ray.publication.measures import measure_columns

LEAST_RANGE = 50
"""A measure of a smaller range would lose what matters when its means are rounded."""
_FIGURES = ("mean", "low95", "high95")


class Mean(NamedTuple):
    """What the values of a layer are the mean of."""

    name: str
    unit: str

    @property
    def label(self) -> str:
        """What a scale shows."""
        return f"mean {self.name} ({self.unit})" if self.unit else f"mean {self.name}"


def shown(plan: Mapping[str, Any]) -> Iterator[Mean]:
    """List the measures whose means a page can show: never negative, and of a wide range.

    Args:
        plan: what plan.json of the release holds.
    """
    for measure in plan.get("measures", ()):
        if measure["low"] >= 0 and measure["high"] - measure["low"] >= LEAST_RANGE:
            yield Mean(measure["name"], measure["unit"] or "")


def titles(mean: Mean, title: Mapping[str, str]) -> dict[str, str]:
    """Name a layer of means after that of the counts."""
    unit = f" ({mean.unit})" if mean.unit else ""
    named = {"en": f"mean {mean.name}{unit}", "ja": f"{mean.name}の平均{unit}"}
    return {
        language: f"{title[language]}: {named[language]}" if language in title else named[language]
        for language in named
    }


def mean_table(
    file: Path, plan: Mapping[str, Any], mean: Mean, names: list[str], *, key: str, remedy: str
) -> pa.Table:
    """Read the means of a published table as if they were counts.

    Args:
        file: the table.
        plan: what plan.json of the release holds.
        mean: the measure.
        names: all columns of the table.
        key: configuration key that names the release, for messages.
        remedy: of errors.

    Returns:
        The dimensions, `estimate`, `low95`, `high95`, rounded means and their intervals, and
        `suppressed`, where there is none.

    Raises:
        InputError: the file lacks a column.
    """
    others = (*PUBLISHED, "unbiased", *measure_columns(plan))
    dimensions = [name for name in names if name not in others]
    figures = [f"{mean.name}_{figure}" for figure in _FIGURES]
    table = read_table(file, dimensions, figures, key=key, remedy=remedy)
    value, low, high = (table[figure] for figure in figures)
    columns = {name: table[name] for name in dimensions}
    columns["estimate"] = pc.round(value).cast(pa.int64())
    columns |= {"low95": low, "high95": high}
    columns["suppressed"] = pa.array(np.asarray(value.is_null()))
    return pa.table(columns)
