"""Encryption by the owner with AVX2 against the portable kernel, to the bit, for fixed randomness.

The C runs on the processor's own instructions or, in test_emulated, on emulated ones, which stop
where a lane breaks a bound. Nothing in the arithmetic needs primes, so that the extremes of what a
key could be are tried too.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from gmpy2 import gcd, invert, mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto.kernels import extension
from tests.crypto.kernels.test_same_bytes import below, exponents, owner_of, random_rows
from tests.sizes import first
from xstat_ray.crypto.kernels import avx2 as module
from xstat_ray.crypto.kernels.avx2 import LIMB_BITS, LIMBS, Avx2
from xstat_ray.crypto.kernels.interface import Half, Workload
from xstat_ray.crypto.kernels.known_answer import ANSWER, answer
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.crypto.paillier import SUBGROUP_BITS, PrivateKey

FAST = extension.CHOSEN not in os.environ and extension.with_avx2() is not None
ROWS = 251 if FAST else 11
KEYS = ["private_key", "private_key_3072", "private_key_4096"]
BITS = sorted(LIMBS)
WIDTHS = first(4, [2, 3, 4, 7, 12, 5, 6, 8, 9, 10, 11]) if FAST else [2, 7]


@pytest.fixture(params=KEYS)
def key(request: pytest.FixtureRequest) -> PrivateKey:
    private: PrivateKey = request.getfixturevalue(request.param)
    return private


def check(
    avx2: Avx2, halves: tuple[Half, Half], workload: Workload, inputs: tuple[Any, ...]
) -> Any:
    """Compare the bytes that both kernels make of messages, index and exponents."""
    theirs = Portable().owner(*halves, workload).encrypt(*inputs)
    ours = avx2.owner(*halves, workload).encrypt(*inputs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert np.flatnonzero((ours != theirs).any(axis=1)).tolist() == []
    return ours


def halves_of(key: PrivateKey) -> tuple[Half, Half]:
    h = key.public.h
    p = Half(key.p, h % key.p2, key.alpha.bit_length())
    return p, Half(key.q, h % key.q2, key.beta.bit_length())


def test_the_answer_is_that_of_the_portable_kernel(avx2: Avx2) -> None:
    assert answer(avx2) == ANSWER


@pytest.mark.parametrize("constant_time", [False, True])
def test_every_key_size(avx2: Avx2, key: PrivateKey, constant_time: bool) -> None:
    rows = 31 if constant_time and FAST else ROWS
    bits = SUBGROUP_BITS[key.public.key_bits]
    messages = below(int(key.public.n), 1, 40)
    index = np.random.default_rng(2).integers(0, 40, rows)
    by_p = exponents(3, rows, bits)
    by_q = exponents(4, rows, bits)[::-1].copy()
    inputs = (messages, index, by_p, by_q)
    made = check(avx2, halves_of(key), Workload(rows, constant_time), inputs)
    assert len(np.unique(made, axis=0)) == rows


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_inputs(avx2: Avx2, key: PrivateKey) -> None:
    rows = 10_000 if FAST else 250
    bits = SUBGROUP_BITS[key.public.key_bits]
    messages = below(int(key.public.n), 11, rows)
    inputs = (messages, np.arange(rows), exponents(12, rows, bits), exponents(13, rows, bits))
    check(avx2, halves_of(key), Workload(10**5), inputs)


@pytest.mark.parametrize("constant_time", [False, True])
@pytest.mark.parametrize("digit_bits", WIDTHS)
def test_every_width_of_digits(
    avx2: Avx2, private_key: PrivateKey, digit_bits: int, constant_time: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "best_digit_bits", lambda *_, **__: digit_bits)
    messages = below(int(private_key.public.n), 8, 9)
    index = np.arange(9)
    inputs = (messages, index, exponents(9, 9, 224), exponents(10, 9, 224))
    theirs = owner_of(Portable(), private_key, Workload(9)).encrypt(*inputs)
    ours = owner_of(avx2, private_key, Workload(9, constant_time)).encrypt(*inputs)
    assert np.array_equal(ours, theirs)


def moduli(bits: int) -> list[tuple[mpz, mpz]]:
    """Pairs for p and q: all bits set, the highest and the lowest alone, and as unlike as can be.

    Where all bits are set all limbs are 2^28 - 1, as are then those of p - 1 but one.
    """
    most = mpz(2) ** bits - 1
    least = mpz(2) ** (bits - 1) + 1
    other = least + 4
    return [(most, most - 2), (most - 2, most), (least, least + 2), (most, other), (other, most)]


def at_the_edges(p: mpz) -> list[mpz]:
    """Generators whose limbs in Montgomery's form are extreme: low and high part 0, 1 or p - 1."""
    inverse = invert(mpz(1) << LIMB_BITS * LIMBS[p.bit_length()], p**2)
    pattern = (p - 1) // 3
    forms = [p**2 - 1, p**2 - p, p - 1, p, 1, 0, pattern * (p + 1)]
    return [form * inverse % p**2 for form in forms]


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("pair", range(5))
def test_moduli_and_generators_at_the_edges(avx2: Avx2, bits: int, pair: int) -> None:
    p, q = moduli(bits)[pair]
    assert gcd(p, q) == 1
    messages = below(int(p * q), 15, 10)
    rows = 20 if FAST else 10
    index = np.arange(rows) % 10
    # The digit 1 stands for the extreme form itself; Workload(1) makes digits of four bits.
    by_p = exponents(16, rows, 56)
    by_q = exponents(17, rows, 56)[::-1].copy()
    by_p[0] = by_q[0] = 0x11
    generators = list(zip(at_the_edges(p), at_the_edges(q)[::-1], strict=True))
    generators.append((at_the_edges(p)[0], at_the_edges(q)[0]))
    for g, h in generators if FAST else generators[-3:]:
        halves = (Half(p, g, 56), Half(q, h, 56))
        check(avx2, halves, Workload(1), (messages, index, by_p, by_q))


ODD = st.integers(0, 2**1022 - 1).map(lambda x: mpz(2 * x + 1) | 1 << 1023)


@given(ODD, ODD, st.data())
@settings(max_examples=40 if FAST else 5, deadline=None)
def test_any_odd_numbers_without_common_factor(
    avx2: Avx2, p: mpz, q: mpz, data: st.DataObject
) -> None:
    if gcd(p, q) != 1:
        return
    rows = data.draw(st.integers(0, 9))
    g, h = (mpz(data.draw(st.integers(0, int(prime) ** 2 - 1))) for prime in (p, q))
    message = data.draw(st.integers(0, int(p * q) - 1))
    messages = below(int(p * q), message % 2**32, 4).copy()
    messages[3] = np.frombuffer(message.to_bytes(256, "little"), np.uint8)
    index = np.arange(rows)[::-1] % 4
    drawn = random_rows(message % 2**32, 2 * rows, 3)
    inputs = (messages, index, drawn[:rows], drawn[rows:])
    check(avx2, (Half(p, g, 24), Half(q, h, 24)), Workload(1), inputs)


def test_zero_without_randomness_is_one(avx2: Avx2, key: PrivateKey) -> None:
    """Both halves are 1, and their difference is a multiple of the modulus, not zero."""
    width = key.public.width // 2
    none = np.zeros((5, SUBGROUP_BITS[key.public.key_bits] // 8), np.uint8)
    messages = np.zeros((1, width), np.uint8)
    inputs = (messages, np.zeros(5, np.int64), none, none)
    made = check(avx2, halves_of(key), Workload(1), inputs)
    assert (made == np.eye(1, 2 * width, dtype=np.uint8)).all()


@pytest.mark.parametrize("bits", [512, 1025])
def test_other_sizes_are_left_to_the_portable_kernel(avx2: Avx2, bits: int) -> None:
    p = mpz(2) ** bits - 1
    q = mpz(2) ** bits - 3
    messages = below(int(p * q), 24, 3)
    inputs = (messages, np.arange(3), random_rows(25, 3, 4), random_rows(26, 3, 4))
    check(avx2, (Half(p, mpz(3), 32), Half(q, mpz(5), 32)), Workload(1), inputs)


def test_primes_of_unlike_lengths_are_left_to_the_portable_kernel(avx2: Avx2) -> None:
    p = mpz(2) ** 1024 - 1
    q = mpz(2) ** 1022 + 3
    messages = below(int(p * q), 24, 3)
    inputs = (messages, np.arange(3), random_rows(25, 3, 4), random_rows(26, 3, 4))
    check(avx2, (Half(p, mpz(3), 32), Half(q, mpz(5), 32)), Workload(1), inputs)


@pytest.mark.parametrize("rows", range(10))
def test_nothing_is_written_beyond_the_results(
    avx2: Avx2, avx2_native: ModuleType, private_key: PrivateKey, rows: int, monkeypatch: Any
) -> None:
    memory = np.full((rows + 2, 512), 0xA5, np.uint8)
    right = avx2_native.four_encrypt

    def inside(*arguments: Any) -> None:
        right(*arguments[:3], memory[1:-1], *arguments[4:])

    monkeypatch.setattr(avx2_native, "four_encrypt", inside)
    index = np.zeros(rows, np.int64)
    drawn = random_rows(rows, rows, 28)
    owner_of(avx2, private_key, Workload(1)).encrypt(
        below(int(private_key.public.n), 1, 1), index, drawn, drawn
    )
    assert (memory[[0, -1]] == 0xA5).all()


def test_layout_and_write_protection_do_not_matter(avx2: Avx2, private_key: PrivateKey) -> None:
    messages = below(int(private_key.public.n), 8, 9)
    messages.flags.writeable = False
    by_p = np.asfortranarray(exponents(9, 9, 224))
    by_q = exponents(10, 18, 224)[::2]
    inputs = (messages, np.arange(9), by_p, by_q)
    check(avx2, halves_of(private_key), Workload(9), inputs)
