"""Shares of noise as numbers that are added to packed plaintexts.

A share is far wider than a slot: it hides the noise. Slots of it overlap in the number that a
party adds, which does no harm, since numbers add up whatever their slots do: the sum of both
parties' numbers is the number of the noise itself, sum of N 2^(slot_bits place) over the slots of
a block.
"""

from __future__ import annotations

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto.packing import Packing
from xstat_ray.noise.sampler import LIMB_BITS
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.mechanism import draw_gaussian

_BIAS = np.int64(1 << 61)
"""Makes high limbs non-negative."""


def narrow(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """A share (2, N, slots) of (N, slots) values that fit one limb, such as Gaussian shares."""
    return np.stack([values, np.zeros_like(values)])


def draw_gaussian_share(design: Design, slots: int) -> NDArray[np.int64]:
    """One role's fresh share of Gaussian noise, by OpenDP's exact sampler.

    Three of them add up to the noise of the release. The caller stores what is drawn before
    anything depends on it: a second draw would be another noise.

    Args:
        design: what is measured, with Gaussian noise.
        slots: columns of the table.

    Returns:
        (shown nodes, slots), in the order of the rows of the noisy table.

    Raises:
        ValueError: the noise of the design is no Gaussian noise.
    """
    if design.budget.noise != "gaussian":
        raise ValueError("only Gaussian noise is the sum of the roles' shares")
    return np.concatenate(
        [
            draw_gaussian(m.mechanism.share_scale, m.shown * slots).reshape(m.shown, slots)
            for m in design.levels
        ]
    )


def pack_shares(share: NDArray[np.int64], packing: Packing) -> list[mpz]:
    """The numbers that a party adds, laid out as by `Packing.pack` but without an offset.

    Args:
        share: (2, N, slots) low and high limbs of signed shares, low + 2^32 high, of which the high
            ones stay between -2^61 and 2^61 (`noise.sampler`).
        packing: the layout of the slots.

    Returns:
        N * blocks signed numbers; modulo n they are what is added to plaintexts.

    Raises:
        ValueError: another number of slots, or larger limbs.
    """
    low, high = share
    if low.ndim != 2 or low.shape[1] != packing.slots:
        raise ValueError("a share of noise has another number of slots than the table")
    carried = high + (low >> LIMB_BITS)
    if share.size and (carried.min() < -_BIAS or carried.max() >= _BIAS):
        raise ValueError("a share of noise has limbs that are too large")
    numbers = _packed(low & ((1 << LIMB_BITS) - 1), packing)
    highs = _packed(carried + _BIAS, packing)
    biases = _packed(np.full((1, packing.slots), _BIAS), packing)
    blocks = packing.blocks
    return [
        number + (above - biases[place % blocks] << LIMB_BITS)
        for place, (number, above) in enumerate(zip(numbers, highs, strict=True))
    ]


def _packed(values: NDArray[np.int64], packing: Packing) -> list[mpz]:
    """Numbers of (N, slots) values that are not negative, however wide.

    They are cut into pieces that fit a slot, and every piece is packed for itself.
    """
    width = packing.blocks * packing.per_block
    padded = np.pad(values, ((0, 0), (0, width - packing.slots))).reshape(-1, packing.per_block)
    numbers = [mpz(0)] * len(padded)
    bits = packing.slot_bits
    for shift in range(0, int(padded.max(initial=0)).bit_length(), bits):
        pieces = (padded >> shift & ((1 << bits) - 1)).tolist()
        for place, piece in enumerate(pieces):
            numbers[place] += gmpy2.pack(piece, bits) << shift
    return numbers
