"""Through which airport the passengers of an area come: as counted, and where too few were, as in the areas around.

What the areas around say is put in Huff's model of catchments (Huff 1963, Land Economics 39(1)):
the share of an airport in an area is proportional to its attraction and falls with the minutes
between them,

    share(area, airport) = attraction(airport) exp(-minutes(area, airport) / scale) / sum over
    airports

with attractions and scale fitted to the published counts of all areas. It knows nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.needs.publication import Tally
from xstat_ray.hokkaido.needs.shares import KNOWN_FROM

_SCALE = 30.0
_SCALE_ERROR = np.log(2)
"""Minutes that make an airport less likely by a factor e, before anything is counted; error of the
logarithm."""
_ATTRACTION_ERROR = 3.0
"""Of the logarithm of an attraction, before anything is counted: all airports are the same."""
_MISFIT = 0.05
"""Part of its count by which the model is taken to miss an area in any case: no single area rules
the fit."""
_ROUNDS = 50
_STEP = 1e-5
"""Of the least squares, and for derivatives."""

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Way(NamedTuple):
    """Minutes between the airport and an area, by area."""

    value: NDArray[np.float64]
    stderr: NDArray[np.float64]
    """As the airport is not known of everybody; nothing for the roads."""


class Huff(NamedTuple):
    """The fitted model."""

    shares: NDArray[np.float64]
    """(areas, airports)"""
    way: NDArray[np.float64]
    """(areas,) mean minutes between the airport and an area."""
    variance: NDArray[np.float64]
    """(areas,) of `way`, as attractions and scale are not known better."""


def huff(counts: Tally, minutes: NDArray[np.float64], units: int = 1) -> Huff:
    """Fit the model by least squares to the counts of all areas, each with a total of its own.

    The counts of an area weigh by the inverse of their variance: that of the noise, of chance, and
    of `_MISFIT`. Where the counts say little, attractions and scale stay near what they are before
    anything is counted.

    Args:
        counts: (areas, airports) passengers' days.
        minutes: (areas, airports) between them.
        units: how often one person is counted, at most.
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
    """Where the sum of the squares of `misses` is least, from a start, by Levenberg and Marquardt."""
    damping = 1e-3
    for _ in range(_ROUNDS):
        missed = misses(at)
        slope = _slopes(misses, at)
        square = slope.T @ slope
        step = np.linalg.solve(square + damping * np.diag(np.diag(square)), -slope.T @ missed)
        better = (misses(at + step) ** 2).sum() < (missed**2).sum()
        at, damping = (at + step, damping / 10) if better else (at, damping * 10)
    return at


def _slopes(of: Function, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """(values, len(at)) derivatives."""
    return np.stack(
        [(of(at + step) - of(at - step)) / (2 * _STEP) for step in _STEP * np.eye(len(at))], axis=-1
    )


def way(
    counts: Tally,
    minutes: NDArray[np.float64],
    *,
    model_passengers: float,
    sampled: float,
    units: int = 1,
) -> Way:
    """Mean minutes between the airport and an area, over the passengers of the area.

    Counts say sum of share x minutes over the airports, with the error of the noise and that of who
    was counted; the model, which counts as much as so many passengers, says the same with its own
    shares. Both are weighted by the inverse of their variances. Where fewer were counted than
    `KNOWN_FROM` standard errors, the model stands alone.

    Args:
        counts: (areas, airports) passengers' days.
        minutes: (areas, airports) between them.
        model_passengers: what the model is worth.
        sampled: share of all passengers who can be counted.
        units: how often one person is counted, at most.
    """
    model = huff(counts, minutes, units)
    total = counts.sum(-1)
    # Variance of the minutes of one passenger.
    spread = (model.shares * (minutes - model.way[:, None]) ** 2).sum(-1)
    own = spread / (1 + model_passengers) + model.variance
    with np.errstate(invalid="ignore"):
        known = (total.value >= KNOWN_FROM * total.stderr) & (total.value > 0)
    whole = np.where(known, total.value, np.nan)
    counted = (counts.value * minutes).sum(-1) / whole
    noise = ((minutes - counted[:, None]) ** 2 * counts.variance).sum(-1) / whole**2
    error = noise + units * (1 - sampled) * spread / whole
    trust = np.nan_to_num(own / (own + error))
    # Noise can carry a mean beyond the nearest or the farthest airport.
    value = np.clip(
        model.way + trust * np.nan_to_num(counted - model.way), minutes.min(-1), minutes.max(-1)
    )
    return Way(value, np.sqrt((1 - trust) * own))
