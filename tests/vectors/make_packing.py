"""Writes packing.json: layouts and packed plaintexts by shifting and adding, without the code under test.

Run from the root of the repository: python tests/vectors/make_packing.py
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

HERE = Path(__file__).parent
PLANS = [
    {"slots": 1, "max_value": 1, "noise_tail": 0, "key_bits": 2048},
    {"slots": 1, "max_value": 0, "noise_tail": 0, "key_bits": 2048},
    {"slots": 3, "max_value": 1, "noise_tail": 1, "key_bits": 2048},
    {"slots": 48, "max_value": 3_000_000, "noise_tail": 700, "key_bits": 2048},
    {"slots": 60, "max_value": 2**32, "noise_tail": 2**20, "key_bits": 2048},
    {"slots": 1983, "max_value": 1, "noise_tail": 0, "key_bits": 2048},
    {"slots": 1984, "max_value": 1, "noise_tail": 0, "key_bits": 2048},
    {"slots": 24, "max_value": 2**62 - 3, "noise_tail": 1, "key_bits": 3072},
    {"slots": 100, "max_value": 2**40, "noise_tail": 12345, "key_bits": 2048},
    {"slots": 67, "max_value": 5, "noise_tail": 9, "key_bits": 4096, "slot_bits": 62},
    {"slots": 7, "max_value": 100, "noise_tail": 14, "key_bits": 2048, "slot_bits": 8},
    {"slots": 33, "max_value": 100, "noise_tail": 14, "key_bits": 2048, "slot_bits": 61},
]


def layout(plan: dict[str, int]) -> dict[str, int]:
    largest = plan["max_value"] + 2 * plan["noise_tail"]
    bits = plan.get("slot_bits") or next(bits for bits in count(1) if largest < 2**bits)
    room = next(
        room for room in count(1) if 2 ** (bits * (room + 1)) > 2 ** (plan["key_bits"] - 65)
    )
    blocks = next(blocks for blocks in count(1) if blocks * room >= plan["slots"])
    per_block = next(per_block for per_block in count(1) if blocks * per_block >= plan["slots"])
    return {
        "slots": plan["slots"],
        "slot_bits": bits,
        "per_block": per_block,
        "blocks": blocks,
        "offset": plan["noise_tail"],
    }


def packed(values: list[int], form: dict[str, int]) -> list[str]:
    blocks = [0] * form["blocks"]
    for slot in range(form["blocks"] * form["per_block"]):
        # Slots after the last value fill the last block; they hold nothing, not even the offset.
        content = values[slot] + form["offset"] if slot < form["slots"] else 0
        blocks[slot // form["per_block"]] += content * 2 ** (
            form["slot_bits"] * (slot % form["per_block"])
        )
    return [f"{block:x}" for block in blocks]


def good() -> list[dict[str, object]]:
    cases = []
    for plan in PLANS:
        form = layout(plan)
        top = plan["max_value"] + plan["noise_tail"]
        tail = plan["noise_tail"]
        rows = [
            [0] * plan["slots"],
            [top] * plan["slots"],
            [-tail] * plan["slots"],
            [top if slot % 2 else -tail for slot in range(plan["slots"])],
            [(slot * 2_654_435_761) % (top + tail + 1) - tail for slot in range(plan["slots"])],
        ]
        tables = [{"values": values, "plaintexts": packed(values, form)} for values in rows]
        cases.append({"plan": plan, "layout": form, "tables": tables})
    return cases


def bad() -> dict[str, object]:
    plan = {"slots": 3, "max_value": 100, "noise_tail": 14, "key_bits": 2048}
    one = {"slots": 2, "slot_bits": 8, "per_block": 2, "blocks": 1, "offset": 14}
    two = {"slots": 3, "slot_bits": 8, "per_block": 2, "blocks": 2, "offset": 14}
    forced = "crypto.slot_bits"
    return {
        "plans": [
            {"why": "63 bits", "plan": plan | {"max_value": 2**62}, "key": "study.bounds"},
            {
                "why": "63 bits by the noise",
                "plan": plan | {"noise_tail": 2**61},
                "key": "study.bounds",
            },
            {
                "why": "63 bits, whatever is forced",
                "plan": plan | {"max_value": 2**62, "slot_bits": 62},
                "key": "study.bounds",
            },
            {
                "why": "a bit too few",
                "plan": plan | {"max_value": 2**20, "slot_bits": 20},
                "key": forced,
            },
            {"why": "a bit too few for the noise", "plan": plan | {"slot_bits": 7}, "key": forced},
            {"why": "none", "plan": plan | {"slot_bits": 0}, "key": forced},
            {"why": "forced above an int64", "plan": plan | {"slot_bits": 63}, "key": forced},
        ],
        "values": [
            {"why": "below -offset", "layout": one, "values": [0, -15]},
            {"why": "above the slot", "layout": one, "values": [242, 0]},
            {"why": "least int64", "layout": one, "values": [-(2**63), 0]},
            {"why": "greatest int64", "layout": one, "values": [2**63 - 1, 0]},
        ],
        "plaintexts": [
            {"why": "a bit above the slots", "layout": one, "plaintexts": ["10000"]},
            {"why": "near n", "layout": one, "plaintexts": ["f" * 512]},
            {"why": "the second block", "layout": two, "plaintexts": ["ffff", "10000"]},
        ],
    }


def vectors() -> dict[str, object]:
    return {"source": "made by make_packing.py", "good": good(), "bad": bad()}


if __name__ == "__main__":
    (HERE / "packing.json").write_text(
        json.dumps(vectors(), separators=(",", ":")).replace('{"plan"', '\n{"plan"') + "\n"
    )
