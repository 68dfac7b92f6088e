"""Writes paillier.json: a key, ciphertexts and their products by `pow` alone, without the code under test.

Run from the root of the repository: python tests/vectors/make_paillier.py
"""

from __future__ import annotations

import json
from hashlib import shake_256
from math import gcd, prod
from pathlib import Path

HERE = Path(__file__).parent
KEY_BITS = 2048
ORDER_BITS = 224
PUBLIC_BITS = 512
WIDTH = KEY_BITS // 4
SMALL_PRIMES = [i for i in range(3, 2000, 2) if all(i % j for j in range(3, 45, 2) if j < i)]
PRIME = 2**2048 - 1557


def number(label: str, bits: int) -> int:
    """A number of exactly `bits` bits that anyone can make again."""
    return int.from_bytes(shake_256(label.encode()).digest(bits // 8), "big") | 1 << (bits - 1)


def is_prime(candidate: int) -> bool:
    """Miller and Rabin, to the first twelve prime bases."""
    if gcd(candidate, prod(SMALL_PRIMES)) != 1 or candidate % 2 == 0:
        return False
    odd = candidate - 1
    twos = 0
    while odd % 2 == 0:
        odd = odd // 2
        twos = twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        x = pow(base, odd, candidate)
        if x != 1 and candidate - 1 not in (pow(x, 2**i, candidate) for i in range(twos)):
            return False
    return True


def make_key() -> dict[str, int]:
    primes = []
    for name in ("p", "q"):
        order = number(f"order of {name}", ORDER_BITS) | 1
        while not is_prime(order):
            order += 2
        # The two highest bits of the prime are set, so that the product of two has all bits.
        factor = (3 << KEY_BITS // 2 - 2 | number(name, KEY_BITS // 2 - 2)) // (2 * order) | 1
        while not is_prime(2 * order * factor + 1):
            factor += 2
        primes.append((2 * order * factor + 1, order))
    (p, alpha), (q, beta) = primes
    assert gcd(p - 1, q - 1) == 2
    assert (p * q).bit_length() == KEY_BITS
    n = p * q
    y = pow(number("y", KEY_BITS), (p - 1) * (q - 1) // (alpha * beta), n)
    h = pow(y, n, n * n)
    assert pow(h, alpha, n * n) != 1 != pow(h, beta, n * n)
    return {"p": p, "q": q, "alpha": alpha, "beta": beta, "n": n, "y": y, "h": h}


def row(value: int, width: int = WIDTH) -> str:
    return value.to_bytes(width, "little").hex()


def public_key(n: int, h: int, key_bits: int = KEY_BITS) -> str:
    return row(n, key_bits // 8) + row(h, key_bits // 4)


def good(key: dict[str, int]) -> dict[str, object]:
    alpha, beta, n, h = (key[name] for name in ("alpha", "beta", "n", "h"))
    n2 = n * n
    power_of_g = {
        m: pow(n + 1, m, n2)
        for m in (0, 1, n - 1, n // 2, 1 << KEY_BITS - 2, number("m", KEY_BITS - 1))
    }
    messages = list(power_of_g)
    at_random = [
        (number(f"r{i}", ORDER_BITS) % alpha, number(f"s{i}", ORDER_BITS) % beta) for i in range(2)
    ]
    exponents = [
        (0, 0),
        (1, 1),
        (alpha - 1, beta - 1),
        (0, beta - 1),
        (alpha - 1, 0),
        (1, beta - 1),
        *at_random,
    ]
    owner = []
    ciphertexts = []
    for i in range(24):
        m = messages[i % len(messages)]
        (by_alpha, by_beta) = exponents[i % len(exponents)]
        r = by_alpha + alpha * ((by_beta - by_alpha) * pow(alpha, -1, beta) % beta)
        ciphertexts.append(power_of_g[m] * pow(h, r, n2) % n2)
        owner.append(
            {
                "m": f"{m:x}",
                "r_alpha": f"{by_alpha:x}",
                "r_beta": f"{by_beta:x}",
                "row": row(ciphertexts[-1]),
            }
        )
    public = []
    top = (1 << PUBLIC_BITS) - 1
    for i, r in enumerate(
        [0, 1, top, alpha * beta, alpha * beta - 1, number("r", PUBLIC_BITS), alpha, beta]
    ):
        m = messages[i % len(messages)]
        public.append(
            {"m": f"{m:x}", "r": f"{r:x}", "row": row(power_of_g[m] * pow(h, r, n2) % n2)}
        )
    stock = [
        {"m": f"{m:x}", "row": row(power_of_g[m] * pow(number(f"full {i}", KEY_BITS), n, n2) % n2)}
        for i, m in enumerate(messages[1:4])
    ]
    sums = [
        {
            "of": of,
            "m": f"{sum(messages[i % len(messages)] for i in of) % n:x}",
            "row": row(prod(ciphertexts[i] for i in of) % n2),
        }
        for of in ([0], [1, 2], [5, 5, 5], [2, 8, 14], list(range(24)), [23, 7, 7, 0])
    ]
    return {"owner": owner, "public": public, "stock": stock, "sums": sums}


def bad(key: dict[str, int]) -> dict[str, object]:
    p = key["p"]
    q = key["q"]
    n = key["n"]
    h = key["h"]
    ciphertexts = {
        "zero": 0,
        "the modulus": n * n,
        "above the modulus": n * n + 1,
        "all bits": (1 << 2 * KEY_BITS) - 1,
        "p": p,
        "a multiple of p": p * number("multiple", KEY_BITS),
        "a multiple of q": q * q * 3,
        "n": n,
    }
    sizes = {
        "nothing": "",
        "a byte short": public_key(n, h)[:-2],
        "a byte too many": public_key(n, h) + "00",
        "1024 bits": public_key(p, 5, 1024),
        "2056 bits": public_key(n << 8 | 1, h, 2056),
        "n of 2047 bits": public_key(n >> 1 | 1, h),
        "n is zero": public_key(0, h),
    }
    moduli = {
        "n is even": public_key(n - 1, h),
        "n is prime": public_key(PRIME, h),
        "n is a square": public_key(p * p, h),
        "n is a cube": public_key((number("root", 680) | 5 << 680 | 1) ** 3, h),
    }
    generators = {
        "h is 0": public_key(n, 0),
        "h is 1": public_key(n, 1),
        "h is p": public_key(n, p),
        "h is a multiple of q": public_key(n, q * number("multiple", KEY_BITS)),
        "h is n^2": public_key(n, n * n),
        "h is above n^2": public_key(n, n * n + 2),
    }
    return {
        "ciphertexts": [
            {
                "why": why,
                "problem": "not coprime" if 0 < value < n * n else "out of range",
                "row": row(value),
            }
            for why, value in ciphertexts.items()
        ],
        "messages": [
            {"why": why, "m": f"{m:x}"} for why, m in {"-1": -1, "n": n, "n^2": n * n}.items()
        ],
        "public_keys": [
            {"why": why, "problem": problem, "key": data}
            for problem, keys in (
                ("size", sizes),
                ("not a product of two primes", moduli),
                ("generator", generators),
            )
            for why, data in keys.items()
        ],
    }


def vectors() -> dict[str, object]:
    key = make_key()
    return {
        "source": "made by make_paillier.py",
        "key": {name: f"{value:x}" for name, value in key.items()},
        "public_key": public_key(key["n"], key["h"]),
        "good": good(key),
        "bad": bad(key),
    }


if __name__ == "__main__":
    (HERE / "paillier.json").write_text(json.dumps(vectors(), indent=2) + "\n")
