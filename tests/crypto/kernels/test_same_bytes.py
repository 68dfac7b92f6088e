"""Every kernel against the portable one, to the bit and for fixed randomness.

The C kernels run on the processor's own instructions or, where it lacks them, emulated (conftest);
then inputs are fewer. Opening what was encrypted would prove little: ciphertexts made with a wrong
table of powers still open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz, powmod
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto.kernels import extension
from tests.sizes import first, slow
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.kernels.ifma import Ifma
from xstat_ray.crypto.kernels.interface import Half, Kernel, Workload
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.crypto.kernels.tables import best_digit_bits
from xstat_ray.crypto.paillier import SUBGROUP_BITS, PrivateKey

Both = Callable[[Callable[[Kernel], np.ndarray]], np.ndarray]
FAST = not extension.emulated()
"""Whether the C kernels are as fast as they are meant to be."""
SIZES = [
    "private_key",
    *(pytest.param(f"private_key_{bits}", marks=() if FAST else slow) for bits in (3072, 4096)),
]
LONGEST = first(6 if FAST else 3, [1, 64, 65, 4096, 4097, 10_001])
LENGTHS = ["short", pytest.param("long", marks=[pytest.mark.slow, pytest.mark.timeout(900)])]


@pytest.fixture(params=SIZES)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    private: PrivateKey = request.getfixturevalue(request.param)
    return private


@pytest.fixture(params=LENGTHS)
def rows(request: pytest.FixtureRequest, kernel: Kernel) -> int:
    """How many inputs a function gets."""
    few, many = (250, 10_000) if FAST and isinstance(kernel, Ifma) else (17, 250)
    return few if request.param == "short" else many


@pytest.fixture(scope="session")
def both(kernel: Kernel) -> Both:
    """What a kernel gives for `work`, and the portable one too."""
    return lambda work: same(kernel, work)


@pytest.fixture(scope="session")
def ifma_too(ifma: Ifma) -> Both:
    """What `ifma` gives for `work`, and the portable kernel too."""
    return lambda work: same(ifma, work)


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
    """Some edges (none, one, all bits, every second bit, the highest alone), then random ones."""
    drawn = random_rows(seed, rows, bits // 8)
    edges = [0, 1, 2**bits - 1, int("5" * (bits // 4), 16), 1 << (bits - 1), 2**52, 2**8 - 1]
    known = to_rows([mpz(edge) for edge in edges], bits // 8)
    drawn[: len(edges)] = known[:rows]
    return drawn


def owner_of(kernel: Kernel, key: PrivateKey, workload: Workload) -> Any:
    h = key.public.h
    p = Half(key.p, h % key.p2, key.alpha.bit_length())
    return kernel.owner(p, Half(key.q, h % key.q2, key.beta.bit_length()), workload)


def same(kernel: Kernel, work: Callable[[Kernel], np.ndarray]) -> np.ndarray:
    theirs = work(Portable())
    ours = work(kernel)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert np.flatnonzero((ours != theirs).any(axis=1)).tolist() == []
    return ours


def test_encryption_by_the_owner(both: Both, key: PrivateKey, rows: int) -> None:
    bits = SUBGROUP_BITS[key.public.key_bits]
    messages = below(int(key.public.n), 1, 100)
    index = np.random.default_rng(2).integers(0, len(messages), rows)
    by_p = exponents(3, rows, bits)
    by_q = exponents(4, rows, bits)[::-1].copy()
    made = both(
        lambda kernel: owner_of(kernel, key, Workload(rows)).encrypt(messages, index, by_p, by_q)
    )
    assert len(np.unique(made, axis=0)) == rows


def test_products_of_powers_of_many_bases(both: Both, key: PrivateKey) -> None:
    n = key.public.n
    bases = from_rows(below(int(n**2), 5, 14)[1:])
    messages = below(int(n), 6, 30)
    index = np.arange(len(messages))[::-1].copy()
    digits = exponents(7, len(messages), 8 * len(bases))
    made = both(lambda kernel: kernel.products(n, bases).encrypt(messages, index, digits))
    assert len(np.unique(made, axis=0)) > 20
    for row in (0, 3, 29):
        expected = 1 + from_rows(messages)[index[row]] * n
        for base, digit in zip(bases, digits[row].tolist(), strict=True):
            expected = expected * powmod(base, digit, n**2) % n**2
        assert from_rows(made[row : row + 1]) == [expected]


def test_encryption_by_anyone(both: Both, key: PrivateKey, rows: int) -> None:
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


def test_zero_without_randomness_is_one(both: Both, key: PrivateKey) -> None:
    """Both halves are 1, and their difference is a multiple of the modulus, not zero."""
    width = key.public.width // 2
    messages = np.zeros((1, width), np.uint8)
    index = np.zeros(9, np.int64)
    bits = SUBGROUP_BITS[key.public.key_bits]
    none = np.zeros((9, bits // 8), np.uint8)
    by_owner = both(
        lambda kernel: owner_of(kernel, key, Workload(9)).encrypt(messages, index, none, none)
    )
    by_anyone = both(
        lambda kernel: kernel.public(key.public.n, key.public.h, bits, Workload(9)).encrypt(
            messages, index, none
        )
    )
    one = np.eye(1, 2 * width, dtype=np.uint8)
    assert (by_owner == one).all()
    assert (by_anyone == one).all()


@pytest.mark.parametrize("constant_time", [False, True])
@pytest.mark.parametrize("digit_bits", range(2, 13) if FAST else first(2, [2, 7, 12]))
def test_every_width_of_digits(
    ifma_too: Both, private_key: PrivateKey, digit_bits: int, constant_time: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        "xstat_ray.crypto.kernels.ifma.best_digit_bits", lambda *_, **__: digit_bits
    )
    messages = below(int(private_key.public.n), 8, 17)
    index = np.arange(17)
    by_p = exponents(9, 17, 224)
    by_q = exponents(10, 17, 224)
    workload = Workload(17, constant_time)
    ifma_too(
        lambda kernel: owner_of(kernel, private_key, workload).encrypt(messages, index, by_p, by_q)
    )


def test_constant_time_at_every_size(ifma_too: Both, key: PrivateKey) -> None:
    rows = 30 if FAST else 9
    public = key.public
    bits = SUBGROUP_BITS[key.public.key_bits]
    workload = Workload(10**6, constant_time=True)
    messages = below(int(public.n), 11, rows)
    index = np.arange(rows)
    by_p = exponents(12, rows, bits)
    by_q = exponents(13, rows, bits)
    drawn = exponents(14, rows, 2 * bits)
    ifma_too(lambda kernel: owner_of(kernel, key, workload).encrypt(messages, index, by_p, by_q))
    ifma_too(
        lambda kernel: kernel.public(public.n, public.h, 2 * bits, workload).encrypt(
            messages, index, drawn
        )
    )


def test_the_widest_moduli_that_fit(both: Both) -> None:
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


def test_sums(both: Both, key: PrivateKey, rows: int) -> None:
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
@settings(max_examples=150 if FAST else 15)
def test_sums_of_any_segments(both: Both, lengths: list[int], seed: int) -> None:
    modulus = mpz(2**2048 - 9) ** 2
    table = below(int(modulus), seed, 40)
    edges = np.append(0, np.cumsum(lengths)).astype(np.int64)
    index = np.random.default_rng(seed).integers(0, len(table), edges[-1])
    both(lambda kernel: kernel.accumulate(table, index, edges, modulus))


@pytest.mark.parametrize("length", LONGEST)
@pytest.mark.parametrize("modulus", [2**4096 - 1, 2**4095 + 1, 2**4096 - 2**2048 + 1, 3])
def test_one_long_segment(both: Both, length: int, modulus: int) -> None:
    table = np.zeros((50, 512), np.uint8)
    drawn = below(modulus, 20, 50)
    table[:, : drawn.shape[1]] = drawn
    index = np.random.default_rng(21).integers(0, 50, length)
    both(lambda kernel: kernel.accumulate(table, index, np.array([0, length]), mpz(modulus)))
    ones = np.full(length, 3)
    both(lambda kernel: kernel.accumulate(table, ones, np.array([0, length]), mpz(modulus)))


def test_powers_for_decryption(both: Both, key: PrivateKey, rows: int) -> None:
    half = rows // 2
    n2 = int(key.public.n2)
    for seed, modulus, exponent in ((22, key.p2, key.p - 1), (23, key.q2, key.q - 1)):
        table = below(n2, seed, half)
        both(lambda kernel, t=table, e=exponent, m=modulus: kernel.powers(t, e, m))


def test_decryption(both: Both, key: PrivateKey, kernel: Kernel, rows: int) -> None:
    public = key.public
    rows = rows // 8
    bits = 2 * SUBGROUP_BITS[public.key_bits] + 64
    messages = below(int(public.n), 31, rows)
    randomness = exponents(32, rows, bits)
    ciphertexts = kernel.public(public.n, public.h, bits, Workload(1)).encrypt(
        messages, np.arange(rows), randomness
    )
    opened = both(lambda kernel: kernel.decrypt(ciphertexts, key.p, key.q))
    assert np.array_equal(opened, messages)


@pytest.mark.parametrize("exponent", [1, 2, 15, 16, 255, 256, 2**224 - 1, 2**223, "p"])
def test_powers_at_the_edges(
    both: Both, kernel: Kernel, private_key: PrivateKey, exponent: int | str
) -> None:
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
        for constant_time in {False, kernel.constant_time}:
            both(lambda kernel, m=modulus, c=constant_time: kernel.powers(table, power, mpz(m), c))


@given(st.integers(0, 40), st.integers(0, 2**32))
@settings(max_examples=40 if FAST else 10)
def test_any_number_of_rows(both: Both, rows: int, seed: int) -> None:
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
def test_other_sizes_are_left_to_the_portable_kernel(ifma_too: Both, bits: int) -> None:
    p = mpz(2) ** (bits // 2) - 1
    q = mpz(2) ** (bits // 2) - 3
    n = p * q
    index = np.arange(3)
    messages = below(int(p * q), 24, 3)
    by_p = random_rows(25, 3, 4)
    by_q = random_rows(26, 3, 4)
    halves = Half(p, mpz(3), 32), Half(q, mpz(5), 32)
    made = ifma_too(
        lambda kernel: kernel.owner(*halves, Workload(1)).encrypt(messages, index, by_p, by_q)
    )
    ifma_too(
        lambda kernel: kernel.public(n, mpz(7), 32, Workload(1)).encrypt(messages, index, by_p)
    )
    ifma_too(lambda kernel: kernel.accumulate(made, index, np.array([0, 3]), n * n))
    ifma_too(lambda kernel: kernel.powers(made, mpz(77), p * p))


def test_layout_and_write_protection_do_not_matter(both: Both, private_key: PrivateKey) -> None:
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
    def widths(workload: Workload) -> list[int]:
        """Of both C kernels, for the three key sizes."""
        rows = [(8, 8 * limbs, 0.4 / limbs) for limbs in (40, 60, 80)]
        rows += [(4, 8 * limbs, 0.5 / limbs) for limbs in (40, 56, 76)]
        return [
            best_digit_bits(size, 2, 224, workload, lanes=lanes, scan=scan)
            for lanes, size, scan in rows
        ]

    best = widths(Workload(planned, constant_time))
    assert all(3 <= digit_bits <= (7 if constant_time else 12) for digit_bits in best)
    more = widths(Workload(10 * planned + 1, constant_time))
    assert all(later >= earlier for later, earlier in zip(more, best, strict=True))
    monkeypatch.setattr("xstat_ray.crypto.kernels.tables.last_cache", lambda: 1 << 20)
    assert all(digit_bits <= 6 for digit_bits in widths(Workload(planned, constant_time)))
