"""Packing: all columns of a cell in few plaintexts, each count in a slot of its own.

A slot holds a count and above it, where the study has measures, a sum for each of them. Each of
these is read as value + offset, which is never negative; its bits are computed from public bounds
so that neither values nor noise can reach the next one.

Tables of values have a column for each count, then one for each sum of the first measure, and so
on. A negative sum borrows from all that is above it in the plaintext, which is a number modulo n:
the offsets, which are added when it is opened, give back what was borrowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

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


class SumExtent(NamedTuple):
    """How large the sums of a measure can become."""

    name: str
    """The measure, for messages."""
    most: int
    """Public upper bound of a sum, and of its negative."""
    noise_tail: int
    """Size that noise exceeds with negligible probability."""


class SumSlot(NamedTuple):
    """The room of a sum in a slot."""

    bits: int
    offset: int


@dataclass(frozen=True)
class Packing:
    """The layout: slot s is in block s // per_block, at bit width * (s % per_block)."""

    slots: int
    slot_bits: int
    """Bits of a count, the lowest of its slot."""
    per_block: int
    blocks: int
    offset: int
    """Added to every count of what is opened, so that negative values can be told."""
    sums: tuple[SumSlot, ...] = ()
    """The sums above the count, by measure."""

    @property
    def width(self) -> int:
        """Bits of a slot."""
        return self.slot_bits + sum(room.bits for room in self.sums)

    @property
    def columns(self) -> int:
        """Values of a node: its counts and its sums."""
        return self.slots * (1 + len(self.sums))

    @property
    def rooms(self) -> list[tuple[slice, int, SumSlot]]:
        """Of the count and of every measure: its columns, its bit in a slot, and its room."""
        rooms = (SumSlot(self.slot_bits, self.offset), *self.sums)
        bits = accumulate((room.bits for room in rooms), initial=0)
        columns = (slice(self.slots * i, self.slots * (i + 1)) for i in range(len(rooms)))
        return list(zip(columns, bits, rooms, strict=False))

    @property
    def sum_modulus(self) -> mpz:
        """B: what several column parties open is summed up modulo this power of two.

        It is `FREE_BITS` bits above the slots of a block, so that a sum to which somebody adds
        garbage is refused like what is opened of garbage under one key.
        """
        return mpz(1) << (self.width * self.per_block + FREE_BITS)

    def one_hot_table(self) -> list[list[mpz]]:
        """The count of a flag of each slot in each block: 2^(width place) or 0."""
        return [
            [
                mpz(1) << (self.width * (slot % self.per_block))
                if slot // self.per_block == block
                else mpz(0)
                for slot in range(self.slots)
            ]
            for block in range(self.blocks)
        ]

    def encode_flags(
        self, slot: NDArray[np.int64], values: NDArray[np.int64], n: mpz
    ) -> list[tuple[list[mpz], NDArray[np.int64]]]:
        """Plaintexts of flags: 2^(width place), and each value at the place of its sum.

        Args:
            slot: (N,) slots; one behind the last, of a dummy, encrypts zero.
            values: (N, measures) values less the middle of their bounds.
            n: the modulus, around which negative plaintexts wrap.

        Returns:
            For each block a table of plaintexts in [0, n), and (N,) places in it.
        """
        if not self.sums:
            return [([*table, mpz(0)], slot) for table in self.one_hot_table()]
        ones = [
            [mpz(1) << self.width * place + at for place in range(self.per_block)]
            for _, at, _ in self.rooms
        ]
        encoded = []
        for block in range(self.blocks):
            place = slot - block * self.per_block
            inside = np.flatnonzero((place >= 0) & (place < self.per_block) & (slot < self.slots))
            places = place[inside].tolist()
            table = [ones[0][at] for at in places]
            for one, of_measure in zip(ones[1:], values[inside].T.tolist(), strict=True):
                table = [
                    sum_ + value * one[at]
                    for sum_, value, at in zip(table, of_measure, places, strict=True)
                ]
            index = np.full(len(slot), len(table))
            index[inside] = np.arange(len(inside))
            encoded.append(([m if m >= 0 else m + n for m in table] + [mpz(0)], index))
        return encoded

    def pack(self, values: NDArray[np.int64]) -> list[mpz]:
        """Plaintexts of (N, columns) values, N*blocks of them, with the offsets added.

        Raises:
            ValueError: a value plus its offset does not fit its room.
        """
        plaintexts = [mpz(0)] * (len(values) * self.blocks)
        for columns, at, room in self.rooms:
            shifted = values[:, columns] + room.offset
            if shifted.size and (shifted.min() < 0 or int(shifted.max()) >> room.bits):
                raise ValueError("a value does not fit its slot")
            parts = self.spread(shifted)
            plaintexts = [
                whole + (part << at) for whole, part in zip(plaintexts, parts, strict=True)
            ]
        return plaintexts

    def spread(self, values: NDArray[np.int64]) -> list[mpz]:
        """Numbers of (N, slots) values that are not negative, one at the lowest bit of each slot.

        N*blocks of them; the values are below 2^width.
        """
        padded = np.pad(values, ((0, 0), (0, self.blocks * self.per_block - self.slots)))
        blocks = padded.reshape(-1, self.per_block)
        return [gmpy2.pack(block, self.width) for block in blocks.tolist()]

    def unpack(self, plaintexts: Sequence[mpz]) -> NDArray[np.int64]:
        """Reverse `pack`: (N, columns) values of N*blocks plaintexts.

        Raises:
            ProtocolError: a plaintext is larger than any packed one, or has something beyond the
                last slot.
        """
        width = self.width * self.per_block
        if any(plaintext.bit_length() > width for plaintext in plaintexts):
            raise ProtocolError(
                "a decrypted number is larger than any packed one: "
                "wrong key, or not a table of ours"
            )
        return np.concatenate(
            [self._read(plaintexts, at, room) for _, at, room in self.rooms], axis=1
        )

    def _read(self, plaintexts: Sequence[mpz], at: int, room: SumSlot) -> NDArray[np.int64]:
        """(N, slots) counts, or sums of a measure."""
        whole = gmpy2.pack([(1 << room.bits) - 1] * self.per_block, self.width)
        # A bit above the top keeps gmpy2.unpack from leaving out leading zero slots.
        top = mpz(1) << self.width * self.per_block
        slots = [
            gmpy2.unpack(plaintext >> at & whole | top, self.width)[: self.per_block]
            for plaintext in plaintexts
        ]
        table = np.array(slots, np.int64).reshape(-1, self.blocks * self.per_block)
        if table[:, self.slots :].any():
            raise ProtocolError(
                "a decrypted number has values beyond the last slot: "
                "wrong key, or not a table of ours"
            )
        return table[:, : self.slots] - room.offset

    def unpack_signed(self, numbers: Sequence[mpz], n: mpz) -> NDArray[np.int64]:
        """Values of sums modulo n, or modulo B, in which no offset was added to the slots.

        Args:
            numbers: N*blocks in [0, n), as they are when the mask has been taken off: sums of
                values times 2^(their bit), of which negative ones have wrapped around n.
            n: the modulus, of a key or `sum_modulus`.

        Returns:
            (N, columns) values.

        Raises:
            ProtocolError: a number is none that values within their slots can make.
        """
        if any(not 0 <= number < n for number in numbers):
            raise ProtocolError("a decrypted number is not reduced modulo n")
        offsets = self.pack(np.zeros((1, self.columns), np.int64))
        return self.unpack([(v + offsets[i % self.blocks]) % n for i, v in enumerate(numbers)])


def plan_packing(
    *,
    slots: int,
    max_value: int,
    noise_tail: int,
    key_bits: int,
    slot_bits: int | None = None,
    free_bits: int = FREE_BITS,
    sums: Sequence[SumExtent] = (),
) -> Packing:
    """Choose the layout.

    Args:
        slots: columns of the table.
        max_value: public upper bound of a count, or of a sum of counts, in one slot.
        noise_tail: size that noise exceeds with negligible probability.
        key_bits: size of n; plaintexts stay below 2^(key_bits - 1 - free_bits).
        slot_bits: forces the bits of a count.
        free_bits: bits of n that stay free above the slots; `SUM_FREE_BITS` where there are several
            column parties.
        sums: of every measure.

    Raises:
        PlanError: counts could overflow a slot, or a slot cannot be made large enough.
    """
    bits = _count_bits((max_value + 2 * noise_tail).bit_length(), slot_bits)
    rooms = tuple(_room(extent) for extent in sums)
    width = bits + sum(room.bits for room in rooms)
    blocks = -(-slots // ((key_bits - 1 - free_bits) // width))
    return Packing(
        slots=slots,
        slot_bits=bits,
        per_block=-(-slots // blocks),
        blocks=blocks,
        offset=noise_tail,
        sums=rooms,
    )


def _count_bits(needed: int, slot_bits: int | None) -> int:
    """Choose the bits of a count.

    Raises:
        PlanError: see `plan_packing`.
    """
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
    return slot_bits or max(1, needed)


def _room(extent: SumExtent) -> SumSlot:
    """Make room for sums of a measure, negative ones among them.

    Raises:
        PlanError: they cannot be told within 64 bits.
    """
    offset = extent.most + extent.noise_tail
    bits = (2 * offset).bit_length()
    if bits > _MAX_SLOT_BITS:
        raise PlanError(
            f"a sum of {extent.name} needs {bits} bits, more than {_MAX_SLOT_BITS}",
            key="study.column.measures",
            remedy="Narrow its low and high, give it in a larger unit, or lower study.bounds",
        )
    return SumSlot(bits, offset)
