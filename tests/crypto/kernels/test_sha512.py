"""SHA-512 of many texts in C against hashlib, with each number of lanes that the processor has."""

from __future__ import annotations

import os
from hashlib import sha512
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto.kernels import extension
from xstat_ray.crypto.kernels.aesni import Aesni
from xstat_ray.crypto.kernels.portable import Portable

EMULATED = extension.CHOSEN in os.environ
LANES = [1, 4, 8]


def expected(prefix: bytes, texts: list[bytes], size: int) -> list[bytes]:
    return [sha512(prefix + text).digest()[:size] for text in texts]


def rows_of(texts: list[bytes], more: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows with the texts, behind which there is something else, and their lengths."""
    width = max(map(len, texts), default=0) + more
    rows = np.full((len(texts), width), 0xA5, np.uint8)
    for row, text in zip(rows, texts, strict=True):
        row[: len(text)] = np.frombuffer(text, np.uint8)
    return rows, np.array([len(text) for text in texts], np.int64)


def hashes(native: ModuleType, lanes: int, prefix: bytes, texts: list[bytes]) -> list[bytes]:
    rows, lengths = rows_of(texts, 3)
    out = np.zeros((len(texts), 64), np.uint8)
    native.sha512(lanes, out, prefix, rows, lengths)
    return [row.tobytes() for row in out]


@pytest.mark.parametrize("lanes", LANES)
@given(prefix=st.binary(max_size=150), texts=st.lists(st.binary(max_size=300), max_size=20))
@settings(max_examples=15 if EMULATED else 60, deadline=None)
def test_any_texts(native: ModuleType, lanes: int, prefix: bytes, texts: list[bytes]) -> None:
    assert hashes(native, lanes, prefix, texts) == expected(prefix, texts, 64)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("before", [0, 17, 49])
def test_every_length_up_to_three_blocks(native: ModuleType, lanes: int, before: int) -> None:
    prefix = bytes(range(before))
    texts = [bytes([length % 251]) * length for length in range(400)]
    # In turn long and short, so that lanes of a group have different numbers of blocks.
    mixed = [text for pair in zip(texts[:200], texts[:199:-1], strict=True) for text in pair]
    assert hashes(native, lanes, prefix, mixed) == expected(prefix, mixed, 64)


@pytest.mark.parametrize("size", [1, 12, 16, 63, 64])
def test_the_kernels_give_the_first_bytes(native: ModuleType, size: int) -> None:
    texts = [b"id %d" % number * number for number in range(30)]
    rows, lengths = rows_of(texts)
    for kernel in (Aesni(native), Portable()):
        found = kernel.sha512(b"prefix", rows, lengths, size)
        assert (found.dtype, found.shape) == (np.uint8, (30, size))
        assert [row.tobytes() for row in found] == expected(b"prefix", texts, size)
        again = kernel.sha512(b"prefix", np.asfortranarray(rows)[::2], lengths[::2], size)
        assert np.array_equal(again, found[::2])


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("rows", range(10))
def test_nothing_is_written_beyond_the_results(native: ModuleType, lanes: int, rows: int) -> None:
    memory = np.full((rows + 2, 20), 0xA5, np.uint8)
    native.sha512(lanes, memory[1:-1], b"", np.zeros((rows, 5), np.uint8), np.arange(rows) % 6)
    assert (memory[[0, -1]] == 0xA5).all()


def test_no_rows_and_no_bytes(native: ModuleType) -> None:
    for kernel in (Aesni(native), Portable()):
        none = kernel.sha512(b"x", np.zeros((0, 7), np.uint8), np.zeros(0, np.int64), 16)
        assert none.shape == (0, 16)
        empty = kernel.sha512(b"x", np.zeros((3, 0), np.uint8), np.zeros(3, np.int64), 64)
        assert [row.tobytes() for row in empty] == [sha512(b"x").digest()] * 3


@pytest.mark.parametrize("lanes", [-1, 0, 2, 16])
def test_there_are_no_other_lanes(native: ModuleType, lanes: int) -> None:
    with pytest.raises(ValueError, match="lanes"):
        native.sha512(
            lanes, np.zeros((1, 4), np.uint8), b"", np.zeros((1, 4), np.uint8), np.array([1])
        )


@pytest.mark.parametrize(("wide", "four", "lanes"), [(1, 1, 8), (0, 1, 4), (0, 0, 1)])
def test_it_takes_the_widest_registers(wide: bool, four: bool, lanes: int) -> None:
    taken = []
    native = SimpleNamespace(
        available=lambda: wide,
        avx2_available=lambda: four,
        sha512=lambda number, *_: taken.append(number),
    )
    Aesni(native).sha512(b"", np.zeros((1, 4), np.uint8), np.array([1]), 16)
    assert taken == [lanes]


def test_a_build_without_it_is_done_without() -> None:
    found = Aesni(SimpleNamespace()).sha512(b"", np.zeros((1, 4), np.uint8), np.array([1]), 16)
    assert found.tobytes() == sha512(b"\0").digest()[:16]


@pytest.mark.parametrize("wrong", [-1, 5, 2**62, -(2**63)])
def test_texts_longer_than_their_row_are_refused(native: ModuleType, wrong: int) -> None:
    rows = np.zeros((2, 4), np.uint8)
    with pytest.raises(ValueError, match="out of range"):
        native.sha512(1, rows.copy(), b"", rows, np.array([4, wrong]))


def test_a_hash_has_no_more_bytes(native: ModuleType) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        native.sha512(1, np.zeros((2, 65), np.uint8), b"", np.zeros((2, 4)), np.array([4, 1]))
