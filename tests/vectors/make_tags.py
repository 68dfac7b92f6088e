"""Writes tags.json: from person key to tag, one block at a time, without the code under test.

Run from the root of the repository: python tests/vectors/make_tags.py
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HERE = Path(__file__).parent
PERIODS = (0, 1, 23, 472_344, 2**31 - 1, 2**31, 2**32 - 1)


def tag(key: bytes, person: bytes, period: int) -> bytes:
    # One block in CBC mode with a zero vector is one call to the block cipher.
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return cipher.update(person + struct.pack("<I", period)) + cipher.finalize()


def vectors() -> dict[str, object]:
    good = []
    for i in range(30):
        period = PERIODS[i % len(PERIODS)]
        key = hashlib.sha256(b"tag key %d" % (i // 5)).digest()[:16]
        u = hashlib.sha256(b"person key %d" % (i % 15)).digest()[:12]
        good.append(
            {
                "key": key.hex(),
                "person_key": u.hex(),
                "period": period,
                "tag": tag(key, u, period).hex(),
            }
        )
    key = good[0]["key"]
    u = good[0]["person_key"]
    bad = [
        {
            "why": "key of 15 bytes",
            "key": key[2:],
            "person_keys": [u],
            "person": [0],
            "period": [0],
        },
        {
            "why": "key of 32 bytes",
            "key": key * 2,
            "person_keys": [u],
            "person": [0],
            "period": [0],
        },
        {
            "why": "person key of 11 bytes",
            "key": key,
            "person_keys": [u[2:]],
            "person": [0],
            "period": [0],
        },
        {
            "why": "person key of 16 bytes",
            "key": key,
            "person_keys": [u + "00000000"],
            "person": [0],
            "period": [0],
        },
        {
            "why": "person after the last",
            "key": key,
            "person_keys": [u],
            "person": [0, 1],
            "period": [0, 0],
        },
        {"why": "negative person", "key": key, "person_keys": [u], "person": [-1], "period": [0]},
        {
            "why": "a row without a period",
            "key": key,
            "person_keys": [u],
            "person": [0, 0],
            "period": [0],
        },
        {
            "why": "a row and no persons",
            "key": key,
            "person_keys": [],
            "person": [0],
            "period": [0],
        },
    ]
    return {"source": "made by make_tags.py", "good": good, "bad": bad}


if __name__ == "__main__":
    (HERE / "tags.json").write_text(json.dumps(vectors(), indent=2) + "\n")
