"""The messages of the joint sampler; docs/format.md specifies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.encoding import Bytes32, Message


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


@dataclass(frozen=True)
class Commitment(Message):
    """Binds a role to its sets and to its nonce before the sets are tossed for, to both others."""

    digest: NDArray[np.uint8]
    """(1, 32)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"digest": ("uint8", 2)}


@dataclass(frozen=True)
class Toss(Message):
    """What a role had committed to, and the commitments by which it goes, to both others."""

    nonce: Bytes32
    aggregator: Bytes32
    """The aggregator's commitment, as the sender has it."""
    row: Bytes32
    """The row party's."""
    column: Bytes32
    """The column party's."""
    leaves: NDArray[np.uint8]
    """(sets, 32)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"leaves": ("uint8", 2)}


@dataclass(frozen=True)
class OpenedSets(Message):
    """What a role shows of every set that is not kept: of party and aggregator, to a party."""

    seeds: NDArray[np.uint8]
    """(sets - 1, 32), in the order of the sets."""
    digests: NDArray[np.uint8]
    """(sets - 1, messages, 32) of what it sent and received, in the order of their names."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"seeds": ("uint8", 2), "digests": ("uint8", 3)}
