"""Distance and driving time by road between points, estimated without a road network.

A road is taken to be `DETOUR` times as long as the great circle. Driving is slow near both ends, at
the pace of a national road outside towns in between, and faster on long journeys, of which a part
is by expressway. These are assumptions, set so that journeys in eastern Hokkaido come out within
about 20 %; lakes, bays and passes are not known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the GRS 80 ellipsoid (2a + b) / 3."""

DETOUR = 1.3
"""Road length divided by great-circle distance."""

SPEEDS_KMH = ((10.0, 35.0), (100.0, 60.0), (np.inf, 80.0))
"""Pairs of the kilometre at which a part of the journey ends, and the mean speed on it in km/h."""


def great_circle_km(
    lat1: ArrayLike, lon1: ArrayLike, lat2: ArrayLike, lon2: ArrayLike
) -> NDArray[np.float64]:
    """Distance in kilometres on a sphere of `EARTH_RADIUS_KM`, from degrees, broadcast together."""
    phi1, lambda1, phi2, lambda2 = (
        np.radians(np.asarray(v, dtype=np.float64)) for v in (lat1, lon1, lat2, lon2)
    )
    haversine = (
        np.sin((phi2 - phi1) / 2) ** 2
        + np.cos(phi1) * np.cos(phi2) * np.sin((lambda2 - lambda1) / 2) ** 2
    )
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(haversine, 1.0))))


def road_km(
    lat1: ArrayLike, lon1: ArrayLike, lat2: ArrayLike, lon2: ArrayLike
) -> NDArray[np.float64]:
    """Estimated distance by road in kilometres, from degrees, broadcast together."""
    return DETOUR * great_circle_km(lat1, lon1, lat2, lon2)


def drive_minutes(km: ArrayLike) -> NDArray[np.float64]:
    """Estimated minutes of a drive of `km` kilometres by road, without stops."""
    length = np.asarray(km, dtype=np.float64)
    minutes = np.zeros_like(length)
    start = 0.0
    for end, speed in SPEEDS_KMH:
        minutes = minutes + 60 * np.clip(length - start, 0, end - start) / speed
        start = end
    return np.asarray(minutes)
