"""Airports that the passengers of an area come through, from counts and from the areas around.

Where too few were counted, Huff's model of catchments (Huff 1963, Land Economics 39(1)) tells what
the areas around show: the share of an airport in an area is proportional to its attraction and
falls with the minutes between them,

    share(area, airport) = attraction(airport) exp(-minutes(area, airport) / scale) / sum over
    airports

with attractions and scale fitted to the published counts of all areas. It knows nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.needs.publication import NoisyCounts
from xstat_ray.hokkaido.needs.shares import KNOWN_FROM

_SCALE = 30.0
"""Minutes that make an airport less likely by a factor e, before anything is counted."""
_SCALE_ERROR = np.log(2)
"""Standard error of the logarithm of the scale, before anything is counted."""
_ATTRACTION_ERROR = 3.0
"""Standard error of the logarithm of an attraction, before anything is counted; the logarithm of
each is taken to be 0."""
_MISFIT = 0.05
"""Part of an area's count by which the model is taken to miss it, so that no area rules the fit."""
_ROUNDS = 50
"""Rounds of the least squares."""
_STEP = 1e-5
"""Step for derivatives."""

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Way(NamedTuple):
    """Minutes between an area and the airport that its passengers use, by area."""

    value: NDArray[np.float64]
    stderr: NDArray[np.float64]
    """Standard error because not everybody's airport is known; roads are taken to be exact."""


class Huff(NamedTuple):
    """Huff's model, fitted to counts."""

    shares: NDArray[np.float64]
    """(areas, airports) shares of the airports in an area."""
    way: NDArray[np.float64]
    """(areas,) mean minutes between the airport and an area."""
    variance: NDArray[np.float64]
    """(areas,) variance of `way` that the errors of attractions and scale leave."""


def huff(counts: NoisyCounts, minutes: NDArray[np.float64], units: int = 1) -> Huff:
    """Fit Huff's model by least squares to the counts of all areas, whose totals are free.

    The counts of an area weigh by the inverse of their variance: that of the noise, of chance, and
    of `_MISFIT`. Where the counts tell little, attractions and scale stay near what they are before
    anything is counted.

    Args:
        counts: (areas, airports) passengers' days.
        minutes: (areas, airports) minutes between area and airport.
        units: most counts that a person adds.
    """
    published = np.nan_to_num(counts.value)
    total = np.maximum(published.sum(axis=-1, keepdims=True), 1)
    error = np.sqrt(
        np.nan_to_num(counts.variance, nan=np.inf) + units * total + (_MISFIT * total) ** 2
    )
    before = np.append(np.full(minutes.shape[-1], _ATTRACTION_ERROR), _SCALE_ERROR)

    def shares(at: NDArray[np.float64]) -> NDArray[np.float64]:
        power = at[:-1] - minutes / (_SCALE * np.exp(at[-1]))
        weight = np.exp(power - power.max(axis=-1, keepdims=True))
        return np.asarray(weight / weight.sum(axis=-1, keepdims=True))

    def misses(at: NDArray[np.float64]) -> NDArray[np.float64]:
        part = shares(at)
        whole = np.maximum((part * published).sum(-1) / (part**2).sum(-1), 0)
        return np.append(((published - whole[:, None] * part) / error).ravel(), at / before)

    def mean_way(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((shares(at) * minutes).sum(-1))

    at = _least_squares(misses, np.zeros_like(before))
    slope = _slopes(misses, at)
    bend = _slopes(mean_way, at)
    variance = np.einsum("ai,ij,aj->a", bend, np.linalg.inv(slope.T @ slope), bend)
    return Huff(shares(at), mean_way(at), variance)


def _least_squares(misses: Function, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the least sum of squares of `misses` from a start, by Levenberg and Marquardt."""
    damping = 1e-3
    for _ in range(_ROUNDS):
        missed = misses(at)
        slope = _slopes(misses, at)
        square = slope.T @ slope
        step = np.linalg.solve(square + damping * np.diag(np.diag(square)), -slope.T @ missed)
        if (misses(at + step) ** 2).sum() < (missed**2).sum():
            at = at + step
            damping = damping / 10
        else:
            damping = damping * 10
    return at


def _slopes(of: Function, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(values, len(at)) derivatives of a function at a point."""
    return np.stack(
        [(of(at + step) - of(at - step)) / (2 * _STEP) for step in _STEP * np.eye(len(at))], axis=-1
    )


def way(
    counts: NoisyCounts,
    minutes: NDArray[np.float64],
    *,
    model_passengers: float,
    sampled: float,
    units: int = 1,
) -> Way:
    """Estimate the mean minutes between the airport and an area, over its passengers.

    The sum of share x minutes over the airports is taken twice: with the shares of the counts,
    whose errors are those of noise and sample, and with those of the model, which weighs as much as
    `model_passengers`. The two are weighted by the inverse of their variances. Where fewer were
    counted than `KNOWN_FROM` standard errors, the model stands alone.

    Args:
        counts: (areas, airports) passengers' days.
        minutes: (areas, airports) minutes between area and airport.
        model_passengers: passengers that the model weighs as much as.
        sampled: share of all passengers who can be counted.
        units: most counts that a person adds.
    """
    model = huff(counts, minutes, units)
    total = counts.sum(-1)
    # Variance of the minutes of one passenger.
    spread = (model.shares * (minutes - model.way[:, None]) ** 2).sum(-1)
    model_variance = spread / (1 + model_passengers) + model.variance
    with np.errstate(invalid="ignore"):
        known = (total.value >= KNOWN_FROM * total.stderr) & (total.value > 0)
    whole = np.where(known, total.value, np.nan)
    counted = (counts.value * minutes).sum(-1) / whole
    noise = ((minutes - counted[:, None]) ** 2 * counts.variance).sum(-1) / whole**2
    error = noise + units * (1 - sampled) * spread / whole
    trust = np.nan_to_num(model_variance / (model_variance + error))
    # Noise can carry a mean beyond the nearest or the farthest airport.
    value = np.clip(
        model.way + trust * np.nan_to_num(counted - model.way), minutes.min(-1), minutes.max(-1)
    )
    return Way(value, np.sqrt((1 - trust) * model_variance))
