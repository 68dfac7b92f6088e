"""A release whose smoothed cells are withheld by their own size, not where the estimates are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree

THRESHOLD = 10


def withheld_by_itself(tree: RowTree, cells: pa.Table, smoothed: NDArray[np.int64]) -> pa.Table:
    """Add the smoothed cells that are not small."""
    declared = np.empty_like(smoothed)
    declared[tree.nodes[0]] = smoothed
    values = declared.ravel()
    return cells.append_column("smoothed", pa.array(values, mask=values < THRESHOLD))
