"""Means of a measure, made of a noisy count and a noisy sum, with what is known of their error.

With mid the middle of the bounds, N an unbiased count and S an unbiased sum of values less mid, the
mean is mid + S / max(1, N), within the bounds. To first order (the delta method) its variance is
(var S + r^2 var N) / N^2, r = S / N, as the noises of N and S are independent.

The interval is made of all r at which S - r N is within z standard errors of itself (Fieller, "Some
problems in interval estimation", J. R. Statist. Soc. B 16, 1954), so it also holds where the noise
is no small part of N; far above it this is the mean and z standard errors to either side. Where the
count does not stand out of its noise these are all values within the bounds. z is that of the
counts (`evidence`): where figures are selected for standing out of their noise, half of what a
selection may cost is in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.measure import Measure
from xstat_ray.model.study import Noise
from xstat_ray.privacy.evidence import SIDE, reach
from xstat_ray.privacy.least_squares import Estimate
from xstat_ray.privacy.mechanism import STDERRS95


class Means(NamedTuple):
    """Figures of a measure, (nodes, columns) each."""

    total: NDArray[np.float64]
    """Unbiased sums of the values themselves."""
    total_stderr: NDArray[np.float64]
    mean: NDArray[np.float64]
    """It has a meaning where somebody was counted only, and so has what follows."""
    low: NDArray[np.float64]
    """Lower end of the 95 % interval."""
    high: NDArray[np.float64]
    stderr: NDArray[np.float64]


def means(
    measure: Measure, counts: Estimate, sums: Estimate, noise: Noise, *, distinct: bool
) -> Means:
    """Work out means.

    Args:
        measure: what is summed, with its bounds.
        counts: unbiased counts, and their variances.
        sums: unbiased sums of values less mid, and their variances.
        noise: distribution of both noises; variances are of no account where it is off.
        distinct: whether figures are published where they stand out of their noise.
    """
    noisy = float(noise != "off")
    count = counts.values
    of_count = noisy * counts.variances[:, None]
    of_sum = noisy * sums.variances[:, None]
    people = np.maximum(count, 1)
    ratio = np.clip(sums.values / people, measure.low - measure.mid, measure.high - measure.mid)
    stderr = np.sqrt(of_sum + ratio**2 * of_count) / people
    z = reach(noise, SIDE) if distinct and noisy else STDERRS95[noise]
    low, high = _interval(measure, counts, sums, noisy * z)
    return Means(
        total=sums.values + measure.mid * count,
        total_stderr=np.broadcast_to(np.sqrt(of_sum + measure.mid**2 * of_count), count.shape),
        mean=measure.mid + ratio,
        low=measure.mid + np.minimum(low, ratio),
        high=measure.mid + np.maximum(high, ratio),
        stderr=stderr,
    )


def _interval(
    measure: Measure, counts: Estimate, sums: Estimate, z: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both ends of the ratios r with (S - r N)^2 <= z^2 (var S + r^2 var N), within the bounds."""
    of_count = z**2 * counts.variances[:, None]
    of_sum = z**2 * sums.variances[:, None]
    square = counts.values**2 - of_count
    clear = (square > 0) & (counts.values > 0)
    square = np.where(clear, square, 1)
    middle = sums.values * counts.values
    inside = counts.values**2 * of_sum + sums.values**2 * of_count - of_count * of_sum
    spread = np.sqrt(np.maximum(inside, 0))
    ends = measure.low - measure.mid, measure.high - measure.mid
    low, high = (
        np.where(clear, np.clip((middle + sign * spread) / square, *ends), end)
        for sign, end in zip((-1, 1), ends, strict=True)
    )
    return low, high
