"""Helpers for numpy arrays that several packages need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def run_starts(values: NDArray[Any]) -> NDArray[np.intp]:
    """Find where runs of equal neighbours begin.

    Args:
        values: (N,), of any type that compares.

    Returns:
        (runs,) positions, ascending; the first is 0, and there is none where N is 0.
    """
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])
