"""Shares of noise as numbers that are added to packed plaintexts.

A share is far wider than a slot: it hides the noise. Slots of it overlap in the number that a
party adds, which does no harm, since numbers add up whatever their slots do: the sum of both
parties' numbers is the number of the noise itself, sum of N 2^(its bit) over what a block holds.
"""

from __future__ import annotations

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto.packing import Packing
from xstat_ray.noise.sampler import LIMB_BITS
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.mechanism import draw_gaussian

_BIAS_BITS = 61
_BIAS = np.int64(1 << _BIAS_BITS)
"""Makes high limbs non-negative."""


def narrow(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """A share (2, N, columns) of (N, columns) values that fit one limb, such as Gaussian shares."""
    return np.stack([values, np.zeros_like(values)])


def draw_gaussian_share(design: Design, slots: int) -> NDArray[np.int64]:
    """One role's fresh share of Gaussian noise, by OpenDP's exact sampler.

    Three of them add up to the noise of the release. The caller stores what is drawn before
    anything depends on it: a second draw would be another noise.

    Args:
        design: what is measured, with Gaussian noise.
        slots: columns of the table.

    Returns:
        (shown nodes, columns), in the order of the rows of the noisy table.

    Raises:
        ValueError: the noise of the design is no Gaussian noise.
    """
    if design.budget.noise != "gaussian":
        raise ValueError("only Gaussian noise is the sum of the roles' shares")
    return np.concatenate(
        [
            np.concatenate(
                [
                    draw_gaussian(one.share_scale, level.shown * slots).reshape(level.shown, slots)
                    for one in level.mechanisms
                ],
                axis=1,
            )
            for level in design.levels
        ]
    )


def pack_shares(share: NDArray[np.int64], packing: Packing) -> list[mpz]:
    """The numbers that a party adds, laid out as by `Packing.pack` but without an offset.

    Args:
        share: (2, N, columns) low and high limbs of signed shares, low + 2^32 high, of which the
            high ones stay between -2^61 and 2^61 (`noise.sampler`).
        packing: the layout of the slots.

    Returns:
        N * blocks signed numbers; modulo n they are what is added to plaintexts.

    Raises:
        ValueError: another number of slots, or larger limbs.
    """
    low, high = share
    if low.ndim != 2 or low.shape[1] != packing.columns:
        raise ValueError("a share of noise has another number of slots than the table")
    carried = high + (low >> LIMB_BITS)
    if share.size and (carried.min() < -_BIAS or carried.max() >= _BIAS):
        raise ValueError("a share of noise has limbs that are too large")
    packed = [mpz(0)] * (len(low) * packing.blocks)
    for columns, at, _ in packing.rooms:
        numbers = _packed(low[:, columns] & ((1 << LIMB_BITS) - 1), packing)
        highs = _packed(carried[:, columns] + _BIAS, packing)
        biases = _packed(np.full((1, packing.slots), _BIAS), packing)
        for place, (number, above) in enumerate(zip(numbers, highs, strict=True)):
            packed[place] += number + (above - biases[place % packing.blocks] << LIMB_BITS) << at
    return packed


def _packed(values: NDArray[np.int64], packing: Packing) -> list[mpz]:
    """Numbers of (N, slots) values that are not negative, however wide.

    They are cut into pieces that fit a slot, and every piece is packed for itself.
    """
    numbers = [mpz(0)] * (len(values) * packing.blocks)
    bits = min(packing.width, _BIAS_BITS)
    for shift in range(0, int(values.max(initial=0)).bit_length(), bits):
        pieces = packing.spread(values >> shift & ((1 << bits) - 1))
        for place, piece in enumerate(pieces):
            numbers[place] += piece << shift
    return numbers
