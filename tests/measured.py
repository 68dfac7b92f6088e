"""Values beside the synthetic tables: a fare with missing values and some beyond its bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from xstat_ray.model.measure import Measure
from xstat_ray.model.study import Study

FARE = Measure("fare", "fare", 0, 60_000, "JPY")
BALANCE = Measure("balance", "points", -101, 100)
"""Of an odd number of values, many of which are beyond the bounds."""


def with_values(flags: pa.Table, seed: int = 5) -> pa.Table:
    """Add columns `fare` and `points` to a table of the column party."""
    draw = np.random.default_rng(seed)
    size = len(flags)
    fare = draw.integers(-2_000, 65_000, size) + draw.choice([0, 0.5, 0.25], size)
    fare[draw.random(size) < 0.1] = np.nan
    points = draw.integers(-200, 200, size).tolist()
    points[0] = None
    columns: dict[str, Any] = {"fare": pa.array(fare), "points": pa.array(points, pa.int32())}
    for name, values in columns.items():
        flags = flags.append_column(name, values)
    return flags


def measured(study: Study, *measures: Measure, **privacy: Any) -> Study:
    """Add measures to a study; by default both."""
    column = replace(study.column, measures=measures or (FARE, BALANCE))
    return replace(study, column=column, privacy=replace(study.privacy, **privacy))
