"""Work in threads gives the results of one thread, in order, in as many threads as are allowed."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Iterator
from math import gcd

import numpy as np
import pytest
from gmpy2 import get_context, invert, is_prime, mpz, powmod, powmod_base_list, powmod_sec
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.sizes import first, slow
from xstat_ray.util.threads import VARIABLE, each_in_threads, in_threads, thread_count


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> int:
    """A process with six cores, whose environment sets no number of threads."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    for name in (VARIABLE, "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return 6


@pytest.mark.parametrize(
    ("xstat", "omp", "count"),
    [
        (None, None, 6),
        ("2", None, 2),
        (None, "3", 3),
        ("2", "3", 2),
        ("99", None, 6),
        ("0", "3", 3),
        ("-1", None, 6),
        ("many", "", 6),
        ("x", "5", 5),
    ],
)
def test_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int, xstat: str | None, omp: str | None, count: int
) -> None:
    for name, value in ((VARIABLE, xstat), ("OMP_NUM_THREADS", omp)):
        if value is not None:
            monkeypatch.setenv(name, value)
    assert thread_count() == count


@pytest.mark.parametrize("rows", [0, 1, 63, 127, 128, 1000, 1001])
def test_slices_cover_all_rows_once_and_in_order(cores: int, rows: int) -> None:
    slices = list[slice]()

    def work(part: slice) -> NDArray[np.uint8]:
        slices.append(part)
        return np.arange(part.start, part.stop, dtype=np.int64).view(np.uint8).reshape(-1, 8)

    result = in_threads(work, rows)
    assert result.view(np.int64).ravel().tolist() == list(range(rows))
    assert len(slices) == max(1, min(cores, rows // 64))


def test_items_are_worked_on_at_the_same_time_and_come_back_in_order(cores: int) -> None:
    together = threading.Barrier(cores, timeout=30)

    def work(item: int) -> int:
        together.wait()
        return item * item

    assert each_in_threads(work, range(2 * cores)) == [i * i for i in range(2 * cores)]


@pytest.mark.parametrize("threads", ["1", "6"])
def test_the_first_exception_by_order_is_raised(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: str
) -> None:
    monkeypatch.setenv(VARIABLE, threads)

    def work(item: int) -> float:
        if item:
            raise ValueError(f"item {item}")
        return 0.0

    with pytest.raises(ValueError, match="item 1"):
        each_in_threads(work, [0, 1, 2, 3])


@given(st.integers(0, 3000), st.integers(1, 9))
def test_every_row_is_worked_on_once_and_in_order(rows: int, count: int) -> None:
    numbers = np.arange(rows, dtype=np.uint16).view(np.uint8).reshape(rows, 2)
    seen = []

    def work(part: slice) -> NDArray[np.uint8]:
        seen.append(part)
        return numbers[part]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xstat_ray.util.threads.thread_count", lambda: count)
        assert np.array_equal(in_threads(work, rows), numbers)
    assert len(seen) == max(1, min(count, rows // 64))


def test_slices_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)

    def work(part: slice) -> NDArray[np.uint8]:
        both.wait()
        return np.zeros((part.stop - part.start, 1), np.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xstat_ray.util.threads.thread_count", lambda: 2)
        assert in_threads(work, 128).shape == (128, 1)


def test_the_error_of_the_first_slice_is_raised() -> None:
    def work(part: slice) -> NDArray[np.uint8]:
        raise ValueError(part.start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xstat_ray.util.threads.thread_count", lambda: 4)
        with pytest.raises(ValueError, match=r"^0$"):
            in_threads(work, 1000)


def test_another_thread_runs_while_gmpy2_computes(cores: int) -> None:
    """A power that takes a second or so is one call, in which nothing else would run."""
    done = threading.Event()
    modulus = mpz(2) ** 20_011 - 3
    seen = [0]

    def work(item: int) -> None:
        if item:
            powmod(mpz(3), mpz(2) ** 6_000 - 1, modulus)
            done.set()
        while not done.wait(0.001):
            seen[0] += 1

    each_in_threads(work, [0, 1])
    assert seen[0] >= 20


def test_gmpy2_is_as_it_was_outside_the_threads(cores: int) -> None:
    assert each_in_threads(lambda _: get_context().allow_release_gil, range(2)) == [True, True]
    assert not get_context().allow_release_gil


@pytest.fixture
def impatient() -> Iterator[None]:
    """An interpreter that changes threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


SIZES = (1, 63, 64, 65, 700, 2048, 3072, 6144, 40_000)
"""Bits of numbers: of one word and of several, and of each way in which GMP multiplies."""


def check_against_python(draw: random.Random, shared: list[mpz]) -> None:
    """Compute once with all functions that the kernels use, and once with Python's integers."""
    a, b = (draw.getrandbits(draw.choice(SIZES)) for _ in range(2))
    m = draw.getrandbits(draw.choice(SIZES)) | 1
    c = draw.choice(shared)
    x, y, z = map(mpz, (a, b, m))
    assert x * y % z == a * b % m
    assert x * c % z == a * int(c) % m
    assert x + y * z - c == a + b * m - int(c)
    assert x * b + m == a * b + m
    assert divmod(x, z) == divmod(a, m)
    assert mpz.from_bytes(x.to_bytes(6_000, "little"), "little") == a
    small = m % 2**700 | 1
    exponent = b % 2**64 + 1
    assert powmod(x, exponent, mpz(small)) == pow(a, exponent, small)
    if small > 1:
        assert powmod_sec(x, mpz(exponent), mpz(small)) == pow(a, exponent, small)
    bases = [x, y, c]
    powers = [pow(int(base), exponent, small) for base in bases]
    assert powmod_base_list(bases, mpz(exponent), mpz(small)) == powers
    if gcd(a, small) == 1 and small > 1:
        assert invert(x, mpz(small)) == pow(a, -1, small)
    assert is_prime(mpz(2) ** 127 - 1 if a % 2 else mpz(2) ** 128 + 1) == bool(a % 2)


@pytest.mark.parametrize("rounds", first(1, [40, 2_000], slow))
def test_many_threads_compute_what_python_computes(
    monkeypatch: pytest.MonkeyPatch, impatient: None, rounds: int
) -> None:
    """Releasing the lock is experimental in gmpy2, and threads share the tables of a kernel."""
    monkeypatch.setattr("xstat_ray.util.threads.thread_count", lambda: 8)
    started = random.Random(1)
    shared = [mpz(started.getrandbits(bits)) for bits in SIZES]
    expected = list(map(int, shared))

    def work(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(rounds):
            check_against_python(draw, shared)

    each_in_threads(work, range(8))
    assert shared == expected
