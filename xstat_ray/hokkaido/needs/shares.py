"""Shares of noisy counts, with intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.needs.publication import NoisyCounts

KNOWN_FROM = 5.0
"""Least total, in its standard errors, that is told from nothing; shares of less are unknown."""
_NORMAL95 = 1.959964


class Shares(NamedTuple):
    """Shares along the last axis; NaN where the total is unknown or too small to divide by."""

    value: NDArray[np.float64]
    stderr: NDArray[np.float64]
    """Standard error from the noise alone, or with that of the sample: see `shares`."""

    @property
    def low95(self) -> NDArray[np.float64]:
        """Lower end of the 95 % interval, at least 0."""
        return np.maximum(self.value - _NORMAL95 * self.stderr, 0.0)

    @property
    def high95(self) -> NDArray[np.float64]:
        """Upper end of the 95 % interval, at most 1."""
        return np.minimum(self.value + _NORMAL95 * self.stderr, 1.0)


def shares(counts: NoisyCounts, *, sampled: float | None = None, units: int = 1) -> Shares:
    """Divide counts by their total along the last axis.

    The delta method on p = x/N with independent noises gives Var p = ((1 - 2p) Var x + p^2 Var N)
    / N^2. It describes the people who were counted. With `sampled` it describes all passengers, of
    whom those counted are a random part: units (1 - sampled) p (1 - p) / N is added.

    Args:
        counts: (..., K) counts; each person is in one of the K, and all K are the whole.
        sampled: share of all passengers who can be counted, which is the operator's share of the
            market; None describes only those who were counted.
        units: most counts that a person adds; people are that many times fewer than counts.

    Returns:
        (..., K) shares. Noise may carry a value out of [0, 1]; its interval is cut to that.
    """
    total = counts.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = total.value >= KNOWN_FROM * total.stderr
        whole = np.where(known & (total.value > 0), total.value, np.nan)[..., None]
        part = counts.value / whole
        variance = (
            (1 - 2 * part) * counts.variance + part**2 * total.variance[..., None]
        ) / whole**2
        if sampled is not None:
            inside = np.clip(part, 0, 1)
            variance = variance + units * (1 - sampled) * inside * (1 - inside) / whole
    return Shares(part, np.sqrt(np.maximum(variance, 0)))


def overlap(part: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute how evenly airports share an area: the second largest share over the largest.

    Args:
        part: (..., K) shares, K at least 2; a negative share counts as none.

    Returns:
        (...,) between 0, where an airport stands alone, and 1; NaN where shares are unknown.
    """
    first, second = np.moveaxis(np.sort(np.maximum(part, 0), axis=-1)[..., -1:-3:-1], -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: NDArray[np.float64] = second / first
    return ratio
