"""The index of need: visitors who do not fly, times the hours that their best way takes too long.

    need = max(0, visitors - flyers) * max(0, min(air, road) - tolerated) / 60

in visitor-hours a day. `visitors` are non-residents present in an area on a mean day, `flyers` are
visitors who landed on that day or the day before; `air` is the journey by air with the way from the
airport, `road` the journey by car from Sapporo. An area needs nothing if it has no visitors, if
they all fly, or if there is a good way by air or by road.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.needs.access import Minutes, Travel
from xstat_ray.hokkaido.needs.publication import NoisyCounts


@dataclass(frozen=True)
class Sampling:
    """Settings of the Monte Carlo that finds the uncertainty."""

    draws: int = 4000
    seed: int = 20231029
    top: int = 5
    """Length of the list of the neediest areas."""


class Inputs(NamedTuple):
    """Inputs of the index, by area."""

    visitors: NoisyCounts
    """(areas,) non-residents present on a mean day."""
    flyers: NoisyCounts
    """(areas,) visitors who came by air."""
    landing: Minutes
    """(areas,) minutes from landing to the area."""
    road: Minutes
    """(areas,) minutes by car from Sapporo."""


class Needs(NamedTuple):
    """The index by area; NaN, and rank 0, where visitors or flyers are unknown."""

    need: NDArray[np.float64]
    low95: NDArray[np.float64]
    high95: NDArray[np.float64]
    rank: NDArray[np.int64]
    """Rank from 1, the neediest; areas of equal need keep the order of `areas`."""
    rank_low: NDArray[np.int64]
    """Lower end of the 95 % interval of ranks."""
    rank_high: NDArray[np.int64]
    """Upper end of the 95 % interval of ranks."""
    in_top: NDArray[np.float64]
    """Share of all draws in which the area is among the neediest."""


def index(
    visitors: NDArray[np.float64],
    flyers: NDArray[np.float64],
    landing: NDArray[np.float64],
    road: NDArray[np.float64],
    travel: Travel,
) -> NDArray[np.float64]:
    """Apply the formula of this module to arrays of one shape.

    Args:
        visitors: people.
        flyers: people.
        landing: minutes.
        road: minutes.
        travel: assumptions about journeys.

    Returns:
        Visitor-hours a day.
    """
    late = np.maximum(np.minimum(travel.before_landing + landing, road) - travel.tolerated, 0) / 60
    return np.maximum(visitors - flyers, 0) * late


def assess(inputs: Inputs, travel: Travel, sampling: Sampling) -> Needs:
    """Compute the index and its uncertainty, by Monte Carlo.

    Each input is drawn from a normal distribution around its published value with its published
    standard error, and the index and the ranks are computed anew for each draw. The intervals hold
    the middle 95 % of the draws; they repeat with the seed.
    """
    known = ~np.isnan(inputs.visitors.value + inputs.flyers.value)
    rng = np.random.default_rng(sampling.seed)
    shape = (sampling.draws, int(known.sum()))

    def draw(part: NoisyCounts | Minutes) -> NDArray[np.float64]:
        return part.value[known] + part.stderr[known] * rng.standard_normal(shape)

    def combine(
        values: Callable[[NoisyCounts | Minutes], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        visitors, flyers, landing, road = (values(part) for part in inputs)
        return index(visitors, flyers, landing, road, travel)

    need = combine(lambda part: part.value[known])
    drawn = combine(draw)
    ranks = np.apply_along_axis(rank, 1, drawn)
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    rank_low, rank_high = np.percentile(ranks, (2.5, 97.5), axis=0, method="nearest")
    return Needs(
        need=_spread(need, known, np.nan),
        low95=_spread(low, known, np.nan),
        high95=_spread(high, known, np.nan),
        rank=_spread(rank(need), known, 0),
        rank_low=_spread(rank_low, known, 0),
        rank_high=_spread(rank_high, known, 0),
        in_top=_spread((ranks <= sampling.top).mean(axis=0), known, np.nan),
    )


def rank(need: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number areas from 1, the largest need first.

    Args:
        need: (N,) visitor-hours.

    Returns:
        (N,) ranks.
    """
    places = np.empty(len(need), np.int64)
    places[np.argsort(-need, kind="stable")] = np.arange(1, len(need) + 1)
    return places


def _spread(values: NDArray[Any], known: NDArray[np.bool_], missing: float) -> NDArray[Any]:
    """Put values of the known areas at their places among all areas."""
    spread = np.full(known.shape, missing, values.dtype)
    spread[known] = values
    return spread
