"""Columns of labels, which files hold in numbers and a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LABEL = pa.dictionary(pa.int16(), pa.string())
SEXES = ("female", "male")


def labelled(numbers: NDArray[Any], names: Sequence[str]) -> pa.DictionaryArray:
    """Make a column of the type `LABEL`.

    Args:
        numbers: (N,) places of the labels in `names`.
        names: all labels, so that blocks have equal dictionaries.
    """
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers.astype(np.int16)), pa.array(list(names), pa.string())
    )
