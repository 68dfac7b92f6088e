"""The kernels with AVX-512 IFMA against the portable ones, to the bit and for fixed randomness.

Opening what was encrypted would prove little: ciphertexts made with a wrong table of powers still
open.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from xstat_ray.crypto.buffers import to_rows
from xstat_ray.crypto.kernels.interface import Half, Kernel, Workload
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.crypto.paillier import SUBGROUP_BITS, PrivateKey

ifma = pytest.importorskip("xstat_ray.crypto.kernels.ifma", exc_type=ImportError)
native = pytest.importorskip("xstat_ray.crypto.kernels._native", exc_type=ImportError)
pytestmark = pytest.mark.skipif(not ifma.available(), reason="this processor has no AVX-512 IFMA")

SIZES = ["private_key", "private_key_3072", "private_key_4096"]
COUNTS = [250, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]


@pytest.fixture(params=SIZES)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    private: PrivateKey = request.getfixturevalue(request.param)
    return private


def random_rows(seed: int, rows: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, width), np.uint8)


def below(bound: int, seed: int, rows: int) -> np.ndarray:
    """The numbers at both ends and in the middle of [0, bound), then random ones."""
    bound, width = int(bound), -(-int(bound).bit_length() // 8)
    edges = [
        0,
        1,
        2,
        bound - 1,
        bound - 2,
        bound // 2,
        bound // 2 + 1,
        1 << (bound.bit_length() - 1),
        2**52,
        2**64 - 1,
    ]
    drawn = [
        int.from_bytes(row.tobytes(), "little") % bound
        for row in random_rows(seed, rows, width + 8)
    ]
    return to_rows([mpz(value % bound) for value in (edges + drawn)[:rows]], width)


def exponents(seed: int, rows: int, bits: int) -> np.ndarray:
    """Random ones, but for some at the start: none, one, all bits, every second bit, the highest alone."""
    drawn = random_rows(seed, rows, bits // 8)
    edges = [0, 1, 2**bits - 1, int("5" * (bits // 4), 16), 1 << (bits - 1), 2**52, 2**8 - 1]
    known = to_rows([mpz(edge) for edge in edges], bits // 8)
    drawn[: len(edges)] = known[:rows]
    return drawn


def owner_of(kernel: Kernel, key: PrivateKey, workload: Workload) -> Any:
    h = key.public.h
    p = Half(key.p, h % key.p2, key.alpha.bit_length())
    return kernel.owner(p, Half(key.q, h % key.q2, key.beta.bit_length()), workload)


def both(work: Callable[[Kernel], np.ndarray]) -> np.ndarray:
    """What both kernels give for the same input."""
    theirs = work(Portable())
    ours = work(ifma.Ifma())
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert np.flatnonzero((ours != theirs).any(axis=1)).tolist() == []
    return ours


@pytest.mark.parametrize("rows", COUNTS)
def test_encryption_by_the_owner(key: PrivateKey, rows: int) -> None:
    bits = SUBGROUP_BITS[key.public.key_bits]
    messages = below(int(key.public.n), 1, 100)
    index = np.random.default_rng(2).integers(0, len(messages), rows)
    by_p = exponents(3, rows, bits)
    by_q = exponents(4, rows, bits)[::-1].copy()
    made = both(
        lambda kernel: owner_of(kernel, key, Workload(rows)).encrypt(messages, index, by_p, by_q)
    )
    assert len(np.unique(made, axis=0)) == rows


@pytest.mark.parametrize("rows", COUNTS)
def test_encryption_by_anyone(key: PrivateKey, rows: int) -> None:
    public = key.public
    bits = 2 * SUBGROUP_BITS[key.public.key_bits] + 64
    messages = below(int(public.n), 5, 100)
    drawn = exponents(6, rows, bits)
    index = np.random.default_rng(7).integers(0, len(messages), rows)
    both(
        lambda kernel: kernel.public(public.n, public.h, bits, Workload(rows)).encrypt(
            messages, index, drawn
        )
    )


@pytest.mark.parametrize("constant_time", [False, True])
@pytest.mark.parametrize("window", range(2, 13))
def test_every_window(
    private_key: PrivateKey, window: int, constant_time: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ifma, "best_window", lambda *_: window)
    messages = below(int(private_key.public.n), 8, 17)
    index = np.arange(17)
    by_p = exponents(9, 17, 224)
    by_q = exponents(10, 17, 224)
    workload = Workload(17, constant_time)
    both(
        lambda kernel: owner_of(kernel, private_key, workload).encrypt(messages, index, by_p, by_q)
    )


def test_constant_time_at_every_size(key: PrivateKey) -> None:
    public = key.public
    bits = SUBGROUP_BITS[key.public.key_bits]
    workload = Workload(10**6, constant_time=True)
    messages = below(int(public.n), 11, 30)
    index = np.arange(30)
    by_p = exponents(12, 30, bits)
    by_q = exponents(13, 30, bits)
    drawn = exponents(14, 30, 2 * bits)
    both(lambda kernel: owner_of(kernel, key, workload).encrypt(messages, index, by_p, by_q))
    both(
        lambda kernel: kernel.public(public.n, public.h, 2 * bits, workload).encrypt(
            messages, index, drawn
        )
    )


def test_the_widest_moduli_that_fit() -> None:
    """Nothing in the arithmetic needs primes, so the extremes of what a key could be are tried."""
    for p, q in (
        (2**1024 - 1, 2**1023 + 3),
        (2**1023 + 3, 2**1024 - 1),
        (2**1024 - 1, 2**1024 - 3),
    ):
        messages = below(p * q, 15, 30)
        index = np.arange(30)
        by_p = exponents(16, 30, 64)
        by_q = exponents(17, 30, 64)
        for h in (0, 1, 2, p - 1):
            p_half = Half(mpz(p), mpz(p * p - h) % (p * p), 64)
            q_half = Half(mpz(q), mpz(h), 64)
            both(
                lambda kernel, a=p_half, b=q_half: kernel.owner(a, b, Workload(9)).encrypt(
                    messages, index, by_p, by_q
                )
            )


@pytest.mark.parametrize("rows", COUNTS)
def test_sums(key: PrivateKey, rows: int) -> None:
    table = below(int(key.public.n2), 18, 500)
    draw = np.random.default_rng(19)
    lengths = draw.choice(
        [1, 2, 3, 7, 8, 9, 63, 64, 65, 300],
        rows,
        p=[0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0.01],
    )
    edges = np.append(0, np.cumsum(lengths))
    index = draw.integers(0, len(table), edges[-1])
    both(lambda kernel: kernel.accumulate(table, index, edges, key.public.n2))


@given(st.lists(st.integers(1, 150), max_size=30), st.integers(0, 2**32))
@settings(max_examples=150)
def test_sums_of_any_segments(lengths: list[int], seed: int) -> None:
    modulus = mpz(2**2048 - 9) ** 2
    table = below(int(modulus), seed, 40)
    edges = np.append(0, np.cumsum(lengths)).astype(np.int64)
    index = np.random.default_rng(seed).integers(0, len(table), edges[-1])
    both(lambda kernel: kernel.accumulate(table, index, edges, modulus))


@pytest.mark.parametrize("length", [1, 64, 65, 4096, 4097, 10_001])
@pytest.mark.parametrize("modulus", [2**4096 - 1, 2**4095 + 1, 2**4096 - 2**2048 + 1, 3])
def test_one_long_segment(length: int, modulus: int) -> None:
    table = np.zeros((50, 512), np.uint8)
    drawn = below(modulus, 20, 50)
    table[:, : drawn.shape[1]] = drawn
    index = np.random.default_rng(21).integers(0, 50, length)
    both(lambda kernel: kernel.accumulate(table, index, np.array([0, length]), mpz(modulus)))
    ones = np.full(length, 3)
    both(lambda kernel: kernel.accumulate(table, ones, np.array([0, length]), mpz(modulus)))


@pytest.mark.parametrize("rows", COUNTS)
def test_powers_for_decryption(key: PrivateKey, rows: int) -> None:
    half = rows // 2
    n2 = int(key.public.n2)
    for seed, modulus, exponent in ((22, key.p2, key.alpha), (23, key.q2, key.beta)):
        table = below(n2, seed, half)
        both(lambda kernel, t=table, e=exponent, m=modulus: kernel.powers(t, e, m))


@pytest.mark.parametrize("exponent", [1, 2, 15, 16, 255, 256, 2**224 - 1, 2**223, "p"])
def test_powers_at_the_edges(private_key: PrivateKey, exponent: int | str) -> None:
    p2 = int(private_key.p2)
    edges = [
        0,
        1,
        p2 - 1,
        p2,
        p2 + 1,
        p2 * p2 - 1,
        2**2080 - 1,
        2**2080,
        2**4096 - 1,
        2**4095,
        2**2048 * p2,
    ]
    table = to_rows([mpz(edge % 2**4096) for edge in edges], 512)
    power = private_key.p - 1 if exponent == "p" else mpz(exponent)
    for modulus in (p2, 2**2048 - 1, 2**2047 + 1, 5):
        for constant_time in (False, True):
            both(lambda kernel, m=modulus, c=constant_time: kernel.powers(table, power, mpz(m), c))


@given(st.integers(0, 40), st.integers(0, 2**32))
@settings(max_examples=40)
def test_any_number_of_rows(rows: int, seed: int) -> None:
    p = mpz(2**1024 - 1)
    q = mpz(2**1024 - 3)
    messages = below(int(p * q), seed, 5)
    index = np.random.default_rng(seed).integers(0, 5, rows)
    by_p = random_rows(seed, rows, 4)
    by_q = random_rows(seed + 1, rows, 4)
    halves = Half(p, mpz(3), 32), Half(q, mpz(5), 32)
    made = both(
        lambda kernel: kernel.owner(*halves, Workload(1)).encrypt(messages, index, by_p, by_q)
    )
    both(
        lambda kernel: kernel.public(p * q, mpz(7), 32, Workload(1)).encrypt(messages, index, by_p)
    )
    both(lambda kernel: kernel.powers(made, mpz(12345), p * p))


@pytest.mark.parametrize("bits", [1024, 2560])
def test_other_sizes_are_left_to_the_portable_kernel(bits: int) -> None:
    p = mpz(2) ** (bits // 2) - 1
    q = mpz(2) ** (bits // 2) - 3
    n = p * q
    index = np.arange(3)
    messages = below(int(p * q), 24, 3)
    by_p = random_rows(25, 3, 4)
    by_q = random_rows(26, 3, 4)
    halves = Half(p, mpz(3), 32), Half(q, mpz(5), 32)
    made = both(
        lambda kernel: kernel.owner(*halves, Workload(1)).encrypt(messages, index, by_p, by_q)
    )
    both(lambda kernel: kernel.public(n, mpz(7), 32, Workload(1)).encrypt(messages, index, by_p))
    both(lambda kernel: kernel.accumulate(made, index, np.array([0, 3]), n * n))
    both(lambda kernel: kernel.powers(made, mpz(77), p * p))


def test_layout_and_write_protection_do_not_matter(private_key: PrivateKey) -> None:
    public = private_key.public
    table = np.asfortranarray(below(int(public.n2), 27, 40))
    table.flags.writeable = False
    both(
        lambda kernel: kernel.accumulate(
            table, np.arange(80)[::2] % 40, np.array([0, 40]), public.n2
        )
    )
    both(lambda kernel: kernel.powers(table[::2], private_key.alpha, private_key.p2))


@pytest.mark.parametrize("planned", [0, 1, 1000, 10**5, 10**9])
@pytest.mark.parametrize("constant_time", [False, True])
def test_wider_tables_for_more_encryptions(
    planned: int, constant_time: bool, monkeypatch: Any
) -> None:
    best = [
        ifma.best_window(limbs, 2, 224, Workload(planned, constant_time)) for limbs in (40, 60, 80)
    ]
    assert all(3 <= window <= (7 if constant_time else 12) for window in best)
    more = ifma.best_window(40, 2, 224, Workload(10 * planned + 1, constant_time))
    assert more >= best[0]
    monkeypatch.setattr(ifma, "_last_cache", lambda: 1 << 20)
    assert ifma.best_window(40, 2, 224, Workload(planned, constant_time)) <= 6


# What the extension refuses


def calls() -> Iterator[tuple[str, list[Any]]]:
    """A valid call of every function, 40 limbs, three rows."""
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
    yield (
        "ristretto_multiply",
        [np.zeros((3, 32), np.uint8), np.zeros((3, 32), np.uint8), bytes(32)],
    )
    yield "ristretto_from_hash", [np.zeros((3, 32), np.uint8), np.zeros((3, 64), np.uint8)]


CALLS = dict(calls())
ARRAYS = [
    (name, i)
    for name, args in CALLS.items()
    for i, arg in enumerate(args)
    if isinstance(arg, np.ndarray)
]


def call(name: str, place: int, value: Any) -> None:
    arguments = list(CALLS[name])
    arguments[place] = value
    getattr(native, name)(*arguments)


@pytest.mark.parametrize("name", CALLS)
def test_the_valid_calls_are_valid(name: str) -> None:
    getattr(native, name)(*CALLS[name])
    for place, argument in enumerate(CALLS[name]):
        call(name, place, argument)


@pytest.mark.parametrize(("name", "place"), ARRAYS)
def test_buffers_of_another_size_are_refused(name: str, place: int) -> None:
    data = CALLS[name][place].tobytes()
    for wrong in (data[:-1], data + b"\0", data[: len(data) // 2 + 1], b"\0"):
        with pytest.raises(ValueError):
            call(name, place, bytearray(wrong))


@pytest.mark.parametrize(("name", "place"), ARRAYS)
def test_buffers_that_are_not_whole_are_refused(name: str, place: int) -> None:
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
def test_numbers_must_be_aligned(name: str, place: int) -> None:
    data = CALLS[name][place].tobytes()
    for shift in (1, 4):
        memory = np.zeros(len(data) + 8 + 64, np.uint8)
        start = -memory.ctypes.data % 64 + shift
        with pytest.raises(ValueError, match="aligned"):
            call(name, place, memory[start : start + len(data)])


def test_results_are_not_written_to_protected_memory() -> None:
    for name, place in (
        ("make_table", 2),
        ("encrypt_public", 3),
        ("encrypt_owner", 3),
        ("accumulate", 1),
        ("power", 1),
    ):
        with pytest.raises((TypeError, BufferError, ValueError)):
            call(name, place, CALLS[name][place].tobytes())


@pytest.mark.parametrize("limbs", [0, -1, 39, 41, 52, 2**30])
def test_other_sizes_are_refused(limbs: int) -> None:
    for name in ("make_table", "encrypt_public", "encrypt_owner", "accumulate", "power"):
        with pytest.raises(ValueError):
            call(name, 0, limbs)


@pytest.mark.parametrize("window", [0, 5, 6, 17, 63, 2**31])
def test_windows_that_do_not_fit_the_table_are_refused(window: int) -> None:
    for name in ("make_table", "encrypt_public", "encrypt_owner"):
        if name != "make_table" or window not in (5, 6):
            with pytest.raises(ValueError):
                call(name, 1, window)


@pytest.mark.parametrize("wrong", [[0, 1, 3], [-1, 0, 0], [2**62, 0, 0], [0, 0, -(2**63)]])
def test_rows_that_do_not_exist_are_refused(wrong: list[int]) -> None:
    for name, place in (
        ("encrypt_public", 5),
        ("encrypt_owner", 5),
        ("accumulate", 3),
        ("accumulate", 5),
    ):
        with pytest.raises(ValueError, match="out of range"):
            call(name, place, np.array(wrong))


@pytest.mark.parametrize(
    "edges", [[0, 0, 1, 3], [0, 2, 1, 3], [1, 2, 3, 3], [0, 1, 2, 4], [0, 1, 2, 2], [-1, 1, 2, 3]]
)
def test_segments_that_are_empty_or_outside_are_refused(edges: list[int]) -> None:
    with pytest.raises(ValueError, match="segment"):
        call("accumulate", 4, np.array(edges))


def test_segments_longer_than_the_powers_of_r_are_refused() -> None:
    arguments = list(CALLS["accumulate"])
    arguments[3:6] = np.array([0, 1, 2]), np.array([0, 3]), np.array([0])
    arguments[1] = arguments[1][:1].copy()
    with pytest.raises(ValueError, match="segment"):
        native.accumulate(*arguments)


def test_an_empty_exponent_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        call("power", 3, b"")


def test_refused_calls_let_go_of_their_buffers() -> None:
    memory = bytearray(CALLS["power"][2].tobytes() + b"\0")
    with pytest.raises(ValueError):
        call("power", 2, memory)
    gc.collect()
    memory.extend(b"may grow again")
