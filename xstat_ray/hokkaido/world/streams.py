"""Random streams of a purpose and a block of people, so that nothing depends on who draws first."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Make the generator of a purpose; equal arguments give equal streams.

    Args:
        seed: seed of the world.
        purpose: what the numbers are drawn for.
        numbers: block, and day if the purpose has one.
    """
    # The count of the numbers is part of the key, since a seed sequence ignores trailing zeros.
    key = [
        seed,
        zlib.crc32(purpose.encode()),
        len(numbers),
        *(number % (1 << 32) for number in numbers),
    ]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def mix(values: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """Mix 64 bits of each value under a key, by SplitMix64's finaliser. Not for secrets."""
    z = values + np.uint64((key * 0x9E3779B97F4A7C15) % (1 << 64))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(seed: int, purpose: str, *numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """(N,) uniform numbers in [0, 1) that depend on nothing but seed, purpose and (N,) numbers."""
    key = (seed << 32) + zlib.crc32(purpose.encode())
    mixed = np.zeros(1, np.uint64)
    for turn, part in enumerate(numbers):
        mixed = mix(mixed + part.astype(np.uint64), key + turn)
    return (mixed >> np.uint64(11)) / 2.0**53


def choose(weights: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose a column in each row, with probabilities in proportion to the weights.

    Args:
        weights: (N, C) weights, not negative.
        u: (N,) uniform numbers in [0, 1).

    Returns:
        (N,) columns; -1 where a row has no weight.
    """
    ends = np.cumsum(weights, axis=1)
    # The first column whose end lies above the mark has a weight, whatever rounding does.
    mark = np.minimum(u * ends[:, -1], np.nextafter(ends[:, -1], 0))
    column = (ends <= mark[:, None]).sum(axis=1)
    return np.where(ends[:, -1] > 0, column, -1)
