"""Helpers for numpy arrays that several packages need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xstat_ray.util.threads import each_slice


def run_starts(values: NDArray[Any]) -> NDArray[np.intp]:
    """Find where runs of equal neighbours begin.

    Args:
        values: (N,), of any type that compares.

    Returns:
        (runs,) positions, ascending; the first is 0, and there is none where N is 0.
    """
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])


def gathered(values: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """Return (N,) `values[places]`, copied by several threads.

    Args:
        values: (M,), of any type.
        places: (N,) numbers of values; none is checked, and one that is not there finds another.
    """
    found = np.empty(len(places), values.dtype)

    def gather(part: slice) -> None:
        # Any mode but "raise" lets take write straight into its output.
        np.take(values, places[part], out=found[part], mode="clip")

    each_slice(gather, len(places))
    return found
