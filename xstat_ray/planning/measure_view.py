"""Tells, for people and as JSON, what a plan sums beside the counts, and how well it is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from xstat_ray.crypto.packing import Packing
from xstat_ray.model.measure import Measure
from xstat_ray.model.row_tree import level_names, tree_of
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.least_squares import final_variances

_PEOPLE = 100
"""Of so many counted the plan tells how well their mean is known."""


def rows(study: Study, design: Design) -> Iterator[tuple[str, str]]:
    """Describe measures and the split of the budget, in pairs of what and how much."""
    measures = study.column.measures
    if measures:
        shares = ", ".join(f"{q.share} for {_of(q.name)}" for q in design.quantities)
        how = "set by the study" if study.privacy.split else "split by the planner"
        yield "Budget", f"{shares} ({how})"
    for number, measure in enumerate(measures, start=1):
        yield "Measure", _sentence(measure, *_errors(study, design, number))


def bits(study: Study, packing: Packing) -> str:
    """Tell how wide counts and sums are."""
    sums = (
        f", {room.bits} a sum of {measure.name}"
        for measure, room in zip(study.column.measures, packing.sums, strict=True)
    )
    return f"{packing.slot_bits} bits a count{''.join(sums)}"


def as_dict(study: Study, design: Design, packing: Packing) -> dict[str, Any]:
    """Give it as JSON holds it; nothing where there are no measures."""
    if not study.column.measures:
        return {}
    return {
        "split": {quantity.name: str(quantity.share) for quantity in design.quantities},
        "measures": [
            {
                **bounds(measure),
                "l1_sensitivity": design.levels[0].sums[place].l1,
                "l2_sensitivity_squared": design.levels[0].sums[place].l2_squared,
                "sum_bits": packing.sums[place].bits,
                "noise_scale": {level.name: level.sums[place].scale for level in design.levels},
                "sum_stderr": {
                    name: round(error, 4)
                    for name, error in _errors(study, design, place + 1)[0].items()
                },
            }
            for place, measure in enumerate(study.column.measures)
        ],
    }


def bounds(measure: Measure) -> dict[str, Any]:
    """Give a measure and what its values are cut to, as JSON holds it."""
    return {
        "name": measure.name,
        "unit": measure.unit,
        "low": measure.low,
        "high": measure.high,
        "mid": measure.mid,
    }


def _errors(study: Study, design: Design, number: int) -> tuple[dict[str, float], dict[str, float]]:
    """Root mean square standard errors of sums, and of means at a bound, by reporting level."""
    tree = tree_of(study.row.dimensions)
    names = level_names(study.row.dimensions)
    of_counts, of_sums = (
        {level.level: level.mechanisms[quantity].stderr ** 2 for level in design.levels}
        for quantity in (0, number)
    )
    if design.budget.noise == "off":
        return {names[level]: 0.0 for level in design.reporting}, {}
    solved = [final_variances(tree, variances) for variances in (of_counts, of_sums)]
    reach = study.column.measures[number - 1].reach
    count, total = (
        {names[level]: float(np.mean(variances[level])) for level in design.reporting}
        for variances in solved
    )
    means = {name: (total[name] + reach**2 * count[name]) ** 0.5 / _PEOPLE for name in total}
    return {name: variance**0.5 for name, variance in total.items()}, means


def _sentence(measure: Measure, sums: dict[str, float], means: dict[str, float]) -> str:
    unit = f" {measure.unit}" if measure.unit else ""
    told = f"{measure.name}, {measure.low:,} to {measure.high:,}{unit}"
    if not means:
        return f"{told}; no noise"
    of_sums = ", ".join(f"{error:,.3g} a {name}" for name, error in sums.items())
    of_means = ", ".join(f"{error:,.3g} a {name}" for name, error in means.items())
    return (
        f"{told}; standard error of a sum {of_sums}; of the mean of {_PEOPLE} counted {of_means} "
        "at most, and less in the middle of the bounds"
    )


def _of(name: str) -> str:
    return "the counts" if name == "count" else name
