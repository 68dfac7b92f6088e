"""Writes masking.json and key_proof.json by `pow` and `hashlib`, without the code under test.

Run from the root of the repository: python tests/vectors/make_masking.py
"""

from __future__ import annotations

import json
from hashlib import sha256, shake_256
from pathlib import Path

HERE = Path(__file__).parent
ROOTS = 11


def little(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")


def mask_number(seed: bytes, n: int, row: int) -> int:
    text = b"xstat-ray v1 mask numbers" + bytes(1) + seed + little(row, 8)
    return int.from_bytes(shake_256(text).digest(n.bit_length() // 8 + 16), "little") % n


def masking(n: int) -> dict[str, object]:
    cases = []
    for name in ("zeros", "counting up"):
        seed = bytes(32) if name == "zeros" else bytes(range(32))
        cases.append(
            {
                "seed": seed.hex(),
                "commitment": sha256(b"xstat-ray v1 mask commitment" + bytes(1) + seed).hexdigest(),
                "numbers": {
                    str(row): f"{mask_number(seed, n, row):x}"
                    for row in (0, 1, 2, 255, 256, 10_109, 2**40)
                },
            }
        )
    ciphertexts = []
    for m, rho in ((0, 1), (n - 1, 2), (12345, n - 2), (n // 2, n // 3)):
        c = pow(n + 1, m, n * n) * pow(rho, n, n * n) % (n * n)
        ciphertexts.append(
            {"m": f"{m:x}", "rho": f"{rho:x}", "row": little(c, n.bit_length() // 4).hex()}
        )
    return {
        "source": "made by make_masking.py for the key of paillier.json",
        "masks": cases,
        "ciphertexts": ciphertexts,
    }


def key_proof(key: dict[str, int]) -> dict[str, object]:
    n = key["n"]
    size = n.bit_length() // 8
    stream = b"xstat-ray v1 key proof" + bytes(1) + little(n, size)
    challenges = [
        int.from_bytes(shake_256(stream + little(i, 4)).digest(size + 16), "little") % n
        for i in range(ROOTS)
    ]
    exponent = pow(n, -1, (key["p"] - 1) * (key["q"] - 1))
    roots = [pow(z, exponent, n) for z in challenges]
    return {
        "source": "made by make_masking.py for the key of paillier.json",
        "challenges": [f"{z:x}" for z in challenges],
        "proof": b"".join(little(number, size) for number in (key["y"], *roots)).hex(),
    }


def vectors() -> dict[str, dict[str, object]]:
    texts = json.loads((HERE / "paillier.json").read_text())["key"]
    key = {name: int(text, 16) for name, text in texts.items()}
    return {"masking": masking(key["n"]), "key_proof": key_proof(key)}


if __name__ == "__main__":
    for name, content in vectors().items():
        (HERE / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
