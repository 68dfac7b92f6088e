from __future__ import annotations

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
INVALID = [encoding for encodings in RISTRETTO["invalid"].values() for encoding in encodings]


def scalar(value: int) -> bytes:
    return value.to_bytes(32, "little")


def rows(*encodings: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(encodings)), dtype=np.uint8).reshape(-1, 32)


IDENTITY, GENERATOR, *_ = RISTRETTO["multiples"]
MULTIPLES = rows(*RISTRETTO["multiples"][1:])


def test_vector_files_are_complete() -> None:
    assert len(RISTRETTO["multiples"]) == 16
    assert len(INVALID) == 29
    assert len(OPRF["vectors"]) == 2


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


@pytest.mark.parametrize("case", OPRF["vectors"])
def test_blinded_elements_of_rfc_9497(case: dict[str, str]) -> None:
    product = group.multiply(bytes.fromhex(OPRF["skSm"]), rows(case["BlindedElement"]))
    assert product.tobytes().hex() == case["EvaluationElement"]


@given(st.integers(1, group.ORDER - 1), st.integers(1, group.ORDER - 1))
@settings(max_examples=30)
def test_multiplication_follows_the_scalars(a: int, b: int) -> None:
    twice = group.multiply(scalar(a), group.multiply(scalar(b), rows(GENERATOR)))
    assert np.array_equal(twice, group.multiply(scalar(a * b % group.ORDER), rows(GENERATOR)))


def test_layout_does_not_change_the_product() -> None:
    a = scalar(group.ORDER // 3)
    expected = np.concatenate([group.multiply(a, MULTIPLES[row : row + 1]) for row in range(15)])
    assert len(np.unique(expected, axis=0)) == 15
    points = np.asfortranarray(MULTIPLES)
    points.flags.writeable = False
    assert np.array_equal(group.multiply(a, points), expected)
    group.validate(points)


def test_threads_share_the_rows_and_name_a_bad_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xstat_ray.util.threads.thread_count", lambda: 3)
    points = np.tile(MULTIPLES[1:], (14, 1))
    assert len(points) > 3 * 64
    products = group.multiply(scalar(7), points)
    assert np.array_equal(products, np.tile(group.multiply(scalar(7), MULTIPLES[1:]), (14, 1)))
    points[150] = 0
    with pytest.raises(ProtocolError, match=r"^row 150 is the identity$"):
        group.multiply(scalar(7), points)


def test_no_rows() -> None:
    empty = np.empty((0, 32), dtype=np.uint8)
    group.validate(empty)
    assert group.multiply(scalar(1), empty).shape == (0, 32)


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
    for refuse in (group.validate, lambda p: group.multiply(scalar(1), p)):
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


def test_importing_leaves_no_file_behind(tmp_path: Path) -> None:
    code = """
import tempfile
from xstat_ray.crypto.oblivious_transfer import OtSender
assert any(OtSender((1).to_bytes(32, "little")).offer)
print(tempfile.gettempdir())
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []
