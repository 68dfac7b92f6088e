"""Columns of labels, which files hold as numbers and a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LABEL = pa.dictionary(pa.int16(), pa.string())
SEXES = ("female", "male")


def labelled(numbers: NDArray[Any], names: Sequence[str]) -> pa.DictionaryArray:
    """A column of the type `LABEL`.

    Args:
        numbers: (N,) which name.
        names: all, so that every block has the same dictionary.
    """
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers.astype(np.int16)), pa.array(list(names), pa.string())
    )
