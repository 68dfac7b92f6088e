"""Reads the aggregator's output of a run by docs/format.md alone, and decrypts it with `phe`.

python second_implementer.py RUN_FOLDER PLAN_JSON AGGREGATOR_KEY_HEX P Q MASK_SEED_HEX SHARE_JSON

SHARE_JSON has the key holder's share of the noise, which it adds to what it decrypts.

Nothing of xstat_ray is imported. The program prints the noisy values as JSON: a list for each node,
cells first, in blinded order.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import phe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def read_message(path: Path, key: Ed25519PublicKey) -> tuple[dict, bytes]:
    """The section "Envelope"."""
    data = path.read_bytes()
    assert data[:8] == b"xstatray"
    assert int.from_bytes(data[8:12], "little") == 2
    length = int.from_bytes(data[12:16], "little")
    head = data[: 16 + length]
    signature = data[16 + length : 80 + length]
    payload = data[80 + length :]
    key.verify(signature, b"xstat-ray envelope\0" + head)
    header = json.loads(head[16:])
    assert f"{header['sender']}-{header['receiver']}/{header['sequence']:06d}.msg" == "/".join(
        path.parts[-2:]
    )
    assert (len(payload), hashlib.sha256(payload).hexdigest()) == (header["size"], header["sha256"])
    return header, payload


def read_ciphertexts(payload: bytes) -> tuple[list[list[int]], int]:
    """The section "Tables": (nodes, blocks) numbers and the bytes of one."""
    assert payload[:8] == b"xstatmsg"
    assert int.from_bytes(payload[8:12], "little") == 2
    start = 16 + int.from_bytes(payload[12:16], "little")
    header = json.loads(payload[16:start])
    assert header["message"] == "MaskedTable"
    blocks, width = header["shapes"]["ciphertexts"]
    places = range(start, len(payload), width)
    numbers = [int.from_bytes(payload[place : place + width], "little") for place in places]
    assert len(numbers) == header["rows"] * blocks
    return [numbers[i : i + blocks] for i in range(0, len(numbers), blocks)], width


def mask(seed: bytes, row: int, n: int) -> int:
    """The mask of a ciphertext, from the section "Plaintexts"."""
    stream = b"xstat-ray v1 mask numbers\0" + seed + row.to_bytes(8, "little")
    size = -(-n.bit_length() // 8) + 16
    return int.from_bytes(hashlib.shake_256(stream).digest(size), "little") % n


def unpack(numbers: list[int], plan: dict, n: int) -> list[int]:
    """The section "Plaintexts", for the numbers of a node without their masks."""
    bits = plan["slot_bits"]
    per_block = plan["slots_per_ciphertext"]
    plaintexts = []
    for block, number in enumerate(numbers):
        slots_of = range(block * per_block, min((block + 1) * per_block, plan["slots"]))
        offsets = sum(plan["slot_offset"] << bits * (s % per_block) for s in slots_of)
        plaintexts.append((number + offsets) % n)
        assert plaintexts[-1].bit_length() <= bits * per_block
    slots = [
        plaintexts[s // per_block] >> bits * (s % per_block) & (1 << bits) - 1
        for s in range(plan["slots"])
    ]
    return [slot - plan["slot_offset"] for slot in slots]


def main(run: str, plan_file: str, key: str, p: str, q: str, seed: str, kept: str) -> None:
    plan = json.loads(Path(plan_file).read_text())
    aggregator = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    last = sorted((Path(run) / "aggregator-column").glob("*.msg"))[-1]
    header, payload = read_message(last, aggregator)
    assert header["kind"] == "masked" and header["study"] == plan["study_digest"]
    nodes, width = read_ciphertexts(payload)
    assert len(nodes) == header["rows"] and width == plan["key_bits"] // 4
    private = phe.PaillierPrivateKey(phe.PaillierPublicKey(int(p) * int(q)), int(p), int(q))
    n = int(p) * int(q)
    shares = json.loads(Path(kept).read_text())
    found = []
    for number, node in enumerate(nodes):
        rows = range(number * len(node), (number + 1) * len(node))
        masked = [private.raw_decrypt(c) for c in node]
        masks = [mask(bytes.fromhex(seed), row, n) for row in rows]
        unmasked = [v - m for v, m in zip(masked, masks, strict=True)]
        for slot, noise in enumerate(shares[number]):
            block = slot // plan["slots_per_ciphertext"]
            place = slot % plan["slots_per_ciphertext"]
            unmasked[block] += noise << plan["slot_bits"] * place
        found.append(unpack([v % n for v in unmasked], plan, n))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
