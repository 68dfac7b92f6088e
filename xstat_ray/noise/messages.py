"""The messages of the joint sampler; docs/format.md specifies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.encoding import Message


@dataclass(frozen=True)
class Deal(Message):
    """Corrections of one part, from the aggregator, sealed to the column party."""

    attempt: int
    set: int
    part: int
    corrections: NDArray[np.uint64]
    """(coins, products, words) the column party's XOR share of the products, round after round."""
    shares: NDArray[np.int64]
    """(coins, coefficients) its integer shares of the dealt bits."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {
        "corrections": ("uint64", 3),
        "shares": ("int64", 2),
    }


@dataclass(frozen=True)
class Opening(Message):
    """A share of masked operands of one round, between row and column party, sealed."""

    attempt: int
    set: int
    part: int
    round: int
    """From 0; the last opens the masked coins."""
    masked: NDArray[np.uint64]
    """(coins, pairs, operands, words)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"masked": ("uint64", 4)}
