"""Tags that tell more than that they are equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.tags import tags

HONEST = tags


def half_without_the_period(
    key: bytes, keys: NDArray[np.uint8], person: NDArray[np.int32], period: NDArray[np.uint32]
) -> NDArray[np.uint8]:
    """Tags whose first half is the person's in all periods."""
    found = HONEST(key, keys, person, period).copy()
    found[:, :8] = HONEST(key, keys, person, np.zeros_like(period))[:, :8]
    return found
