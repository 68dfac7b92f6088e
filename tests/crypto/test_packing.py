from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.crypto.packing import FREE_BITS, Packing, SumExtent, SumSlot, plan_packing
from xstat_ray.errors import PlanError, ProtocolError

PATH = Path(__file__).parents[1] / "vectors"
VECTORS = json.loads((PATH / "packing.json").read_text())
INT64 = np.iinfo(np.int64)


def table(rows: list[list[int]], layout: Packing) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, layout.slots)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Packing, int, int]:
    tail = draw(st.integers(0, 2**60) | st.integers(0, 100))
    largest = draw(st.integers(0, 2**62 - 1 - 2 * tail) | st.integers(0, 100))
    key_bits = draw(st.sampled_from([2048, 3072, 4096]))
    layout = plan_packing(
        slots=draw(st.integers(1, 100)), max_value=largest, noise_tail=tail, key_bits=key_bits
    )
    assert layout.per_block * layout.slot_bits <= key_bits - 1 - FREE_BITS
    assert layout.blocks * layout.per_block >= layout.slots > (layout.blocks - 1) * layout.per_block
    return layout, largest, tail


def test_the_vector_file_is_complete() -> None:
    assert len(VECTORS["good"]) >= 12
    assert {case["layout"]["blocks"] for case in VECTORS["good"]} >= {1, 2, 3}
    assert sum(len(cases) for cases in VECTORS["bad"].values()) >= 14
    assert runpy.run_path(str(PATH / "make_packing.py"))["vectors"]() == VECTORS


@pytest.mark.parametrize("case", VECTORS["good"], ids=lambda case: str(case["plan"]))
def test_layouts_and_plaintexts_are_those_of_the_vectors(case: dict[str, object]) -> None:
    layout = plan_packing(**case["plan"])
    assert layout == Packing(**case["layout"])
    assert layout.per_block * layout.slot_bits <= case["plan"]["key_bits"] - 65
    for one in case["tables"]:
        plaintexts = [mpz(text, 16) for text in one["plaintexts"]]
        assert layout.pack(table([one["values"]], layout)) == plaintexts
        assert layout.unpack(plaintexts).tolist() == [one["values"]]
    rows = table([one["values"] for one in case["tables"]], layout)
    assert layout.pack(rows) == [
        mpz(text, 16) for one in case["tables"] for text in one["plaintexts"]
    ]


@pytest.mark.parametrize("case", VECTORS["bad"]["plans"], ids=lambda case: case["why"])
def test_a_plan_that_does_not_fit_is_refused(case: dict[str, object]) -> None:
    problem = (
        "could overflow a slot" if case["key"] == "crypto.slot_bits" else "a count needs 63 bits"
    )
    with pytest.raises(PlanError, match=rf"{problem}.*Lower study\.bounds") as caught:
        plan_packing(**case["plan"])
    assert caught.value.key == case["key"]
    assert case["key"] in str(caught.value)


@pytest.mark.parametrize("case", VECTORS["bad"]["values"], ids=lambda case: case["why"])
def test_values_that_do_not_fit_are_refused(case: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="does not fit its slot"):
        Packing(**case["layout"]).pack(np.array([[0, 0], case["values"]], np.int64))


@pytest.mark.parametrize("case", VECTORS["bad"]["plaintexts"], ids=lambda case: case["why"])
def test_plaintexts_that_are_too_large_are_refused(case: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="larger than any packed one"):
        Packing(**case["layout"]).unpack([mpz(text, 16) for text in case["plaintexts"]])


@given(plans(), st.data())
def test_values_come_back(plan: tuple[Packing, int, int], data: st.DataObject) -> None:
    layout, largest, tail = plan
    value = st.integers(-tail, largest + tail) | st.sampled_from([-tail, 0, largest + tail])
    row = st.lists(value, min_size=layout.slots, max_size=layout.slots)
    values = table(data.draw(st.lists(row, max_size=3)), layout)
    plaintexts = layout.pack(values)
    assert len(plaintexts) == len(values) * layout.blocks
    unpacked = layout.unpack(plaintexts)
    assert unpacked.dtype == np.int64
    assert np.array_equal(unpacked, values)


@given(plans(), st.data())
def test_an_extreme_in_one_slot_does_not_disturb_the_others(
    plan: tuple[Packing, int, int], data: st.DataObject
) -> None:
    layout, largest, tail = plan
    values = np.zeros((1, layout.slots), np.int64)
    for slot in {
        0,
        layout.per_block - 1,
        min(layout.per_block, layout.slots - 1),
        layout.slots - 1,
    }:
        for extreme in (largest + tail, -tail):
            values[0, slot] = extreme
            assert np.array_equal(layout.unpack(layout.pack(values)), values)
        values[0, slot] = data.draw(st.sampled_from([largest + tail, -tail, 0]))


@pytest.mark.parametrize(
    ("slots", "slot_bits"), [(5, None), (70, 62), (140, 40)], ids=["1 block", "3 blocks", "3 of 47"]
)
def test_sums_of_flags_and_noise_give_the_noisy_counts(slots: int, slot_bits: int | None) -> None:
    layout = plan_packing(
        slots=slots, max_value=40, noise_tail=25, key_bits=2048, slot_bits=slot_bits
    )
    rng = np.random.default_rng(slots)
    flags = rng.integers(0, slots, 40)
    noise = rng.integers(-25, 26, slots)
    one_hot = layout.one_hot_table()
    assert [len(block) for block in one_hot] == [slots] * layout.blocks
    sums = [sum(block[slot] for slot in flags) for block in one_hot]
    noisy = [a + b for a, b in zip(sums, layout.pack(noise[None]), strict=True)]
    assert layout.unpack(noisy).tolist() == [(np.bincount(flags, minlength=slots) + noise).tolist()]


@pytest.mark.parametrize("largest", [1, 40, 2**30])
@pytest.mark.parametrize("tail", [0, 1, 25, 2**20])
def test_sums_at_the_limits_stay_in_their_slots(largest: int, tail: int) -> None:
    layout = plan_packing(slots=90, max_value=largest, noise_tail=tail, key_bits=2048)
    one_hot = layout.one_hot_table()
    for slot in (0, 1, layout.per_block - 1, 89):
        for sign in (1, -1):
            noise = np.full((1, 90), -sign * tail)
            noise[0, slot] = sign * tail
            count = largest if sign == 1 else 0
            noisy = [
                largest_of + count * block[slot]
                for largest_of, block in zip(layout.pack(noise), one_hot, strict=True)
            ]
            noise[0, slot] += count
            assert np.array_equal(layout.unpack(noisy), noise)


def test_flags_are_single_bits() -> None:
    layout = Packing(slots=5, slot_bits=3, per_block=2, blocks=3, offset=1)
    assert layout.one_hot_table() == [[1, 8, 0, 0, 0], [0, 0, 1, 8, 0], [0, 0, 0, 0, 1]]


def test_plaintexts_of_half_a_table_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        Packing(slots=5, slot_bits=3, per_block=2, blocks=3, offset=1).unpack([mpz(0)] * 4)


def test_values_in_the_slots_that_pad_the_last_block_are_refused() -> None:
    layout = Packing(slots=5, slot_bits=8, per_block=2, blocks=3, offset=1)
    plaintexts = layout.pack(np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]))
    plaintexts[5] += mpz(1) << 8
    with pytest.raises(ProtocolError, match="beyond the last slot"):
        layout.unpack(plaintexts)


# What comes out of an opening: signed values, summed modulo n, without the offset

N = (mpz(3) << 2046) + 9


def signed(values: np.ndarray, layout: Packing) -> list[mpz]:
    """Values times 2^(b*place), block after block, modulo n."""
    numbers = []
    for row in values.tolist():
        for block in range(layout.blocks):
            part = row[block * layout.per_block : (block + 1) * layout.per_block]
            whole = sum(value << layout.slot_bits * place for place, value in enumerate(part))
            numbers.append(whole % N)
    return numbers


@given(plans(), st.data())
def test_signed_values_come_back(plan: tuple[Packing, int, int], data: st.DataObject) -> None:
    layout, largest, tail = plan
    if layout.per_block * layout.slot_bits > 2048 - 1 - FREE_BITS:
        layout = plan_packing(slots=20, max_value=largest, noise_tail=tail, key_bits=2048)
    value = st.integers(-tail, largest + tail) | st.sampled_from([-tail, 0, largest + tail])
    row = st.lists(value, min_size=layout.slots, max_size=layout.slots)
    values = table(data.draw(st.lists(row, max_size=3)), layout)
    unpacked = layout.unpack_signed(signed(values, layout), N)
    assert unpacked.dtype == np.int64
    assert np.array_equal(unpacked, values)


def test_shares_that_sum_to_the_noise_need_no_room_of_their_own() -> None:
    """Each share wraps in its slots and around n; only what they sum to must fit."""
    layout = plan_packing(slots=70, max_value=40, noise_tail=25, key_bits=2048, slot_bits=60)
    assert layout.blocks == 3
    rng = np.random.default_rng(3)
    noise = rng.integers(-25, 66, (4, 70))
    share = rng.integers(-(2**62), 2**62, (4, 70))
    summed = [
        (a + b) % N
        for a, b in zip(signed(share, layout), signed(noise - share, layout), strict=True)
    ]
    assert np.array_equal(layout.unpack_signed(summed, N), noise)


@pytest.mark.parametrize(
    ("slots", "slot_bits"), [(1, None), (5, None), (100, 31)], ids=["1 slot", "5", "2 blocks"]
)
def test_values_just_outside_their_slots_are_refused(slots: int, slot_bits: int | None) -> None:
    layout = plan_packing(
        slots=slots, max_value=42, noise_tail=25, key_bits=2048, slot_bits=slot_bits
    )
    assert layout.slot_bits == (slot_bits or 7)
    values = np.zeros((2, slots), np.int64)
    lowest = layout.unpack_signed(signed(values - 25, layout), N)
    assert np.array_equal(lowest, values - 25)
    # The lowest block ends with the slot at place per_block - 1; beyond it nothing may stand.
    last = min(layout.per_block, slots) - 1
    for wrong in (-26, (1 << layout.slot_bits) - 25):
        values[1, last] = wrong
        with pytest.raises(ProtocolError, match="larger than any packed one"):
            layout.unpack_signed(signed(values, layout), N)
    values[1, last] = (1 << layout.slot_bits) - 26
    assert np.array_equal(layout.unpack_signed(signed(values, layout), N), values)


def test_garbage_is_refused() -> None:
    """Of 3,000 numbers uniform modulo n none has zeros in 64 bits and more above the slots."""
    layout = plan_packing(slots=66, max_value=2**29, noise_tail=2**20, key_bits=2048)
    assert layout.per_block * layout.slot_bits == 2048 - 68
    data = np.random.default_rng(4)
    for _ in range(3000):
        number = mpz.from_bytes(data.bytes(300), "little") % N
        with pytest.raises(ProtocolError, match="larger than any packed one"):
            layout.unpack_signed([number], N)


@pytest.mark.parametrize("number", [mpz(-1), N, N + 5])
def test_numbers_that_are_not_reduced_are_refused(number: mpz) -> None:
    layout = Packing(slots=5, slot_bits=8, per_block=2, blocks=3, offset=1)
    with pytest.raises(ProtocolError, match="not reduced"):
        layout.unpack_signed([mpz(0), mpz(0), number], N)


def test_signed_values_beyond_the_last_slot_are_refused() -> None:
    layout = Packing(slots=5, slot_bits=8, per_block=2, blocks=3, offset=1)
    numbers = signed(np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]), layout)
    numbers[5] += mpz(1) << 8
    with pytest.raises(ProtocolError, match="beyond the last slot"):
        layout.unpack_signed(numbers, N)


# Sums of measures above the counts


@st.composite
def plans_with_sums(draw: st.DrawFn) -> tuple[Packing, np.ndarray, np.ndarray]:
    """A layout, and the least and largest value of each of its columns."""
    sizes = st.integers(0, 2**30) | st.integers(0, 100) | st.just(0)
    extents = [
        SumExtent(f"m{number}", draw(sizes | st.integers(0, 2**57)), draw(sizes))
        for number in range(draw(st.integers(1, 4)))
    ]
    most = draw(sizes)
    tail = draw(sizes)
    slots = draw(st.integers(1, 30))
    layout = plan_packing(slots=slots, max_value=most, noise_tail=tail, key_bits=2048, sums=extents)
    assert layout.per_block * layout.width <= 2048 - 1 - FREE_BITS
    assert layout.columns == slots * (1 + len(extents))
    low = [-tail, *(-extent.most - extent.noise_tail for extent in extents)]
    high = [most + tail, *(extent.most + extent.noise_tail for extent in extents)]
    return layout, np.repeat(low, slots), np.repeat(high, slots)


def by_definition(values: np.ndarray, layout: Packing) -> list[mpz]:
    """Each value times the power of two of its place, summed over a block, modulo N."""
    kinds = values.reshape(len(values), -1, layout.slots)
    starts = [0, layout.slot_bits]
    for room in layout.sums:
        starts.append(starts[-1] + room.bits)
    numbers = []
    for row in kinds.tolist():
        for block in range(layout.blocks):
            whole = 0
            for start, of_kind in zip(starts, row, strict=False):
                part = of_kind[block * layout.per_block : (block + 1) * layout.per_block]
                for place, value in enumerate(part):
                    whole += value << starts[-1] * place + start
            numbers.append(mpz(whole % N))
    return numbers


@given(plans_with_sums(), st.data())
def test_extreme_counts_and_sums_of_either_sign_come_back(
    plan: tuple[Packing, np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    layout, low, high = plan
    ends = np.stack([low, high, np.zeros_like(low)])
    choice = st.lists(st.integers(0, 2), min_size=layout.columns, max_size=layout.columns)
    chosen = np.array(data.draw(st.lists(choice, min_size=1, max_size=3)))
    values = np.stack([ends[row, np.arange(layout.columns)] for row in chosen])
    assert np.array_equal(layout.unpack_signed(by_definition(values, layout), N), values)
    assert np.array_equal(layout.unpack(layout.pack(values)), values)


@given(plans_with_sums(), st.data())
def test_values_just_outside_their_rooms_are_refused(
    plan: tuple[Packing, np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    layout, _, _ = plan
    values = np.zeros((1, layout.columns), np.int64)
    column = data.draw(st.integers(0, layout.columns - 1))
    rooms = (SumSlot(layout.slot_bits, layout.offset), *layout.sums)
    room = rooms[column // layout.slots]
    for outside in (-room.offset - 1, (1 << room.bits) - room.offset):
        values[0, column] = outside
        with pytest.raises(ValueError, match="does not fit its slot"):
            layout.pack(values)


@given(plans_with_sums(), st.data())
def test_flags_with_values_add_up_to_counts_and_sums(
    plan: tuple[Packing, np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    layout, _, _ = plan
    reach = min(room.offset for room in layout.sums) // 8
    room = (1 << layout.slot_bits) - 1 - layout.offset
    number = data.draw(st.integers(1, min(7, room)))
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    # The last one is a dummy.
    slot = np.append(draw.integers(0, layout.slots, number), layout.slots)
    values = draw.integers(-reach, reach + 1, (number + 1, len(layout.sums)))
    values[-1] = 0
    encoded = layout.encode_flags(slot, values, N)
    sums = [sum((table[place] for place in index), mpz(0)) % N for table, index in encoded]
    wanted = np.zeros((1 + len(layout.sums), layout.slots), np.int64)
    np.add.at(wanted[0], slot[:-1], 1)
    for of_measure, of_flags in zip(wanted[1:], values.T, strict=True):
        np.add.at(of_measure, slot[:-1], of_flags[:-1])
    assert all(0 <= plaintext < N for table, _ in encoded for plaintext in table)
    assert all(table[index[-1]] == 0 for table, index in encoded)
    assert np.array_equal(layout.unpack_signed(sums, N), wanted.reshape(1, -1))


def test_sums_that_do_not_fit_a_whole_number_are_refused() -> None:
    extents = [SumExtent("fare", 2**61, 1)]
    with pytest.raises(PlanError, match="a sum of fare needs 63 bits, more than 62.*larger unit"):
        plan_packing(slots=2, max_value=1, noise_tail=0, key_bits=2048, sums=extents)
