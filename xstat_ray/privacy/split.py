"""What gets noise in a cell and column, and how the budget is split over it.

A count, and a centred sum of each measure. A person's rows that meet a flag move the count by one
each, and the sum by what the flag's value differs from the middle of its bounds: in all by L1 and
L2 of the counts times the reach of the measure. The parts compose, so that each gets noise of its
reach and its share, and together they cost the budget once.

Where the study leaves the split to the planner, it makes the means of values at their bounds err
least: the variance of such a mean is that of the sum plus reach^2 times that of the count, over the
count squared. With shares e of the budget, sum_j (e_j^-p + e_0^-p) is least, p being 2 for Laplace
noise and 1 for Gaussian noise: the count gets M^(1/(p+1)) times what each of M measures gets. Means
of values nearer to the middle lean on the count less, but the count is published for itself too.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from xstat_ray.model.study import Noise, Study
from xstat_ray.privacy.shares import UNITS

COUNT = "count"
"""Name of the count in a split."""


class Quantity(NamedTuple):
    """A count, or a sum of a measure."""

    name: str
    reach: int
    """Most by which one unit of a person moves it: 1 for a count."""
    share: Fraction
    """Share of the budget."""


COUNTS_ALONE = (Quantity(COUNT, 1, Fraction(1)),)
"""What a table without measures has."""


def quantities_of(study: Study, noise: Noise) -> tuple[Quantity, ...]:
    """List what a study measures: the count, and its measures in their order.

    Args:
        study: what is counted.
        noise: the kind of noise, on which the planner's split depends.
    """
    measures = study.column.measures
    if not measures:
        return COUNTS_ALONE
    declared = dict(study.privacy.split) or _planned([m.name for m in measures], noise)
    return (
        Quantity(COUNT, 1, declared[COUNT]),
        *(Quantity(m.name, m.reach, declared[m.name]) for m in measures),
    )


def _planned(names: list[str], noise: Noise) -> dict[str, Fraction]:
    weight = len(names) ** (1 / 2 if noise == "gaussian" else 1 / 3)
    each = int(UNITS / (weight + len(names)))
    shares = dict.fromkeys(names, Fraction(each, UNITS))
    return {COUNT: 1 - Fraction(each * len(names), UNITS), **shares}
