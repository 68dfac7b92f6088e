from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.noise.drawing import Drawing, integers, plan_of
from xstat_ray.crypto.packing import Packing
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.shares import narrow, pack_shares


def packing(slots: int, slot_bits: int, per_block: int, offset: int = 0) -> Packing:
    """Lay out slots in blocks."""
    return Packing(slots, slot_bits, per_block, -(-slots // per_block), offset)


def summed(values, layout):
    """The numbers by Python's integers: (N, slots) to N * blocks."""
    numbers = []
    for row in values.tolist():
        for start in range(0, layout.blocks * layout.per_block, layout.per_block):
            block = row[start : start + layout.per_block]
            numbers.append(sum(int(v) << layout.slot_bits * i for i, v in enumerate(block)))
    return numbers


@given(
    st.integers(1, 9).flatmap(
        lambda slots: st.tuples(
            st.just(slots),
            st.lists(
                st.lists(st.integers(-(2**92), 2**92 - 1), min_size=slots, max_size=slots),
                max_size=3,
            ),
        )
    ),
    st.integers(1, 62),
    st.integers(1, 9),
)
def test_numbers_are_the_sums_of_wide_shares(table, slot_bits, per_block):
    slots, rows = table
    layout = packing(slots, slot_bits, per_block)
    values = np.array(rows, object).reshape(-1, slots)
    limbs = np.stack([(values & 0xFFFFFFFF).astype(np.int64), (values >> 32).astype(np.int64)])
    assert pack_shares(limbs, layout) == summed(values, layout)


@pytest.mark.parametrize("low", [-(2**62), -1, 0, 2**62])
@pytest.mark.parametrize("high", [-(2**60), -1, 0, 2**60])
def test_limbs_need_not_be_carried(low, high):
    layout = packing(2, 21, 2)
    limbs = np.full((2, 1, 2), low, np.int64)
    limbs[1] = high
    assert pack_shares(limbs, layout) == summed(integers(limbs), layout)


def test_numbers_of_both_parties_add_up_to_the_packed_noise():
    drawing = Drawing(plan_of(Coins.of_scale(24.0), rows=6, slots=11))
    layout = packing(11, 21, 4, offset=1 << 15)
    row = pack_shares(drawing.row.share, layout)
    column = pack_shares(drawing.column.share, layout)
    counts = np.arange(66).reshape(6, 11)
    plain = layout.pack(counts)
    n = (1 << 500) + 7
    opened = [(p + r + c) % n for p, r, c in zip(plain, row, column, strict=True)]
    assert (layout.unpack(opened) == counts + drawing.noise).all()
    # A share alone covers the whole number.
    assert max(abs(number).bit_length() for number in row) > 21 * 4


def test_a_narrow_share_is_its_values():
    values = np.array([[5, -7, 0], [1 << 40, -(1 << 40), 3]])
    layout = packing(3, 50, 3)
    assert pack_shares(narrow(values), layout) == summed(values, layout)


def test_other_slots_and_larger_limbs_are_refused():
    layout = packing(3, 20, 3)
    with pytest.raises(ValueError, match="another number of slots"):
        pack_shares(np.zeros((2, 1, 4), np.int64), layout)
    with pytest.raises(ValueError, match="limbs that are too large"):
        pack_shares(np.full((2, 1, 3), 1 << 61, np.int64), layout)
