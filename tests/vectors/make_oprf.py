"""Writes oprf.json: the oblivious PRF one bit at a time, without the code under test.

Run from the root of the repository: python tests/vectors/make_oprf.py
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HERE = Path(__file__).parent
WIDTH = 16


def block(key: bytes, message: bytes) -> bytes:
    # One block in CBC mode with a zero vector is one call to the block cipher.
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return cipher.update(message) + cipher.finalize()


def stretched(key: bytes, number: int, bits: int) -> list[int]:
    """A column from a key: bits of AES of (bin || counter), the lowest bit of each byte first."""
    out: list[int] = []
    counter = 0
    while len(out) < bits:
        octets = block(key, struct.pack(">QQ", number, counter))
        out += [octet >> i & 1 for octet in octets for i in range(8)]
        counter += 1
    return out[:bits]


def position(key: bytes, item: bytes, column: int, capacity: int) -> int:
    group = column // 4
    message = bytes(a ^ b for a, b in zip(item, group.to_bytes(16, "little"), strict=True))
    word = block(key, message)[4 * (column % 4) :][:4]
    return int.from_bytes(word, "little") * capacity // 2**32


def packed(bits: list[int]) -> bytes:
    return bytes(
        sum(bit << i for i, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8)
    )


def case(seed: int, receiver: list[bytes], sender: list[bytes], number: int, capacity: int) -> dict:
    def secret(label: str, i: int = 0) -> bytes:
        return hashlib.sha256(f"{seed} {label} {i}".encode()).digest()[:16]

    salt = secret("salt") * 2
    position_key = secret("position")
    hashed = {
        id_: hashlib.sha512(b"xstat-ray v2 item" + salt + id_).digest()[:16]
        for id_ in receiver + sender
    }
    length = -(-capacity // 64) * 64
    pairs = [(secret("zero", i), secret("one", i)) for i in range(WIDTH)]
    choices = [secret("choice", i)[0] & 1 for i in range(WIDTH)]
    message = []
    mine = [[0] * WIDTH for _ in receiver]
    theirs = [[0] * WIDTH for _ in sender]
    for column, (zero, one) in enumerate(pairs):
        plain = [1] * length
        for id_ in receiver:
            plain[position(position_key, hashed[id_], column, capacity)] = 0
        a = stretched(zero, number, length)
        b = stretched(one, number, length)
        sent = [x ^ y ^ z for x, y, z in zip(plain, a, b, strict=True)]
        message.append(packed(sent).hex())
        c = [x ^ y for x, y in zip(b, sent, strict=True)] if choices[column] else a
        for row, id_ in zip(mine, receiver, strict=True):
            row[column] = a[position(position_key, hashed[id_], column, capacity)]
        for row, id_ in zip(theirs, sender, strict=True):
            row[column] = c[position(position_key, hashed[id_], column, capacity)]
    return {
        "salt": salt.hex(),
        "position_key": position_key.hex(),
        "receiver": [id_.decode() for id_ in receiver],
        "sender": [id_.decode() for id_ in sender],
        "items": {id_.decode(): item.hex() for id_, item in hashed.items()},
        "bins_of_1000": {
            id_.decode(): int.from_bytes(item[:8], "little") * 1000 >> 64
            for id_, item in hashed.items()
        },
        "bin": number,
        "capacity": capacity,
        "keys": [[zero.hex(), one.hex()] for zero, one in pairs],
        "choices": choices,
        "matrix": message,
        "learned": [packed(row).hex() for row in mine],
        "evaluated": [packed(row).hex() for row in theirs],
        "person_keys": [
            hashlib.sha512(
                b"xstat-ray v2 person key"
                + struct.pack("<QQ", number, WIDTH // 8)
                + packed(row)
                + packed(row)[::-1]
            )
            .digest()[:12]
            .hex()
            for row in mine
        ],
    }


def vectors() -> dict[str, object]:
    def ids(*numbers: int) -> list[bytes]:
        return [b"+81901234%04d" % number for number in numbers]

    return {
        "source": "made by make_oprf.py",
        "note": "person_keys: the value learned as the row party's, its bytes reversed as the column party's",
        "vectors": [
            case(1, ids(*range(5)), ids(*range(3, 9)), 0, 64),
            case(2, ids(*range(40)), ids(*range(20, 30)), 7, 65),
            case(3, ids(), ids(1), 2**40 + 1, 100),
            case(4, ids(1), ids(), 127, 200),
        ],
    }


if __name__ == "__main__":
    (HERE / "oprf.json").write_text(json.dumps(vectors(), indent=1) + "\n")
