from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstat_ray.crypto import group, sodium
from xstat_ray.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "vectors"
RISTRETTO = json.loads((VECTORS / "rfc9496_ristretto255.json").read_text())
OPRF = json.loads((VECTORS / "rfc9497_oprf.json").read_text())
EXPAND = json.loads((VECTORS / "rfc9380_expand_message_xmd.json").read_text())
INVALID = [encoding for encodings in RISTRETTO["invalid"].values() for encoding in encodings]


def scalar(value: int) -> bytes:
    return value.to_bytes(32, "little")


def rows(*encodings: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(encodings)), dtype=np.uint8).reshape(-1, 32)


IDENTITY, GENERATOR, *_ = RISTRETTO["multiples"]
PERSONS = group.hash_to_group([b"person %d" % i for i in range(50)], group.PERSON_DST)


def test_vector_files_are_complete() -> None:
    assert len(RISTRETTO["multiples"]) == 16
    assert len(INVALID) == 29
    assert len(RISTRETTO["map"]) == 11
    assert len(OPRF["vectors"]) == 2
    assert len(EXPAND["vectors"]) == 10


@pytest.mark.parametrize("factor", range(1, 16))
def test_multiples_of_the_generator(factor: int) -> None:
    product = group.multiply(scalar(factor), rows(GENERATOR))
    assert product.tobytes().hex() == RISTRETTO["multiples"][factor]


@pytest.mark.parametrize("encoding", INVALID)
def test_invalid_encodings_are_refused_with_their_row(encoding: str) -> None:
    points = rows(GENERATOR, GENERATOR, encoding, GENERATOR)
    for refuse in (group.validate, lambda p: group.multiply(scalar(1), p)):
        with pytest.raises(
            ProtocolError, match=r"^row 2 is not the canonical encoding of a group element$"
        ):
            refuse(points)


@pytest.mark.parametrize("encoding", RISTRETTO["multiples"][1:])
def test_bit_255_is_refused_although_libsodium_ignores_it(encoding: str) -> None:
    points = rows(encoding).copy()
    points[0, 31] |= 0x80
    assert sodium.is_valid_point(points.ctypes.data) == 1
    for refuse in (group.validate, lambda p: group.multiply(scalar(1), p)):
        with pytest.raises(ProtocolError, match="row 0 is not the canonical"):
            refuse(points)


def test_the_identity_is_refused_with_its_row() -> None:
    points = rows(GENERATOR, IDENTITY)
    for refuse in (group.validate, lambda p: group.multiply(scalar(3), p)):
        with pytest.raises(ProtocolError, match=r"^row 1 is the identity$"):
            refuse(points)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_first_bad_row_is_named(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xstat_ray.util.threads.thread_count", lambda: threads)
    points = np.concatenate([PERSONS] * 4)
    points[[107, 140]] = rows(INVALID[5])[0]
    with pytest.raises(ProtocolError, match="row 107 "):
        group.multiply(scalar(5), points)


@pytest.mark.parametrize("case", RISTRETTO["map"])
def test_one_way_map(case: dict[str, str]) -> None:
    digest = bytes.fromhex(case["input"])
    if "label" in case:
        assert hashlib.sha512(case["label"].encode()).digest() == digest
    point = np.empty(32, dtype=np.uint8)
    sodium.from_hash(point.ctypes.data, digest)
    assert point.tobytes().hex() == case["output"]


@pytest.mark.parametrize("case", EXPAND["vectors"])
def test_expand_message_xmd(case: dict[str, str]) -> None:
    expected = bytes.fromhex(case["uniform_bytes"])
    assert (
        group.expand_message_xmd(case["msg"].encode(), EXPAND["dst"].encode(), len(expected))
        == expected
    )


@pytest.mark.parametrize(
    ("dst", "length"), [(b"", 64), (b"x" * 256, 64), (b"x", 0), (b"x", 255 * 64 + 1)]
)
def test_expand_message_xmd_refuses_sizes_outside_the_rfc(dst: bytes, length: int) -> None:
    with pytest.raises(ValueError, match="expand_message_xmd"):
        group.expand_message_xmd(b"message", dst, length)


@pytest.mark.parametrize("case", OPRF["vectors"])
def test_hash_to_group_blinded_and_evaluated(case: dict[str, str]) -> None:
    point = group.hash_to_group([bytes.fromhex(case["Input"])], bytes.fromhex(OPRF["dst"]))
    blinded = group.multiply(bytes.fromhex(case["Blind"]), point)
    assert blinded.tobytes().hex() == case["BlindedElement"]
    assert (
        group.multiply(bytes.fromhex(OPRF["skSm"]), blinded).tobytes().hex()
        == case["EvaluationElement"]
    )


def test_blinding_by_two_parties_commutes() -> None:
    a = group.random_scalar()
    b = group.random_scalar()
    there = group.multiply(a, group.multiply(b, PERSONS))
    assert np.array_equal(there, group.multiply(b, group.multiply(a, PERSONS)))
    assert len(np.unique(there, axis=0)) == len(PERSONS)


@given(st.integers(1, group.ORDER - 1), st.integers(1, group.ORDER - 1))
@settings(max_examples=30)
def test_multiplication_follows_the_scalars(a: int, b: int) -> None:
    twice = group.multiply(scalar(a), group.multiply(scalar(b), rows(GENERATOR)))
    assert np.array_equal(twice, group.multiply(scalar(a * b % group.ORDER), rows(GENERATOR)))


@pytest.mark.parametrize("threads", [1, 2, 5, 64])
def test_threads_and_layout_do_not_change_the_product(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = group.random_scalar()
    expected = np.concatenate(
        [group.multiply(a, PERSONS[row : row + 1]) for row in range(len(PERSONS))] * 7
    )
    monkeypatch.setattr("xstat_ray.util.threads.thread_count", lambda: threads)
    points = np.asfortranarray(np.concatenate([PERSONS] * 7))
    points.flags.writeable = False
    assert np.array_equal(group.multiply(a, points), expected)
    group.validate(points)


def test_no_rows() -> None:
    empty = np.empty((0, 32), dtype=np.uint8)
    group.validate(empty)
    assert group.multiply(scalar(1), empty).shape == (0, 32)
    assert group.hash_to_group([], group.PERSON_DST).shape == (0, 32)
    assert group.person_keys(empty).shape == (0, 12)


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((2, 31), np.uint8),
        np.zeros(32, np.uint8),
        np.zeros((2, 32), np.int8),
        np.zeros((1, 2, 32), np.uint8),
    ],
)
def test_other_shapes_and_types_are_refused(points: np.ndarray) -> None:
    for refuse in (group.validate, group.person_keys, lambda p: group.multiply(scalar(1), p)):
        with pytest.raises(ProtocolError, match="array of bytes"):
            refuse(points)


@pytest.mark.parametrize(
    "bad", [bytes(32), scalar(group.ORDER), b"\xff" * 32, scalar(1)[:31], scalar(1) + b"\0", b""]
)
def test_scalars_out_of_range_are_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match="scalar"):
        group.multiply(bad, rows(GENERATOR))


def test_order_is_the_order_of_the_generator() -> None:
    minus_one = group.multiply(scalar(group.ORDER - 1), rows(GENERATOR))
    assert np.array_equal(group.multiply(scalar(group.ORDER - 1), minus_one), rows(GENERATOR))


def test_random_scalars_are_in_range_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {group.random_scalar() for _ in range(100)}
    assert len(drawn) == 100
    assert all(0 < int.from_bytes(s, "little") < group.ORDER for s in drawn)
    for extreme, expected in ((lambda bound: 0, 1), (lambda bound: bound - 1, group.ORDER - 1)):
        monkeypatch.setattr(group.secrets, "randbelow", extreme)
        assert group.random_scalar() == scalar(expected)


def test_importing_leaves_no_file_behind(tmp_path: Path) -> None:
    code = """
import tempfile
from xstat_ray.crypto import group
assert group.multiply((1).to_bytes(32, "little"), group.hash_to_group([b"x"], b"dst")).any()
print(tempfile.gettempdir())
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []
