"""An ordinary day: at home, on the way, at work or at a shop, on the way back, at home."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.geo import mesh
from xstat_ray.geo.roads import drive_minutes, road_km
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.streams import stream

DAY = 1440
_WORK = (8 * 60, 60, 540, 60)
"""Mean and standard deviation of the minute of arrival, and of the minutes of the stay."""
_SHOP = (12 * 60, 150, 90, 45)
"""Mean and standard deviation of the minute of arrival, and of the minutes of the stay."""
_GO_OUT = 0.7
"""Chance that somebody who is not at work goes out."""
_LEAST_WAY = 5.0


def way_minutes(people: People) -> NDArray[np.int64]:
    """(N,) minutes from home to where each person goes on ordinary days."""
    here, there = (mesh.centre(cells, "500m") for cells in (people.cell, people.away))
    return np.maximum(_LEAST_WAY, drive_minutes(road_km(*here, *there))).astype(np.int64)


def ordinary_day(world: World, people: People, day: int) -> NDArray[np.int64]:
    """Draw when people leave home, arrive, leave again and are back on a day.

    Times rise and lie within the day; those who do not go out leave and are back at noon.

    Args:
        world: the settings.
        people: the block.
        day: an ordinal.

    Returns:
        (N, 4) minutes of the day.
    """
    draw = stream(world.seed, "day", people.block, day)
    size = len(people)
    way = way_minutes(people)
    at_work = people.worker & ((day - 1) % 7 < 5)
    out = at_work | (draw.random(size) < _GO_OUT)
    spread, stay = draw.standard_normal((2, size))
    kind = np.where(at_work[:, None], _WORK, _SHOP)
    arrive = np.clip(kind[:, 0] + kind[:, 1] * spread, way + 1, 18 * 60).astype(np.int64)
    leave = np.clip(
        arrive + np.maximum(20, kind[:, 2] + kind[:, 3] * stay), arrive, DAY - 2 - way
    ).astype(np.int64)
    times = np.stack([arrive - way, arrive, leave, leave + way], axis=1)
    return np.where(out[:, None], times, DAY // 2)
