"""What the C functions refuse: whatever would touch memory that is not theirs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Call = Callable[[str, int, Any], None]


def calls() -> Iterator[tuple[str, list[Any]]]:
    """A valid call of every function, three rows, and 40 limbs where there are limbs."""
    limbs = 40
    base = np.zeros(40, np.uint64)
    modulus = np.ones((5, 40), np.uint64)
    table = np.zeros((8, 16, 40), np.uint64)
    exponents_ = np.zeros((3, 4), np.uint8)
    index = np.arange(3)
    yield "make_table", [limbs, 4, table, base, modulus]
    half = [modulus, table, exponents_]
    small, wide, huge = (np.zeros((3, width), np.uint8) for width in (128, 256, 512))
    yield "encrypt_public", [limbs, 4, False, wide, small, index, *half]
    yield "encrypt_owner", [limbs, 4, False, huge, wide.copy(), index, *half, *half, base]
    edges = np.arange(4)
    order = np.arange(3)
    yield (
        "accumulate",
        [limbs, wide.copy(), wide, index, edges, order, modulus, np.zeros((3, 40), np.uint64)],
    )
    yield "power", [limbs, wide, huge, b"\1", modulus]
    constants = np.ones((6, 40), np.uint64)
    four = np.zeros((8, 16, 80), np.uint32)
    yield "four_table", [limbs, 4, four.copy(), np.zeros((2, 40), np.uint64), constants]
    part = [constants, four, exponents_]
    joint = np.zeros((4, 40), np.uint64)
    yield "four_encrypt", [limbs, 4, False, huge.copy(), wide.copy(), index, *part, *part, joint]
    items = np.zeros((3, 16), np.uint8)
    columns = np.zeros((8, 2), np.uint64)
    yield "oprf_mark", [columns.copy(), bytes(16), items, 65, 8]
    yield "oprf_rows", [np.zeros((3, 1), np.uint8), bytes(16), items, columns, 65]
    yield "oprf_pad", [columns[:3].copy(), items, 5]
    texts = np.zeros((3, 13), np.uint8)
    yield "sha512", [1, items.copy(), b"prefix", texts, np.array([0, 5, 13])]


CALLS = dict(calls())
ARRAYS = [
    (name, i)
    for name, args in CALLS.items()
    for i, arg in enumerate(args)
    if isinstance(arg, np.ndarray)
]


@pytest.fixture(scope="module")
def call(native: ModuleType) -> Call:
    """Call a function by its name, validly but for the argument at one place."""

    def with_argument(name: str, place: int, value: Any) -> None:
        arguments = list(CALLS[name])
        arguments[place] = value
        getattr(native, name)(*arguments)

    return with_argument


@pytest.mark.parametrize("name", CALLS)
def test_the_valid_calls_are_valid(call: Call, native: ModuleType, name: str) -> None:
    getattr(native, name)(*CALLS[name])
    for place, argument in enumerate(CALLS[name]):
        call(name, place, argument)


@pytest.mark.parametrize(("name", "place"), ARRAYS)
def test_buffers_of_another_size_are_refused(call: Call, name: str, place: int) -> None:
    data = CALLS[name][place].tobytes()
    for wrong in (data[:-1], data + b"\0", data[: len(data) // 2 + 1], b"\0"):
        with pytest.raises(ValueError):
            call(name, place, bytearray(wrong))


@pytest.mark.parametrize(("name", "place"), ARRAYS)
def test_buffers_that_are_not_whole_are_refused(call: Call, name: str, place: int) -> None:
    array = CALLS[name][place]
    holes = np.repeat(array, 2, axis=0)[::2]
    released = memoryview(array.tobytes())
    released.release()
    for wrong in (
        holes,
        np.asfortranarray(np.stack([array.ravel()] * 2))[:1],
        released,
        None,
        [1, 2],
        "text",
    ):
        with pytest.raises((ValueError, TypeError, BufferError)):
            call(name, place, wrong)


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name, place in ARRAYS if CALLS[name][place].dtype != np.uint8],
)
def test_numbers_must_be_aligned(call: Call, name: str, place: int) -> None:
    data = CALLS[name][place].tobytes()
    for shift in (1, 4):
        memory = np.zeros(len(data) + 8 + 64, np.uint8)
        start = -memory.ctypes.data % 64 + shift
        with pytest.raises(ValueError, match="aligned"):
            call(name, place, memory[start : start + len(data)])


def test_results_are_not_written_to_protected_memory(call: Call) -> None:
    for name, place in (
        ("make_table", 2),
        ("encrypt_public", 3),
        ("encrypt_owner", 3),
        ("accumulate", 1),
        ("power", 1),
        ("four_table", 2),
        ("four_encrypt", 3),
        ("oprf_mark", 0),
        ("oprf_rows", 0),
        ("oprf_pad", 0),
        ("sha512", 1),
    ):
        with pytest.raises((TypeError, BufferError, ValueError)):
            call(name, place, CALLS[name][place].tobytes())


@pytest.mark.parametrize("limbs", [0, -1, 39, 41, 52, 2**30])
def test_other_sizes_are_refused(call: Call, limbs: int) -> None:
    for name in (name for name in CALLS if not name.startswith("oprf")):
        with pytest.raises(ValueError):
            call(name, 0, limbs)


@pytest.mark.parametrize("digit_bits", [0, 5, 6, 17, 63, 2**31])
def test_digits_that_do_not_fit_the_table_are_refused(call: Call, digit_bits: int) -> None:
    for name in ("make_table", "encrypt_public", "encrypt_owner", "four_table", "four_encrypt"):
        if not name.endswith("_table") or digit_bits not in (5, 6):
            with pytest.raises(ValueError):
                call(name, 1, digit_bits)


@pytest.mark.parametrize("wrong", [[0, 1, 3], [-1, 0, 0], [2**62, 0, 0], [0, 0, -(2**63)]])
def test_rows_that_do_not_exist_are_refused(call: Call, wrong: list[int]) -> None:
    for name, place in (
        ("encrypt_public", 5),
        ("encrypt_owner", 5),
        ("four_encrypt", 5),
        ("accumulate", 3),
        ("accumulate", 5),
    ):
        with pytest.raises(ValueError, match="out of range"):
            call(name, place, np.array(wrong))


@pytest.mark.parametrize(
    "edges", [[0, 0, 1, 3], [0, 2, 1, 3], [1, 2, 3, 3], [0, 1, 2, 4], [0, 1, 2, 2], [-1, 1, 2, 3]]
)
def test_segments_that_are_empty_or_outside_are_refused(call: Call, edges: list[int]) -> None:
    with pytest.raises(ValueError, match="segment"):
        call("accumulate", 4, np.array(edges))


def test_segments_longer_than_the_powers_of_r_are_refused(native: ModuleType) -> None:
    arguments = list(CALLS["accumulate"])
    arguments[3:6] = np.array([0, 1, 2]), np.array([0, 3]), np.array([0])
    arguments[1] = arguments[1][:1].copy()
    with pytest.raises(ValueError, match="segment"):
        native.accumulate(*arguments)


def test_an_empty_exponent_is_refused(call: Call) -> None:
    with pytest.raises(ValueError, match="empty"):
        call("power", 3, b"")


def test_other_keys_capacities_and_columns_are_refused(call: Call) -> None:
    for name, capacity in (("oprf_mark", 3), ("oprf_rows", 4)):
        for key in (bytes(15), bytes(17), b""):
            with pytest.raises(ValueError, match="key"):
                call(name, 1, key)
        for wrong in (0, 129, 2**32 - 1):
            with pytest.raises(ValueError):
                call(name, capacity, wrong)
    with pytest.raises(ValueError, match="eights"):
        call("oprf_mark", 4, 4)
    with pytest.raises(ValueError, match="eights"):
        call("oprf_mark", 0, np.zeros((4, 2), np.uint64))


def test_refused_calls_let_go_of_their_buffers(call: Call) -> None:
    memory = bytearray(CALLS["power"][2].tobytes() + b"\0")
    with pytest.raises(ValueError):
        call("power", 2, memory)
    gc.collect()
    memory.extend(b"may grow again")
