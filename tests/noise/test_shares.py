from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.case import study
from tests.noise.drawing import Drawing, integers, plan_of
from tests.sizes import first, slow, thorough
from xstat_ray.crypto.packing import Packing
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.shares import draw_gaussian_share, narrow, pack_shares
from xstat_ray.privacy.design import Design


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


@thorough
@pytest.mark.parametrize("insiders", first(1, ["full", "shared"], slow))
def test_three_gaussian_shares_have_the_noise_of_the_release_at_every_level(insiders):
    area = {"name": "area", "values": [str(i) for i in range(40)]}
    area["hierarchy"] = {"half": {"low": area["values"][:20], "high": area["values"][20:]}}
    privacy = {"mechanism": "tree", "insiders": insiders}
    design = Design.of_study(study(noise="gaussian", row={"dimensions": [area]}, privacy=privacy))
    slots = 4000
    shares = [draw_gaussian_share(design, slots) for _ in range(3)]
    assert all(share.shape == (43, slots) and share.dtype == np.int64 for share in shares)
    total = sum(shares)
    for level, section in zip(design.levels, design.shown_sections, strict=True):
        # A sample of 4,000 has its spread within 1.2 %, five times that in all but one of a
        # million runs.
        for rows, scale in (
            (total, level.mechanism.stderr),
            (shares[0], level.mechanism.share_scale),
        ):
            assert rows[section].std() == pytest.approx(scale, rel=0.06)
    paired = np.corrcoef(*(share.ravel() for share in shares[:2]))[0, 1]
    assert abs(paired) < 5 / np.sqrt(total.size)
    assert len({level.mechanism.stderr for level in design.levels}) > 1


def test_other_noise_has_no_gaussian_shares():
    with pytest.raises(ValueError, match="only Gaussian noise"):
        draw_gaussian_share(Design.of_study(study(noise="laplace")), 2)
