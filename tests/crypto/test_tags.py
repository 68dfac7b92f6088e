from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.crypto import tags as module
from xstat_ray.crypto.tags import (
    MAX_COPIES,
    MAX_PERIODS,
    Dummy,
    dummy_tags,
    is_sorted,
    sort_order,
    tags,
    with_copy,
)
from xstat_ray.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "vectors"
AES = json.loads((VECTORS / "aes128.json").read_text())["vectors"]
TAGS = json.loads((VECTORS / "tags.json").read_text())


def octets(*texts: str) -> np.ndarray:
    return np.array([list(bytes.fromhex(text)) for text in texts], dtype=np.uint8)


def numbers(values: list[int], dtype: type) -> np.ndarray:
    return np.array(values, dtype=dtype)


def from_words(first: list[int], last: list[int]) -> np.ndarray:
    return (
        np.stack([numbers(first, np.uint64), numbers(last, np.uint64)], axis=1)
        .astype("<u8")
        .view(np.uint8)
    )


def reference_order(encoded: np.ndarray, ties: np.ndarray) -> list[int]:
    def key(row: int) -> tuple[int, int, int]:
        data = encoded[row].tobytes()
        return (
            int.from_bytes(data[:8], "little"),
            int.from_bytes(data[8:], "little"),
            int(ties[row]),
        )

    return sorted(range(len(encoded)), key=key)


def test_vector_files_are_complete() -> None:
    assert len(AES) >= 5
    assert len(TAGS["good"]) >= 30
    assert len(TAGS["bad"]) >= 8
    assert runpy.run_path(str(VECTORS / "make_tags.py"))["vectors"]() == TAGS


@pytest.mark.parametrize("case", AES)
def test_aes_is_that_of_fips_197_and_sp_800_38a(case: dict[str, str]) -> None:
    cipher = Cipher(algorithms.AES(bytes.fromhex(case["key"])), modes.ECB()).encryptor()
    assert cipher.update(bytes.fromhex(case["plaintext"])).hex() == case["ciphertext"]


@pytest.mark.parametrize("case", AES)
def test_a_tag_is_one_aes_block(case: dict[str, str]) -> None:
    block = bytes.fromhex(case["plaintext"])
    person = octets(block[:12].hex())
    period = int.from_bytes(block[12:], "little")
    made = tags(
        bytes.fromhex(case["key"]), person, numbers([0], np.int32), numbers([period], np.uint32)
    )
    assert made.tobytes().hex() == case["ciphertext"]


@pytest.mark.parametrize("case", TAGS["good"])
def test_from_person_key_to_tag(case: dict[str, str]) -> None:
    made = tags(
        bytes.fromhex(case["key"]),
        octets(case["person_key"]),
        numbers([0], np.int32),
        numbers([case["period"]], np.uint32),
    )
    assert made.tobytes().hex() == case["tag"]


@pytest.mark.parametrize("case", TAGS["bad"], ids=lambda case: case["why"])
def test_bad_input_is_refused(case: dict[str, object]) -> None:
    keys = octets(*case["person_keys"]) if case["person_keys"] else np.empty((0, 12), np.uint8)
    with pytest.raises(ValueError, match=r"tags take|belongs to no person"):
        tags(
            bytes.fromhex(case["key"]),
            keys,
            numbers(case["person"], np.int32),
            numbers(case["period"], np.uint32),
        )


@pytest.mark.parametrize("rows", [0, 1, 6, 7, 8, 30])
def test_slices_do_not_change_the_tags(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SLICE_ROWS", 7)
    rng = np.random.default_rng(rows)
    keys = rng.integers(0, 256, (5, 12), dtype=np.uint8)
    person = rng.integers(0, 5, rows, dtype=np.int32)
    period = rng.integers(0, 2**32, rows, dtype=np.uint32)
    made = tags(b"k" * 16, keys, person, period)
    assert made.shape == (rows, 16)
    for row in range(rows):
        assert np.array_equal(
            made[row], tags(b"k" * 16, keys, person[row : row + 1], period[row : row + 1])[0]
        )


def test_tags_are_equal_exactly_for_the_same_person_in_the_same_period() -> None:
    person, period = np.divmod(np.arange(600, dtype=np.int32), 200)
    keys = np.random.default_rng(0).integers(0, 256, (3, 12), dtype=np.uint8)
    made = tags(b"k" * 16, keys, person, period.astype(np.uint32))
    assert len(np.unique(made, axis=0)) == 600
    again = tags(b"k" * 16, keys, np.tile(person, 2), np.tile(period.astype(np.uint32), 2))
    assert np.array_equal(again, np.tile(made, (2, 1)))


word = st.one_of(st.integers(0, 3), st.integers(2**64 - 3, 2**64 - 1), st.integers(0, 2**64 - 1))
near = st.builds(lambda high, low: high << 60 | low, st.integers(0, 1), st.integers(0, 40))
"""Words that share the high bits and differ in those that the row number displaces."""


@given(st.lists(st.tuples(word | near, word, st.integers(0, 2) | st.just(2**32 - 1)), max_size=80))
def test_order_is_exact(table: list[tuple[int, int, int]]) -> None:
    encoded = from_words([row[0] for row in table], [row[1] for row in table])
    ties = numbers([row[2] for row in table], np.uint32)
    order = sort_order(encoded, ties)
    assert order.dtype == np.int64
    assert order.tolist() == reference_order(encoded, ties)
    assert is_sorted(encoded[order])


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 1023, 1024, 1025, 20_000])
@pytest.mark.parametrize("spread", [1, 2, 50, 2**13, 2**14, 2**20, 2**64])
def test_order_equals_lexsort(rows: int, spread: int) -> None:
    rng = np.random.default_rng(rows)
    words = rng.integers(0, spread - 1, (rows, 2), dtype=np.uint64, endpoint=True)
    words[:, 0] += (
        rng.integers(0, 3, rows, dtype=np.uint64) << np.uint64(62)
        if spread < 2**62
        else np.uint64(0)
    )
    words[:, 1] >>= rng.integers(0, 64, rows, dtype=np.uint64)
    ties = rng.integers(0, 4, rows, dtype=np.uint32)
    order = sort_order(words.astype("<u8").view(np.uint8), ties)
    assert np.array_equal(order, np.lexsort((ties, words[:, 1], words[:, 0])))


def test_words_are_little_endian() -> None:
    encoded = octets(
        "01" + "00" * 15, "0001" + "00" * 14, "00" * 8 + "01" + "00" * 7, "00" * 9 + "01" + "00" * 6
    )
    assert sort_order(encoded, np.zeros(4, np.uint32)).tolist() == [2, 3, 0, 1]


@given(st.lists(st.tuples(word | near, word), max_size=20))
def test_is_sorted_agrees_with_python(pairs: list[tuple[int, int]]) -> None:
    for table in (pairs, sorted(pairs)):
        encoded = from_words([pair[0] for pair in table], [pair[1] for pair in table])
        assert is_sorted(encoded) == (table == sorted(table))


def test_read_only_and_strided_tags_sort_alike() -> None:
    encoded = from_words([3, 9, 1, 9, 2, 9], [0] * 6)
    encoded.flags.writeable = False
    assert sort_order(encoded[::2], np.zeros(3, np.uint32)).tolist() == [1, 2, 0]
    assert is_sorted(encoded[1::2])
    assert not is_sorted(encoded[::2])


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 15), np.uint8), np.zeros(16, np.uint8), np.zeros((3, 16), np.int8)]
)
def test_other_shapes_and_types_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ProtocolError, match="array of bytes"):
        sort_order(bad, np.zeros(len(bad), np.uint32))
    with pytest.raises(ProtocolError, match="array of bytes"):
        is_sorted(bad)


def test_a_dummy_is_the_block_of_its_kind_batch_and_number() -> None:
    key = bytes(range(16))
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    for kind in Dummy:
        expected = [
            cipher.update(b"".join([n.to_bytes(4, "little") for n in (7, i, 0, kind)]))
            for i in range(2, 5)
        ]
        assert [row.tobytes() for row in dummy_tags(key, kind, 7, range(2, 5))] == expected


@given(st.integers(0, MAX_PERIODS - 1), st.integers(0, MAX_COPIES - 1))
def test_no_person_s_block_ends_like_a_dummy_s(period: int, copy: int) -> None:
    (word,) = with_copy(numbers([period], np.uint32), numbers([copy], np.int64)).tolist()
    assert word not in set(Dummy)
    # Period and copy can be read back, so different ones never share a block.
    assert (word & (MAX_PERIODS - 1), word >> 24) == (period, copy)


def test_dummies_of_different_kinds_and_batches_never_meet() -> None:
    key = bytes(16)
    made = np.concatenate(
        [dummy_tags(key, kind, batch, range(50)) for kind in Dummy for batch in (0, 1, 2**32 - 1)]
    )
    assert len(np.unique(made, axis=0)) == len(made) == 450
    assert len(dummy_tags(key, Dummy.ROW, 0, range(0))) == 0
    # Numbers do not wrap at 32 bits.
    low, high = (dummy_tags(key, Dummy.ROW, 0, range(first, first + 1)) for first in (5, 2**32 + 5))
    assert (low != high).any()
