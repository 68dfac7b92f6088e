"""Packing: all columns of a cell in few plaintexts, each count in a slot of its own.

A slot is read as value + offset, which is never negative; its bits are computed from public bounds
so that neither counts nor noise can reach the next slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.errors import PlanError, ProtocolError

_MAX_SLOT_BITS = 62
"""Published values are int64."""
FREE_BITS = 64
"""Bits of n that stay free above the last slot: what is opened of garbage, which is uniform modulo
n, has zeros there with a chance of 2^-64."""
WRAP_BITS = 99
"""Bits of every n above B (`Packing.sum_modulus`) where there are several column parties: what is
under a mask of `sum_masks` wraps around n with a chance below 2^-64 over the whole release."""
SUM_FREE_BITS = FREE_BITS + WRAP_BITS
"""Bits of n that stay free where there are several column parties."""


@dataclass(frozen=True)
class Packing:
    """The layout: slot s is in block s // per_block, at bit slot_bits * (s % per_block)."""

    slots: int
    slot_bits: int
    per_block: int
    blocks: int
    offset: int
    """Added to every slot of what is opened, so that negative values can be told."""

    @property
    def sum_modulus(self) -> mpz:
        """B: what several column parties open is summed up modulo this power of two.

        It is `FREE_BITS` bits above the slots of a block, so that a sum to which somebody adds
        garbage is refused like what is opened of garbage under one key.
        """
        return mpz(1) << (self.slot_bits * self.per_block + FREE_BITS)

    def one_hot_table(self) -> list[list[mpz]]:
        """The plaintext in each block of a flag of each slot: 2^(b*place) or 0."""
        return [
            [
                mpz(1) << (self.slot_bits * (slot % self.per_block))
                if slot // self.per_block == block
                else mpz(0)
                for slot in range(self.slots)
            ]
            for block in range(self.blocks)
        ]

    def pack(self, values: NDArray[np.int64]) -> list[mpz]:
        """Plaintexts of (N, slots) values, N*blocks of them, with the offset added.

        Raises:
            ValueError: a value plus the offset does not fit its slot.
        """
        shifted = values + self.offset
        if shifted.size and (shifted.min() < 0 or int(shifted.max()) >> self.slot_bits):
            raise ValueError("a value does not fit its slot")
        padded = np.pad(shifted, ((0, 0), (0, self.blocks * self.per_block - self.slots)))
        return [
            gmpy2.pack(block, self.slot_bits)
            for block in padded.reshape(-1, self.per_block).tolist()
        ]

    def unpack(self, plaintexts: Sequence[mpz]) -> NDArray[np.int64]:
        """Reverse `pack`: (N, slots) values of N*blocks plaintexts.

        Raises:
            ProtocolError: a plaintext is larger than any packed one, or has something beyond the
                last slot.
        """
        width = self.slot_bits * self.per_block
        if any(plaintext.bit_length() > width for plaintext in plaintexts):
            raise ProtocolError(
                "a decrypted number is larger than any packed one: "
                "wrong key, or not a table of ours"
            )
        top = mpz(1) << width
        # A bit above the top keeps gmpy2.unpack from leaving out leading zero slots.
        slots = [
            gmpy2.unpack(plaintext | top, self.slot_bits)[: self.per_block]
            for plaintext in plaintexts
        ]
        table = np.array(slots, np.int64).reshape(-1, self.blocks * self.per_block)
        if table[:, self.slots :].any():
            raise ProtocolError(
                "a decrypted number has values beyond the last slot: "
                "wrong key, or not a table of ours"
            )
        return table[:, : self.slots] - self.offset

    def unpack_signed(self, numbers: Sequence[mpz], n: mpz) -> NDArray[np.int64]:
        """Values of sums modulo n, or modulo B, in which no offset was added to the slots.

        Args:
            numbers: N*blocks in [0, n), as they are when the mask has been taken off: sums of
                values times 2^(b*place), of which negative ones have wrapped around n.
            n: the modulus, of a key or `sum_modulus`.

        Returns:
            (N, slots) values.

        Raises:
            ProtocolError: a number is none that values within their slots can make.
        """
        if any(not 0 <= number < n for number in numbers):
            raise ProtocolError("a decrypted number is not reduced modulo n")
        offsets = self.pack(np.zeros((1, self.slots), np.int64))
        return self.unpack([(v + offsets[i % self.blocks]) % n for i, v in enumerate(numbers)])


def plan_packing(
    *,
    slots: int,
    max_value: int,
    noise_tail: int,
    key_bits: int,
    slot_bits: int | None = None,
    free_bits: int = FREE_BITS,
) -> Packing:
    """Choose the layout.

    Args:
        slots: columns of the table.
        max_value: public upper bound of a count or a sum in one slot.
        noise_tail: size that noise exceeds with negligible probability.
        key_bits: size of n; plaintexts stay below 2^(key_bits - 1 - free_bits).
        slot_bits: forces the bits of a slot.
        free_bits: bits of n that stay free above the slots; `SUM_FREE_BITS` where there are several
            column parties.

    Raises:
        PlanError: counts could overflow a slot, or a slot cannot be made large enough.
    """
    needed = (max_value + 2 * noise_tail).bit_length()
    remedy = "Lower study.bounds (persons, rows, boardings), or raise privacy.epsilon"
    if needed > _MAX_SLOT_BITS:
        raise PlanError(
            f"a count needs {needed} bits, more than {_MAX_SLOT_BITS}",
            key="study.bounds",
            remedy=remedy,
        )
    if slot_bits is not None and not needed <= slot_bits <= _MAX_SLOT_BITS:
        raise PlanError(
            f"counts could overflow a slot of {slot_bits} bits: "
            f"the bounds and the noise need {needed}",
            key="crypto.slot_bits",
            remedy=f"{remedy}, or leave crypto.slot_bits to the planner",
        )
    bits = slot_bits or max(1, needed)
    blocks = -(-slots // ((key_bits - 1 - free_bits) // bits))
    return Packing(
        slots=slots, slot_bits=bits, per_block=-(-slots // blocks), blocks=blocks, offset=noise_tail
    )
