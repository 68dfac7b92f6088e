"""Writes oblivious_transfer.json: Chou and Orlandi's transfers on integers, without the code under test.

The group is RFC 9496's, from its formulas (sections 4.3.1 and 4.3.2). Run from the root of the repository:
python tests/vectors/make_oblivious_transfer.py
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
GENERATOR = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")

Point = tuple[int, int]
"""Affine coordinates on the Edwards curve -x^2 + y^2 = 1 + d x^2 y^2."""


def inverse_root(u: int, v: int) -> tuple[bool, int]:
    """SQRT_RATIO_M1 of section 4.2."""
    r = u * v**3 * pow(u * v**7, (P - 5) // 8, P) % P
    check = v * r * r % P
    square = check in (u % P, -u % P)
    if check in (-u % P, -u * SQRT_M1 % P):
        r = r * SQRT_M1 % P
    return square, min(r, P - r) if r % 2 else r


def absolute(x: int) -> int:
    return -x % P if x % P % 2 else x % P


def decode(encoding: bytes) -> Point:
    s = int.from_bytes(encoding, "little")
    u1 = (1 - s * s) % P
    u2 = (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    square, root = inverse_root(1, v * u2 * u2 % P)
    assert square
    root = absolute(root)
    x = absolute(2 * s * root * u2)
    y = u1 * root * root * u2 * v % P
    return x, y


INV_SQRT_A_MINUS_D = absolute(inverse_root(1, -1 - D)[1])


def encode(point: Point) -> bytes:
    x, y = point
    t = x * y % P
    u1 = (1 + y) * (1 - y) % P
    u2 = t
    root = inverse_root(1, u1 * u2 * u2 % P)[1]
    den1 = root * u1 % P
    den2 = root * u2 % P
    z_inverse = den1 * den2 * t % P
    if t * z_inverse % P % 2:
        x, y = y * SQRT_M1 % P, x * SQRT_M1 % P
        den = den1 * INV_SQRT_A_MINUS_D % P
    else:
        den = den2
    if x * z_inverse % P % 2:
        y = -y % P
    return absolute(den * (1 - y)).to_bytes(32, "little")


def add(a: Point, b: Point) -> Point:
    x1, y1 = a
    x2, y2 = b
    k = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P,
    )


def times(scalar: int, point: Point) -> Point:
    product = (0, 1)
    for bit in f"{scalar:b}":
        product = add(product, product)
        if bit == "1":
            product = add(product, point)
    return product


def case(seed: str, context: bytes, bits: list[int]) -> dict[str, object]:
    a = int.from_bytes(hashlib.sha512(seed.encode()).digest(), "little") % ORDER
    secret = hashlib.sha256(seed.encode()).digest()
    generator = decode(GENERATOR)
    offered = times(a, generator)
    offer = encode(offered)
    packed = sum(bit << i for i, bit in enumerate(bits)).to_bytes(-(-len(bits) // 8), "little")
    domain = b"xstat-ray v2 oblivious transfer choices"
    expanded = hashlib.sha512(domain + secret + offer + packed + context).digest()
    answers = []
    pairs = []
    chosen = []

    def key(i: int, answer: bytes, shared: bytes) -> str:
        message = b"xstat-ray v2 oblivious transfer key" + len(context).to_bytes(8, "little")
        message += context + i.to_bytes(8, "little") + offer + answer + shared
        return hashlib.sha512(message).digest()[:16].hex()

    for i, bit in enumerate(bits):
        message = b"xstat-ray v2 oblivious transfer scalar" + expanded + i.to_bytes(8, "little")
        b = int.from_bytes(hashlib.sha512(message).digest(), "little") % ORDER
        point = times(b, generator)
        if bit:
            point = add(point, offered)
        answer = encode(point)
        x, y = offered
        zero = encode(times(a, point))
        one = encode(times(a, add(point, (-x % P, y))))
        answers.append(answer.hex())
        pairs.append([key(i, answer, zero), key(i, answer, one)])
        chosen.append(key(i, answer, encode(times(b, offered))))
    return {
        "scalar": a.to_bytes(32, "little").hex(),
        "seed": secret.hex(),
        "context": context.hex(),
        "bits": bits,
        "offer": offer.hex(),
        "answers": answers,
        "keys": pairs,
        "chosen": chosen,
    }


def vectors() -> dict[str, object]:
    return {
        "source": "made by make_oblivious_transfer.py",
        "vectors": [
            case("first", b"", [0, 1, 1, 0, 1]),
            case("second", b"view 1, attempt 2", [1, 0]),
        ],
    }


if __name__ == "__main__":
    (HERE / "oblivious_transfer.json").write_text(json.dumps(vectors(), indent=1) + "\n")
