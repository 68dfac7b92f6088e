"""The columns and bits of the oblivious PRF in C against those in numpy, to the bit.

The C runs on the processor's own AES instructions or, in test_emulated, on emulated ones.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto.kernels import extension
from xstat_ray.crypto.kernels import choice
from xstat_ray.crypto.kernels.aesni import Aesni
from xstat_ray.crypto.kernels.ifma import Ifma
from xstat_ray.crypto.kernels.known_answer import ANSWER, answer
from xstat_ray.crypto.kernels.portable import Portable

EMULATED = extension.CHOSEN in os.environ


@pytest.fixture(scope="module")
def aesni(native: ModuleType) -> Aesni:
    return Aesni(native)


def drawn(seed: int, items: int, capacity: int, width: int) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A key, items, and a matrix."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 2**64, (width, -(-capacity // 64)), dtype=np.uint64)
    return rng.bytes(16), rng.integers(0, 256, (items, 16), dtype=np.uint8), matrix


def check(aesni: Aesni, seed: int, items: int, capacity: int, columns: range) -> None:
    key, data, matrix = drawn(seed, items, capacity, len(columns))
    marked = aesni.oprf_mark(key, data, capacity, columns)
    expected = Portable().oprf_mark(key, data, capacity, columns)
    assert (marked.dtype, marked.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(marked, expected)
    rows = aesni.oprf_rows(key, data, matrix, capacity)
    expected = Portable().oprf_rows(key, data, matrix, capacity)
    assert (rows.dtype, rows.shape) == (expected.dtype, expected.shape)
    assert np.array_equal(rows, expected)


def test_the_answer_is_that_of_the_portable_kernel(aesni: Aesni) -> None:
    assert answer(aesni) == ANSWER


@given(
    st.integers(0, 2**32),
    st.integers(0, 40),
    st.integers(1, 300),
    st.integers(0, 3),
    st.integers(0, 18),
)
@settings(max_examples=20 if EMULATED else 150, deadline=None)
def test_any_number_of_items_positions_and_columns(
    aesni: Aesni, seed: int, items: int, capacity: int, first: int, eights: int
) -> None:
    check(aesni, seed, items, capacity, range(8 * first, 8 * (first + eights)))


@pytest.mark.parametrize("items", [1023, 1024, 1025, 8191, 8192, 8193, 17_000])
def test_blocks_of_items(aesni: Aesni, items: int) -> None:
    check(aesni, items, items, 1 << 16, range(8, 24))


@pytest.mark.parametrize("capacity", [2**24, 2**24 - 1, 2**16 + 1])
def test_the_widest_columns(aesni: Aesni, capacity: int) -> None:
    check(aesni, capacity, 50, capacity, range(8))


def test_full_width(aesni: Aesni) -> None:
    check(aesni, 1, 17 if EMULATED else 3000, 3000, range(648))


@pytest.mark.parametrize("words", [*range(20), 1057])
@pytest.mark.parametrize("bin", [0, 1, 2**32 - 1])
def test_columns_are_padded_with_the_streams_of_their_keys(
    aesni: Aesni, words: int, bin: int
) -> None:
    rng = np.random.default_rng(words)
    memory = rng.integers(0, 2**64, (5, words), dtype=np.uint64)
    keys = rng.integers(0, 256, (3, 2, 16), dtype=np.uint8)[:, 1]
    padded = memory.copy()
    assert aesni.oprf_pad(padded[1:-1], keys, bin).base is padded
    expected = memory.copy()
    assert Portable().oprf_pad(expected[1:-1], keys, bin).base is expected
    assert np.array_equal(padded, expected)
    assert np.array_equal(padded[[0, -1]], memory[[0, -1]])
    assert words == 0 or (padded[1:-1] != memory[1:-1]).all()


def test_numpy_works_in_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    key, items, matrix = drawn(5, 100, 90, 16)
    expected = [
        Portable().oprf_mark(key, items, 90, range(16)),
        Portable().oprf_rows(key, items, matrix, 90),
    ]
    monkeypatch.setattr("xstat_ray.crypto.kernels.numpy_oprf._BLOCK", 7)
    assert np.array_equal(Portable().oprf_mark(key, items, 90, range(16)), expected[0])
    assert np.array_equal(Portable().oprf_rows(key, items, matrix, 90), expected[1])


def test_layout_and_write_protection_do_not_matter(aesni: Aesni) -> None:
    key, items, matrix = drawn(2, 40, 200, 16)
    items.flags.writeable = False
    matrix.flags.writeable = False
    for kernel in (aesni, Portable()):
        whole = kernel.oprf_rows(key, items[::2].copy(), matrix, 200)
        assert np.array_equal(
            kernel.oprf_rows(key, items[::2], np.asfortranarray(matrix), 200), whole
        )
        marked = kernel.oprf_mark(key, items[::2].copy(), 200, range(16))
        assert np.array_equal(
            kernel.oprf_mark(key, np.asfortranarray(items)[::2], 200, range(16)), marked
        )


@pytest.mark.parametrize("rows", [*range(18), 1023, 1024, 1025])
def test_nothing_is_written_beyond_the_results(native: ModuleType, rows: int) -> None:
    key, items, matrix = drawn(rows, rows, 130, 72)
    memory = np.full((rows + 2, 9), 0xA5, np.uint8)
    native.oprf_rows(memory[1:-1], key, items, matrix, 130)
    assert (memory[[0, -1]] == 0xA5).all()
    words = np.full((8 + 2, 3), 0xA5, np.uint64)
    native.oprf_mark(words[1:-1], key, items, 130, 8)
    assert (words[[0, -1]] == 0xA5).all()


@pytest.mark.parametrize(
    "native", [SimpleNamespace(), SimpleNamespace(oprf_mark=None, aes_available=lambda: False)]
)
def test_ifma_does_without_these_functions(native: SimpleNamespace) -> None:
    """An extension that was built before there were any, and a processor without the instructions."""
    key, items, matrix = drawn(3, 30, 100, 8)
    ifma = Ifma(native)
    assert np.array_equal(
        ifma.oprf_rows(key, items, matrix, 100), Portable().oprf_rows(key, items, matrix, 100)
    )
    assert np.array_equal(
        ifma.oprf_mark(key, items, 100, range(8)), Portable().oprf_mark(key, items, 100, range(8))
    )
    padded = [kernel.oprf_pad(matrix.copy(), items[:8], 7) for kernel in (ifma, Portable())]
    assert np.array_equal(*padded)


@pytest.fixture
def undecided(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, extension.NAME, native)
    monkeypatch.setattr(native, "available", lambda: False)
    monkeypatch.setattr(native, "avx2_available", lambda: False)
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    choice.choose.cache_clear()
    yield
    choice.choose.cache_clear()


def test_it_is_taken_where_there_is_neither_ifma_nor_avx2(undecided: None) -> None:
    assert choice.kernel().name == "aesni"
    assert "lacks AVX-512 IFMA" in str(choice.shortfall())


def test_a_processor_without_aes_takes_the_portable_kernel(
    undecided: None, native: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "aes_available", lambda: False)
    assert choice.kernel().name == "portable"


def test_wrong_numbers_are_never_used(
    undecided: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "answer", lambda _: "")
    with caplog.at_level(logging.INFO):
        assert choice.kernel().name == "portable"
