from __future__ import annotations

import json
from math import gcd, prod
from pathlib import Path

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey, PublicKey
from xstat_ray.crypto.sums import accumulate, divide, multiply
from xstat_ray.errors import ProtocolError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "paillier.json").read_text())
SMALL = PublicKey(mpz(0xF000_0000_0000_0001), mpz(2))
"""Sums need n alone, so a modulus of 64 bits serves."""
N2 = 0xF000_0000_0000_0001**2


def rows(values: list[int], width: int = SMALL.width) -> np.ndarray:
    return np.array([list(value.to_bytes(width, "little")) for value in values], np.uint8).reshape(
        -1, width
    )


def values(rows: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def octets(*texts: str) -> np.ndarray:
    return np.array([list(bytes.fromhex(text)) for text in texts], np.uint8)


elements = st.lists(st.integers(1, N2 - 1) | st.sampled_from([1, N2 - 1]), min_size=1, max_size=8)


@given(elements, st.data())
def test_segments_are_multiplied_as_in_plain_python(table: list[int], data: st.DataObject) -> None:
    row = st.integers(0, len(table) - 1)
    segments = data.draw(st.lists(st.lists(row, min_size=1, max_size=6), min_size=1, max_size=6))
    starts = np.cumsum([0] + [len(segment) for segment in segments[:-1]])
    summed = accumulate(SMALL, rows(table), np.concatenate(segments), starts)
    assert (summed.dtype, summed.shape) == (np.uint8, (len(segments), SMALL.width))
    assert values(summed) == [prod(table[i] for i in segment) % N2 for segment in segments]


@given(elements, st.data(), st.integers(2, 5))
def test_threads_share_segments_and_long_ones_too(
    table: list[int], data: st.DataObject, threads: int
) -> None:
    row = st.integers(0, len(table) - 1)
    segments = data.draw(st.lists(st.lists(row, min_size=1, max_size=20), min_size=1, max_size=6))
    starts = np.cumsum([0] + [len(segment) for segment in segments[:-1]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xstat_ray.crypto.sums.thread_count", lambda: threads)
        patch.setattr("xstat_ray.util.threads.thread_count", lambda: threads)
        patch.setattr("xstat_ray.crypto.sums._LEAST_ROWS", 1)
        summed = accumulate(SMALL, rows(table), np.concatenate(segments), starts)
    assert values(summed) == [prod(table[i] for i in segment) % N2 for segment in segments]


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64])
def test_rows_may_repeat_within_and_across_segments(dtype: type) -> None:
    table = [3, N2 - 2, 5]
    summed = accumulate(
        SMALL, rows(table), np.array([1, 1, 1, 0, 1, 2, 2], dtype), np.array([0, 3, 4], dtype)
    )
    assert values(summed) == [(-8) % N2, 3, (-50) % N2]


@pytest.mark.parametrize(
    "starts", [[], [1], [0, 0], [0, 2, 2], [0, 3], [0, 4], [0, 2, 1], [2, 0], [-1, 1]]
)
def test_empty_and_unsorted_segments_are_refused(starts: list[int]) -> None:
    with pytest.raises(ValueError, match="segments must begin at 0 and none may be empty"):
        accumulate(SMALL, rows([1, 2, 3]), np.array([0, 1, 2]), np.array(starts, np.int64))


def test_a_sum_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="none may be empty"):
        accumulate(SMALL, rows([]), np.array([], np.int64), np.array([0]))


@pytest.mark.parametrize("wrong", [0, N2, N2 + 1, 2**128 - 1])
def test_a_row_out_of_range_is_refused(wrong: int) -> None:
    table = rows([1, 2, 3, wrong])
    with pytest.raises(ProtocolError, match="row 3 is not a ciphertext: out of range"):
        accumulate(SMALL, table, np.array([1, 3]), np.array([0, 1]))
    with pytest.raises(ProtocolError, match="row 3 is not a ciphertext: out of range"):
        multiply(SMALL, rows([1] * 4), table)
    with pytest.raises(ProtocolError, match="row 3 is not a ciphertext: out of range"):
        multiply(SMALL, table, rows([1] * 4))


@pytest.mark.parametrize("row", [-1, -2, 2, 2**40])
def test_a_row_that_does_not_exist_is_refused(row: int) -> None:
    with pytest.raises(IndexError, match=f"there is no row {row}, but 2 rows"):
        accumulate(SMALL, rows([1, 2]), np.array([0, row]), np.array([0]))


@pytest.mark.parametrize("fixture", ["private_key", "private_key_3072"])
def test_rows_out_of_range_are_refused_at_every_key_size(
    fixture: str, request: pytest.FixtureRequest
) -> None:
    public = request.getfixturevalue(fixture).public
    n2 = int(public.n2)
    all_ones = 256**public.width - 1
    for wrong in (0, n2, n2 + 1, n2 + 256, all_ones):
        table = rows([1, 2, n2 - 1, wrong], public.width)
        with pytest.raises(ProtocolError, match="row 3 is not a ciphertext: out of range"):
            accumulate(public, table, np.array([1, 3]), np.array([0]))
        assert values(accumulate(public, table, np.array([1, 2]), np.array([0]))) == [n2 - 2]


def test_rows_of_another_key_size_are_refused() -> None:
    for table in (
        rows([1, 2], SMALL.width + 8),
        rows([1, 2]).astype(np.uint16),
        rows([1, 2]).ravel(),
    ):
        with pytest.raises(ProtocolError, match="rows of 16 bytes"):
            accumulate(SMALL, table, np.array([0, 1]), np.array([0]))


def test_any_layout_of_the_rows_is_taken() -> None:
    table = rows([2, 3, 5, 7])
    for layout in (np.asfortranarray(table), np.repeat(table, 2, axis=0)[::2]):
        assert values(accumulate(SMALL, layout, np.array([0, 9, 1, 9, 3])[::2], np.array([0]))) == [
            42
        ]


@given(st.lists(st.tuples(st.integers(1, N2 - 1), st.integers(1, N2 - 1)), max_size=8))
def test_pairs_are_multiplied_as_in_plain_python(pairs: list[tuple[int, int]]) -> None:
    product = multiply(SMALL, rows([a for a, _ in pairs]), rows([b for _, b in pairs]))
    assert (product.dtype, product.shape) == (np.uint8, (len(pairs), SMALL.width))
    assert values(product) == [a * b % N2 for a, b in pairs]


@pytest.mark.parametrize(("left", "right"), [(2, 3), (3, 2), (0, 1)])
def test_every_row_needs_its_pair(left: int, right: int) -> None:
    with pytest.raises(ValueError, match="paired"):
        multiply(SMALL, rows([1] * left), rows([1] * right))


@pytest.mark.parametrize(
    "case", VECTORS["good"]["sums"], ids=lambda case: f"{len(case['of'])} rows"
)
def test_sums_are_those_of_the_vectors(case: dict[str, object]) -> None:
    public = PublicKey.decode(bytes.fromhex(VECTORS["public_key"]))
    table = octets(*(good["row"] for good in VECTORS["good"]["owner"]))
    summed = accumulate(public, table, np.array(case["of"]), np.array([0]))
    assert summed.tobytes().hex() == case["row"]


def test_products_encrypt_sums(private_key: PrivateKey) -> None:
    encrypted = OwnerEncryptor(private_key, 5).encrypt([1, 20, 300, private_key.public.n - 1, 4000])
    summed = accumulate(
        private_key.public, encrypted, np.array([0, 1, 2, 4, 1, 1, 3]), np.array([0, 4, 6])
    )
    assert private_key.decrypt(summed) == [4321, 40, private_key.public.n - 1]
    assert private_key.decrypt(multiply(private_key.public, summed, summed[::-1])) == [
        4320,
        80,
        4320,
    ]


units = st.integers(1, N2 - 1).filter(lambda value: gcd(value, int(SMALL.n)) == 1)


@given(st.lists(st.tuples(st.integers(1, N2 - 1), units), max_size=8))
def test_what_is_multiplied_in_is_divided_out_to_the_byte(pairs: list[tuple[int, int]]) -> None:
    left = rows([first for first, _ in pairs])
    right = rows([second for _, second in pairs])
    assert (divide(SMALL, multiply(SMALL, left, right), right) == left).all()


def test_nothing_is_divided_by_what_is_no_ciphertext() -> None:
    for wrong, why in ((0, "out of range"), (N2, "out of range"), (int(SMALL.n), "not coprime")):
        with pytest.raises(ProtocolError, match=f"row 1 is not a ciphertext: {why}"):
            divide(SMALL, rows([1, 2]), rows([3, wrong]))
    with pytest.raises(ValueError, match="cannot be paired"):
        divide(SMALL, rows([1, 2]), rows([3]))
