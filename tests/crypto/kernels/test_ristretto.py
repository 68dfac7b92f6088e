"""The ristretto255 kernels against libsodium, RFC 9496 and arithmetic on Python's integers.

`native` is the extension as built or, where the processor lacks AVX-512 IFMA, emulated. The
programs of `driver` are the same C source under sanitizers and for valgrind; "plain" runs on any
processor with a C compiler.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crypto.kernels import extension
from tests.sizes import first, thorough
from xstat_ray.crypto import sodium
from xstat_ray.crypto.group import ORDER
from xstat_ray.crypto.kernels.interface import RowError
from xstat_ray.crypto.kernels.portable import Portable

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)

HERE = Path(__file__).parent
SOURCE = Path(__file__).parents[3] / "xstat_ray/crypto/kernels/native"
RISTRETTO = json.loads((HERE.parents[1] / "vectors" / "rfc9496_ristretto255.json").read_text())
INVALID = [
    bytes.fromhex(encoding) for encodings in RISTRETTO["invalid"].values() for encoding in encodings
]
MULTIPLES = np.array(
    [list(bytes.fromhex(encoding)) for encoding in RISTRETTO["multiples"]], np.uint8
)

SCALARS = [
    *range(1, 20),
    *(2**bit for bit in range(4, 252, 13)),
    *(2**bit - 1 for bit in range(8, 253, 17)),
    *(digit * (16**63 - 1) // 15 for digit in (1, 7, 8, 9, 15)),
    ORDER - 1,
    ORDER - 2,
    (ORDER + 1) // 2,
]
UNREDUCED = [
    ORDER + 1,
    2 * ORDER - 1,
    2**253,
    2**255 - 1,
    2**256 - 1,
    2**255 + 5,
    int("8" * 64, 16),
    int("7f" * 32, 16),
]
FLAGS = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-DXR_SMALL_CODE", f"-I{SOURCE}"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
PLAIN = ["-include", str(HERE / "native" / "plain_wide.h")]


@pytest.fixture(scope="module", params=first(1, ["plain", "wide"]))
def driver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, bytes], bytes]:
    """Call with mode and input: the output of ristretto_driver.c under two sanitizers."""
    if request.param == "wide" and extension.installed() is None:
        pytest.skip("this processor has no AVX-512 IFMA")
    options = [*SANITIZERS, *(["-DCHECKED", *PLAIN] if request.param == "plain" else [])]
    program = build(tmp_path_factory.mktemp(request.param) / "ristretto", options)
    return lambda mode, data: run([str(program), mode], data)


def build(program: Path, options: list[str]) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    sources = [str(HERE / "native" / "ristretto_driver.c"), str(SOURCE / "ristretto255.c")]
    done = subprocess.run(
        [compiler, *FLAGS, *options, "-o", str(program), *sources], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return program


def run(command: list[str], data: bytes) -> bytes:
    done = subprocess.run(command, input=data, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def multiply(native: ModuleType, scalar: int, points: np.ndarray) -> tuple[int, np.ndarray]:
    products = np.empty_like(points)
    return native.ristretto_multiply(products, points, scalar.to_bytes(32, "little")), products


def from_hash(native: ModuleType, digests: np.ndarray) -> np.ndarray:
    points = np.empty((len(digests), 32), np.uint8)
    native.ristretto_from_hash(points, digests)
    return points


def portable(scalar: int, points: np.ndarray) -> tuple[int, np.ndarray]:
    try:
        return 0, Portable().group_multiply(scalar.to_bytes(32, "little"), points)
    except RowError as refused:
        return 1 + refused.row, points


def random_bytes(seed: int, rows: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, width), dtype=np.uint8)


def rows_of(encodings: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(encodings), np.uint8).reshape(-1, 32)


def is_square(x: int) -> bool:
    return pow(x, (P - 1) // 2, P) in (0, 1)


def square_root(x: int) -> int:
    root = pow(x, (P + 3) // 8, P)
    return root if root * root % P == x % P else root * SQRT_M1 % P


def decodes(encoding: bytes) -> bool:
    """Whether RFC 9496, section 4.3.1, accepts an encoding."""
    s = int.from_bytes(encoding, "little")
    if s >= P or s & 1:
        return False
    u1 = (1 - s * s) % P
    u2 = (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    # SQRT_RATIO_M1 reports no square for 1 / 0.
    if v * u2 % P == 0 or not is_square(v * u2 * u2):
        return False
    inverse_root = square_root(pow(v * u2 * u2, -1, P))
    x = 2 * s * inverse_root * u2 % P
    x = P - x if x & 1 else x
    y = u1 * inverse_root * inverse_root * u2 * v % P
    return y != 0 and not x * y % P & 1


def exceptional_digests() -> np.ndarray:
    """Digests whose halves are bounds of the field, with bit 255 or not, or zeros of the map."""
    halves = [0, 1, 2, P - 2, P - 1, P, P + 1, P + 18, 2**255 - 1, SQRT_M1, P - SQRT_M1]
    for r in (-1, 1, -D, -pow(D, -1, P)):
        if is_square(t2 := r * pow(SQRT_M1, -1, P)):
            halves.append(square_root(t2))
    halves += [half | 1 << 255 for half in halves]
    return rows_of([(a << 256 | b).to_bytes(64, "little") for a in halves for b in halves]).reshape(
        -1, 64
    )


@pytest.mark.parametrize("factor", range(1, 16))
def test_multiples_of_the_generator(native: ModuleType, factor: int) -> None:
    assert np.array_equal(
        multiply(native, factor, MULTIPLES[1:2])[1], MULTIPLES[factor : factor + 1]
    )


def test_one_way_map_of_the_rfc(native: ModuleType) -> None:
    digests = np.array([list(bytes.fromhex(case["input"])) for case in RISTRETTO["map"]], np.uint8)
    assert [row.tobytes().hex() for row in from_hash(native, digests)] == [
        case["output"] for case in RISTRETTO["map"]
    ]


def check_against_libsodium(native: ModuleType, seed: int, rows: int, scalars: list[int]) -> None:
    digests = np.concatenate([random_bytes(seed, rows, 64), exceptional_digests()])
    points = from_hash(native, digests)
    assert np.array_equal(points, Portable().group_hash(digests))
    points = np.concatenate([points[points.any(axis=1)], MULTIPLES[1:]])
    for scalar in scalars:
        expected = portable(scalar, points)
        assert expected[0] == 0
        refused, products = multiply(native, scalar, points)
        assert refused == 0
        assert np.array_equal(products, expected[1])


def test_equal_to_libsodium(native: ModuleType) -> None:
    check_against_libsodium(native, 1, 1000, [random.Random(1).randrange(1, ORDER)])


@pytest.mark.slow
def test_equal_to_libsodium_at_length(native: ModuleType) -> None:
    draw = random.Random(2)
    check_against_libsodium(native, 2, 20_000, [draw.randrange(1, ORDER) for _ in range(10)])


@pytest.mark.parametrize("scalar", [*SCALARS, *UNREDUCED])
def test_scalars_at_the_edges(native: ModuleType, scalar: int) -> None:
    expected = portable(scalar, MULTIPLES[1:])
    refused, products = multiply(native, scalar, MULTIPLES[1:])
    assert refused == expected[0] == 0
    assert np.array_equal(products, expected[1])


@given(st.integers(0, 2**256 - 1))
@settings(max_examples=100)
def test_any_scalar(native: ModuleType, scalar: int) -> None:
    points = MULTIPLES[1:9]
    refused, products = multiply(native, scalar, points)
    expected = portable(scalar, points)
    assert refused == expected[0]
    assert refused or np.array_equal(products, expected[1])


@given(rows=st.integers(0, 17), seed=st.integers(0, 2**32), scalar=st.integers(1, ORDER - 1))
@settings(max_examples=40)
def test_every_length(native: ModuleType, rows: int, seed: int, scalar: int) -> None:
    digests = random_bytes(seed, rows, 64)
    points = from_hash(native, digests)
    assert np.array_equal(points, Portable().group_hash(digests))
    refused, products = multiply(native, scalar, points)
    assert refused == 0
    assert np.array_equal(products, portable(scalar, points)[1])


@pytest.mark.parametrize("rows", range(18))
def test_nothing_is_written_beyond_the_rows(native: ModuleType, rows: int) -> None:
    memory = np.full((rows + 2, 32), 0xA5, np.uint8)
    points = from_hash(native, random_bytes(rows, rows, 64))
    native.ristretto_multiply(memory[1:-1], points, bytes([3] + [0] * 31))
    native.ristretto_from_hash(memory[1:-1], random_bytes(rows, rows, 64))
    assert (memory[[0, -1]] == 0xA5).all()


def test_products_may_replace_the_points(native: ModuleType) -> None:
    points = MULTIPLES[1:].copy()
    assert native.ristretto_multiply(points, points, (2).to_bytes(32, "little")) == 0
    assert np.array_equal(points[:7], MULTIPLES[2::2])


@pytest.mark.parametrize("encoding", [*INVALID, bytes(32)], ids=bytes.hex)
def test_refused_encodings_of_the_rfc(native: ModuleType, encoding: bytes) -> None:
    for row in (0, 1, 7, 8, 14):
        points = MULTIPLES[1:].copy()
        points[row] = list(encoding)
        assert multiply(native, 5, points)[0] == portable(5, points)[0] == 1 + row


@given(
    st.dictionaries(st.integers(0, 16), st.sampled_from([*INVALID[::5], bytes(32)]), max_size=3),
    st.booleans(),
)
@settings(max_examples=60)
def test_the_first_refused_row_is_named(
    native: ModuleType, refused: dict[int, bytes], identities: bool
) -> None:
    points = np.resize(MULTIPLES[1:], (17, 32))
    for row, encoding in refused.items():
        points[row] = list(encoding)
    expected = 1 if identities else 1 + min(refused, default=-1)
    scalar = 0 if identities else 3
    assert multiply(native, scalar, points)[0] == portable(scalar, points)[0] == expected


@pytest.mark.parametrize("scalar", [0, ORDER, 2**255, 2**255 + ORDER])
def test_products_that_are_the_identity_are_refused(native: ModuleType, scalar: int) -> None:
    assert multiply(native, scalar, MULTIPLES[1:])[0] == portable(scalar, MULTIPLES[1:])[0] == 1


def check_decoding(native: ModuleType, encodings: np.ndarray) -> int:
    """Each encoding is refused as RFC 9496 says, the identity too, and otherwise comes back.

    How many were accepted.
    """
    accepted = 0
    for row in range(len(encodings)):
        encoding = encodings[row : row + 1]
        refused, product = multiply(native, 1, encoding)
        assert refused == portable(1, encoding)[0]
        valid = decodes(encoding.tobytes())
        assert refused == (not valid or not encoding.any())
        below = encoding & np.array([0xFF] * 31 + [0x7F], np.uint8)
        assert sodium.is_valid_point(encoding.ctypes.data) == decodes(below.tobytes())
        if valid:
            accepted += 1
            assert np.array_equal(product, encoding)
    return accepted


def damaged(native: ModuleType, seed: int, rows: int) -> np.ndarray:
    """Encodings of elements with one bit turned."""
    points = from_hash(native, random_bytes(seed, rows, 64))
    draw = np.random.default_rng(seed)
    points[np.arange(rows), draw.integers(0, 32, rows)] ^= (1 << draw.integers(0, 8, rows)).astype(
        np.uint8
    )
    return points


def test_decoding_at_the_bounds_of_the_field(native: ModuleType) -> None:
    bounds = [
        b + k for b in (0, P, 2**255, P + 2**255) for k in range(-40, 40) if 0 <= b + k < 2**256
    ]
    check_decoding(native, rows_of([bound.to_bytes(32, "little") for bound in bounds]))


def test_random_decoding(native: ModuleType) -> None:
    rows = 200 if extension.emulated() else 1000
    random_rows = random_bytes(3, rows, 32)
    random_rows[::2, 0] &= 0xFE
    random_rows[::2, 31] &= 0x7F
    assert 0.06 * rows < check_decoding(native, random_rows) < 0.19 * rows
    check_decoding(native, damaged(native, 4, rows // 2))


@pytest.mark.slow
def test_random_decoding_at_length(native: ModuleType) -> None:
    check_decoding(native, random_bytes(5, 20_000, 32))
    check_decoding(native, damaged(native, 6, 20_000))


def test_bit_255_is_refused_although_libsodium_ignores_it(native: ModuleType) -> None:
    points = MULTIPLES[1:] | np.array([0] * 31 + [0x80], np.uint8)
    for row in range(len(points)):
        assert sodium.is_valid_point(points[row].ctypes.data) == 1
        assert (
            multiply(native, 1, points[row : row + 1])[0]
            == portable(1, points[row : row + 1])[0]
            == 1
        )


def field_input(pairs: list[tuple[list[int], list[int]]]) -> bytes:
    """Eight pairs of five limbs as the driver reads them: limb by limb, eight lanes each."""
    numbers = [[pair[side][limb] for pair in pairs] for side in range(2) for limb in range(5)]
    return struct.pack("<80Q", *(lane for limb in numbers for lane in limb))


LARGEST_LIMB = 2**51 + 2**12 - 1
limbs = st.lists(
    st.one_of(
        st.sampled_from([0, 1, 18, 19, 2**51 - 19, 2**51 - 1, 2**51, LARGEST_LIMB]),
        st.integers(0, LARGEST_LIMB),
    ),
    min_size=5,
    max_size=5,
)


@thorough
@given(st.lists(st.tuples(limbs, limbs), min_size=8, max_size=8))
@settings(max_examples=60)
def test_field_arithmetic_keeps_its_bounds(
    driver: Callable[[str, bytes], bytes], pairs: list[tuple[list[int], list[int]]]
) -> None:
    pairs[0] = ([LARGEST_LIMB] * 5, [LARGEST_LIMB] * 5)
    pairs[1] = ([0] * 5, [LARGEST_LIMB] * 5)
    results = np.frombuffer(driver("field", field_input(pairs)), "<u8").reshape(5, 5, 8)
    assert results.max() <= LARGEST_LIMB
    for lane, (a, b) in enumerate(pairs):
        x, y = (sum(limb << 51 * k for k, limb in enumerate(number)) for number in (a, b))
        values = [
            sum(int(limb) << 51 * k for k, limb in enumerate(number))
            for number in results[:, :, lane]
        ]
        assert [value % P for value in values[:4]] == [
            x * y % P,
            x * x % P,
            (x + y) % P,
            (x - y) % P,
        ]
        assert values[4] == x % P
        assert results[4, :, lane].max() < 2**51


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 17])
def test_under_sanitizers(driver: Callable[[str, bytes], bytes], rows: int) -> None:
    digests = random_bytes(rows, rows, 64)
    scalar = random.Random(rows).randrange(1, ORDER)
    points = Portable().group_hash(digests)
    assert driver("map", digests.tobytes()) == points.tobytes()
    products = driver("multiply", scalar.to_bytes(32, "little") + points.tobytes())
    assert products == bytes(4) + portable(scalar, points)[1].tobytes()


def test_refusals_under_sanitizers(driver: Callable[[str, bytes], bytes]) -> None:
    for row, encoding in enumerate([*INVALID, bytes(32)]):
        points = np.resize(MULTIPLES[1:], (len(INVALID) + 1, 32))
        points[row:] = list(encoding)
        assert driver("multiply", (3).to_bytes(32, "little") + points.tobytes())[:4] == struct.pack(
            "<i", 1 + row
        )


def test_edges_under_sanitizers(driver: Callable[[str, bytes], bytes]) -> None:
    digests = exceptional_digests()
    assert driver("map", digests.tobytes()) == Portable().group_hash(digests).tobytes()
    for scalar in (1, 8, ORDER - 1, *UNREDUCED):
        products = driver("multiply", scalar.to_bytes(32, "little") + MULTIPLES[1:].tobytes())
        assert products == bytes(4) + portable(scalar, MULTIPLES[1:])[1].tobytes()


@pytest.mark.slow
def test_valgrind_sees_no_fault_and_no_dependence_on_the_scalar(tmp_path: Path) -> None:
    if not (shutil.which("valgrind") and Path("/usr/include/valgrind/memcheck.h").exists()):
        pytest.skip("no valgrind")
    program = build(tmp_path / "ristretto", PLAIN)
    suppressed = f"--suppressions={HERE / 'native' / 'ristretto.supp'}"
    command = ["valgrind", "--quiet", "--error-exitcode=9", suppressed, str(program)]
    digests = random_bytes(1, 17, 64)
    scalar = os.urandom(32)
    points = run([*command, "map"], digests.tobytes())
    assert points == Portable().group_hash(digests).tobytes()
    products = run([*command, "multiply"], scalar + points)
    assert (
        products[4:] == portable(int.from_bytes(scalar, "little"), rows_of([points]))[1].tobytes()
    )
