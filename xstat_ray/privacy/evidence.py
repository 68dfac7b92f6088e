"""Which figures are published, and intervals that hold the truth among the published.

The largest of many noisy values are large by their noise more often than not. So two things are
done with a family of values, which are those of one level of one table.

*Publication.* Under the rule `distinct` a value is published where it stands out of its noise: its
family is cut where the share of values of nothing among the published is expected to be at most
`FALSE`, by Benjamini and Hochberg ("Controlling the false discovery rate", J. R. Statist. Soc. B
57, 1995). Of m values the k that reach z standard errors are published if noise alone reaches z
with a chance of at most FALSE * k / m. As k may only count values that are published for all other
reasons as well, the cut still controls that share (Blanchard and Roquain, "Two simple sufficient
conditions for FDR control", EJS 2, 2008, self-consistency). The more of a table is noise, the
higher the cut; it is never below 2.3 standard errors. Nothing of it depends on the scale of the
noise. The share is a mean over releases, where one that publishes nothing counts as zero: of the
few values that are published of a table of next to nothing, more are of nothing. And it is proven
for independent values, which values of a tree after least squares are but nearly.

*Intervals.* A published value was selected for being at least c. With X the value and mu the truth,

- the upper end is X + z(SIDE): selecting large values makes it miss less often than SIDE;
- the lower end solves P(X' >= X | X' >= c; mu) = SIDE, the inversion of the truncated distribution
  (Weinstein, Fithian and Benjamini, "Selection adjusted confidence intervals with more power to
  determine the sign", JASA 108, 2013, section 2), which misses in a part SIDE of the published;
- or X - z(FALSE * k / m) where that is higher: that end misses in a part FALSE of the published,
  by the false-coverage rate of Benjamini and Yekutieli ("False discovery rate-adjusted multiple
  confidence intervals", JASA 100, 2005).

Together they miss in at most 2 * SIDE + FALSE = 5 % of the published. The truncated distribution
alone would tell nothing of a value just above the cut, whose interval would reach zero, and under
Laplace noise, which has no memory, nothing of any value within four scales of it. The rate alone
would make all intervals as wide as that of the least value. Far above the cut an interval reaches
2.05 standard errors to either side under Gaussian noise.

Sums and averages of Laplace noises are treated as one Laplace noise of their standard error, whose
tails are heavier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree
from xstat_ray.model.study import Noise, Privacy
from xstat_ray.privacy.mechanism import half_width95
from xstat_ray.privacy.suppress import suppress

FALSE = 0.01
"""Expected share of values of nothing among the published."""
SIDE = 0.02
"""Chance at which each end of an interval misses, beside `FALSE` for the lower one."""
_STEPS = 4000
"""Points at which the truncated normal distribution is inverted; between them it is linear."""


class Figures(NamedTuple):
    """What is published of a level: arrays of (nodes, columns)."""

    estimate: NDArray[np.int64]
    hidden: NDArray[np.bool_]
    """Whether the estimate is not published."""
    low: NDArray[np.float64]
    """Lower end of the 95 % interval; it has a meaning where the estimate is published only."""
    high: NDArray[np.float64]
    """Upper end; between the two ends lies the estimate as well."""


@dataclass(frozen=True)
class Rule:
    """Rule by which figures are published."""

    noise: Noise
    distinct: bool
    """Whether a figure must stand out of its noise."""
    least: int
    """Least estimate that is published."""
    least_size: float = 0.0
    """Standard errors that a distinct figure has at least."""
    grain: float = 1.0
    """Unit of the true values, to which ends of intervals are rounded; 0 where there is none."""

    def stands_out(
        self, values: NDArray[np.float64], stderr: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether values, unrefined and each by itself, stand out of their noise.

        None does without the rule `distinct`, and without noise.

        Args:
            values: unbiased values, of any shape.
            stderr: their standard errors, of a shape that can be broadcast to it.
        """
        if not self.distinct or self.noise == "off":
            return np.zeros(values.shape, bool)
        eligible = values >= self.least
        size = self._size(values, stderr)
        return eligible & (size >= self._limit(size, eligible))

    def levels(
        self,
        tree: RowTree,
        values: Mapping[int, NDArray[np.float64]],
        stderrs: Mapping[int, NDArray[np.float64]],
        estimates: Mapping[int, NDArray[np.int64]],
    ) -> dict[int, Figures]:
        """Decide for all reporting levels, so that nothing follows from the rest by subtraction.

        Args:
            tree: the hierarchy.
            values: by level, (nodes, columns) unbiased values.
            stderrs: by level, (nodes,) their standard errors, which are equal in all columns.
            estimates: by level, (nodes, columns) refined values.
        """
        single = {
            level: self.family(values[level], stderrs[level][:, None], estimates[level])
            for level in sorted(estimates)
        }
        hidden = suppress(tree, estimates, {level: f.hidden for level, f in single.items()})
        return {level: f._replace(hidden=hidden[level]) for level, f in single.items()}

    def family(
        self,
        values: NDArray[np.float64],
        stderr: NDArray[np.float64],
        estimate: NDArray[np.int64],
    ) -> Figures:
        """Decide for a family of values, each by itself.

        Args:
            values: unbiased values, of any shape.
            stderr: their standard errors, of a shape that can be broadcast to it.
            estimate: refined values, of the same shape.
        """
        large = estimate >= self.least
        if self.noise == "off":
            exact = estimate.astype(float) if self.grain else values
            return _holding(estimate, ~large, exact, exact)
        if not self.distinct:
            half = half_width95(self.noise, stderr)
            return _holding(estimate, ~large, values - half, values + half)
        large &= values >= self.least
        size = self._size(values, stderr)
        limit = self._limit(size, large)
        low, high = self._ends(values, stderr, limit)
        return _holding(estimate, ~(large & (size >= limit)), low, high)

    def _size(
        self, values: NDArray[np.float64], stderr: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How many standard errors values are from nothing."""
        return (values - self.grain / 2) / stderr

    def _limit(self, size: NDArray[np.float64], eligible: NDArray[np.bool_]) -> float:
        return max(cut(self.noise, size, eligible), self.least_size)

    def _ends(
        self, values: NDArray[np.float64], stderr: NDArray[np.float64], limit: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if math.isinf(limit):
            return values, values
        # Whole true values: half a unit further out and rounded inwards covers as much as before.
        margin = self.grain / 2
        least = np.maximum(limit * stderr + margin, self.least)
        if self.grain:
            least = self.grain * np.ceil(least / self.grain)
        below = lower_reach(self.noise, (values - least) / stderr, limit)
        low = values - margin - below * stderr
        high = values + margin + reach(self.noise, SIDE) * stderr
        if self.grain:
            low = self.grain * np.ceil(low / self.grain)
            high = self.grain * np.floor(high / self.grain)
        return low, high


def withheld(privacy: Privacy, least: int) -> str:
    """Say what is not published.

    Args:
        privacy: the declared rule.
        least: least estimate that is published.
    """
    small = f"estimates below {least}"
    if privacy.publish == "all" or privacy.noise == "off":
        return small
    return f"{small}, and what may be nothing but noise: {FALSE:.0%} of the published at most is"


def withholding(privacy: Privacy) -> dict[str, str | int]:
    """Give what decides on publication as JSON."""
    return {"suppress_below": privacy.suppress_below, "publish": privacy.publish}


def _holding(
    estimate: NDArray[np.int64],
    hidden: NDArray[np.bool_],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> Figures:
    """Widen intervals that the refined estimate lies outside of."""
    return Figures(estimate, hidden, np.minimum(low, estimate), np.maximum(high, estimate))


def reach(noise: Noise, chance: float) -> float:
    """Standard errors that noise exceeds, upwards, with a chance of less than a half."""
    if noise == "laplace":
        return -math.log(2 * chance) / math.sqrt(2)
    return -NormalDist().inv_cdf(chance)


def cut(noise: Noise, size: NDArray[np.float64], eligible: NDArray[np.bool_]) -> float:
    """Find the size from which values are published.

    Args:
        noise: distribution of the noise.
        size: values of a family in standard errors, of any shape.
        eligible: whether a value may be published at all, of the same shape.

    Returns:
        Standard errors; infinite where no value is large enough.
    """
    strong = np.sort(size[eligible])
    count = size.size
    # Each step counts what is left at the cut for the count before: it ends at the largest k.
    while count:
        limit = reach(noise, FALSE * count / size.size)
        left = len(strong) - int(np.searchsorted(strong, limit))
        if left == count:
            return limit
        count = left
    return math.inf


def lower_reach(noise: Noise, beyond: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Find how far below a published value its interval begins, in standard errors.

    Args:
        noise: distribution of the noise.
        beyond: how far the values are beyond the least that is published, of any shape.
        most: where the rate of false coverage puts it, which is further below than SIDE does.

    Returns:
        What the inversion of the truncated distribution gives, but `most` at most.
    """
    if noise == "laplace":
        decay = np.exp(-math.sqrt(2) * np.maximum(beyond, 0))
        # For a truth above the cut, y = exp(-t) solves y^2 - 2 SIDE y + SIDE decay = 0; below the
        # cut the distribution of what is beyond it is the same for every truth.
        root = np.sqrt(np.maximum(SIDE**2 - SIDE * decay, 0))
        below = np.minimum(-np.log(SIDE + root) / math.sqrt(2), most)
        return np.where(decay <= SIDE, below, most)
    normal = NormalDist()
    steps = np.linspace(reach(noise, SIDE), most, _STEPS + 1)[1:]
    tails = (0.5 * math.erfc(step / math.sqrt(2)) for step in steps.tolist())
    distance = steps + [normal.inv_cdf(min(tail / SIDE, 1 - 1e-12)) for tail in tails]
    return np.interp(beyond, distance[::-1], steps[::-1])
