"""Demand for journeys: a gravity model over places, by routes of the timetable and by road."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.timetable import timetable

_ACCESS_SCALE = 25.0
"""Minutes on the way to or from an airport that make a route less likely by a factor e."""
_ROAD_SCALE = 150.0
"""Minutes by road that make a place less likely as the aim of a journey by a factor e."""
NOT_BY_AIR = 150.0
"""Minutes by road below which nobody flies."""
NOT_A_JOURNEY = 60.0
"""Minutes by road below which nobody stays overnight."""
_OUTING_SCALE = 40.0
"""Minutes by road that make an aim of an outing less likely by a factor e."""
_OUTING = 90.0
"""Most minutes by road to the aim of an outing."""


def airport_weights(
    home: NDArray[np.int64], aim: NDArray[np.int64], winter: int, studied: float
) -> NDArray[np.float64]:
    """Weigh the routes for journeys between places, by seats and by minutes on the way to them.

    Args:
        home: (N,) places where journeys start.
        aim: (N,) places that they lead to.
        winter: 0 for the summer timetable, 1 for the winter timetable.
        studied: factor for the routes of the studies.

    Returns:
        (N, R) weights, to which probabilities are proportional.
    """
    where = places()
    table = timetable()
    seats = table.capacity()[winter] * np.where(table.studied, studied, 1.0)
    ways = where.access[home[:, None], table.origin] + where.access[aim[:, None], table.target]
    return np.asarray(seats * np.exp(-ways / _ACCESS_SCALE))


@lru_cache(maxsize=8)
def air_weights(month: int, winter: int, studied: float) -> NDArray[np.float64]:
    """Weigh the aims of journeys by air from each place.

    Args:
        month: 1 to 12.
        winter: 0 for the summer timetable, 1 for the winter timetable.
        studied: factor for the routes of the studies.

    Returns:
        (P, P) weights by home and aim.
    """
    where = places()
    table = timetable()
    seats = table.capacity()[winter] * np.where(table.studied, studied, 1.0)
    leave, reach = (
        np.exp(-where.access[:, ends] / _ACCESS_SCALE) for ends in (table.origin, table.target)
    )
    weights = (leave * seats) @ reach.T * where.air[month - 1]
    return np.where(where.drive < NOT_BY_AIR, 0.0, weights)


@lru_cache(maxsize=12)
def road_weights(month: int) -> NDArray[np.float64]:
    """(P, P) weights of aims of journeys by road, which stay in Hokkaido, in a month (1 to 12)."""
    where = places()
    weights = where.ground[month - 1] * np.exp(-where.drive / _ROAD_SCALE)
    return np.where(where.drive < NOT_A_JOURNEY, 0.0, weights)


@lru_cache(maxsize=12)
def outing_weights(month: int) -> NDArray[np.float64]:
    """(P, P) weights of aims of outings in a month (1 to 12), by the place where people stay.

    Each place is an aim of outings from it, too.
    """
    where = places()
    weights = where.ground[month - 1] * np.exp(-where.drive / _OUTING_SCALE)
    weights = np.where(where.drive > _OUTING, 0.0, weights)
    weights[where.local :] = np.eye(len(where.codes))[where.local :]
    return weights
