"""Sums of Gaussian shares, by convolution of their probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mass(sigma: float, shares: int) -> NDArray[np.float64]:
    """Compute the probabilities of the sum of discrete Gaussians, in double precision."""
    reach = np.arange(-int(12 * sigma), int(12 * sigma) + 1)
    one = np.exp(-(reach**2) / (2 * sigma**2))
    total = np.ones(1)
    for _ in range(shares):
        total = np.convolve(total, one / one.sum())
    return total


def excess(probabilities: NDArray[np.float64], shift: int, epsilon: float) -> float:
    """Compute the least delta at `epsilon` where a count moves by `shift`.

    It is the hockey-stick divergence.
    """
    moved = np.concatenate([np.zeros(shift), probabilities])
    stays = np.concatenate([probabilities, np.zeros(shift)])
    return float(np.maximum(stays - np.exp(epsilon) * moved, 0).sum())
