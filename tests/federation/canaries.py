"""What may never reach a domain, in every form in which it could turn up.

Two tables that hold it; the search for it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.crypto.derive import derive
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import Study

TOKEN = "CaNaRy-5F0C9A7BE1D24C38"
IDS = {
    name: f"{TOKEN}-{name}-0123456789ABCDEF"
    for name in ("matched", "also", "row-only", "column-only")
}
PLACES = ("Kushirogahama-canary-place", "Nemurohanto-canary-place")
MESH = ("654321998877", "654322113344")
KINDS = ("canary-first-class", "canary-second-class")
COUNTS = (48_611, 50_021)


STUDY = f"""# @package _global_
study:
  name: leaks
  id: text
  row:
    id: id
    dimensions:
      - name: place
        column: mesh
        groups: {{{PLACES[0]}: ["{MESH[0]}"], {PLACES[1]}: ["{MESH[1]}"]}}
  column:
    id: id
    dimensions: [{{name: kind, groups: {{one: [{KINDS[0]}], two: [{KINDS[1]}]}}}}]
  bounds: {{rows: 60000, boardings: 1, persons: 10}}
privacy: {{noise: laplace, epsilon: 1}}
"""
"""Two people make up the counts of one cell, each in another column."""


def leak_study() -> Study:
    return parse(yaml.safe_load(STUDY), origin="leaks.yaml")


def write_tables(folder: Path) -> dict[str, Path]:
    rows = [IDS["matched"]] * COUNTS[0] + [IDS["also"]] * COUNTS[1] + [IDS["row-only"]]
    mesh = pa.array([MESH[0]] * (len(rows) - 1) + [MESH[1]])
    flags = {"id": [IDS["matched"], IDS["also"], IDS["column-only"]], "kind": [*KINDS, KINDS[0]]}
    pq.write_table(pa.table({"id": rows, "mesh": mesh}), folder / "row.parquet")
    pq.write_table(pa.table(flags), folder / "column.parquet")
    return {role: folder / f"{role}.parquet" for role in ("row", "column")}


def encodings(name: str, value: bytes | str | int) -> dict[str, bytes]:
    """Every form in which a secret could turn up.

    Text and numbers that are not secrets by length are left out.
    """
    if isinstance(value, int):
        size = (value.bit_length() + 7) // 8
        little = value.to_bytes(size, "little")
        forms = {
            "little": little,
            "big": little[::-1],
            "decimal": str(value).encode(),
            "hex": f"{value:x}".encode(),
        }
        return {f"{name} {form}": needle for form, needle in forms.items()}
    if isinstance(value, str):
        texts = {"text": value, "folded": value.casefold()}
        forms = {
            f"{form} {code}": text.encode(code)
            for form, text in texts.items()
            for code in ("utf-8", "utf-16-le", "utf-16-be")
        }
        raw = value.casefold().encode()
    else:
        forms = {"bytes": value, "reversed": value[::-1]}
        raw = value
    forms |= {"hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    # Base64 of a longer text that holds it: three alignments, whose inner parts do not depend on
    # what is around.
    for shift in range(3):
        inner = base64.b64encode(bytes(shift) + raw + bytes(3))
        forms[f"base64 {shift}"] = inner[4 : 4 * ((shift + len(raw)) // 3)]
        forms[f"base64url {shift}"] = forms[f"base64 {shift}"].translate(
            bytes.maketrans(b"+/", b"-_")
        )
    return {f"{name} {form}": needle for form, needle in forms.items() if len(needle) >= 6}


def hashed(name: str, value: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for form, text in (("", value), ("folded ", value.casefold())):
        for algorithm in ("sha256", "sha512", "sha1", "md5", "blake2b"):
            found |= encodings(
                f"{algorithm} of {form}{name}", hashlib.new(algorithm, text.encode()).digest()
            )
    return found


def of_party(role: str) -> dict[str, bytes]:
    """What is in a party's table."""
    ids = ["matched", "also", "row-only" if role == "row" else "column-only"]
    found = {}
    for name in ids:
        found |= encodings(f"id {name}", IDS[name]) | hashed(f"id {name}", IDS[name])
    for value in (*PLACES, *MESH) if role == "row" else KINDS:
        found |= encodings(value, value)
    return found


def secrets_of(role: str, state: Path) -> dict[str, bytes]:
    """Read what a party keeps to itself from its private folder of a run."""
    fields = unpack_fields((state / "secrets").read_bytes())
    salt = fields["shared"][:32]
    tag_key = fields["shared"][32:48]
    found = encodings(f"{role} seed", fields["seed"]) | encodings(
        f"{role} exchange", fields["exchange"]
    )
    shared = encodings("salt", salt) | encodings("tag key", tag_key)
    for sender in ("row", "column"):
        shared |= encodings(
            f"channel of {sender}", derive(salt + tag_key, f"channel from {sender}")
        )
    return found | shared


def key_parts(key: PrivateKey) -> dict[str, bytes]:
    parts = {name: int(getattr(key, name)) for name in ("p", "q", "alpha", "beta")}
    return {
        name: needle
        for part, value in parts.items()
        for name, needle in encodings(part, value).items()
    }


def exact_counts(slot_bits: int) -> dict[str, bytes]:
    """Un-noised counts, beside each other, as numbers of any kind and packed."""
    found = {
        f"counts {kind}": np.array(COUNTS, kind).tobytes()
        for kind in ("<i8", ">i8", "<f8", ">f8", "<i4", ">i4")
    }
    found |= {"counts text": b"%d, %d" % COUNTS, "counts csv": b"%d,%d" % COUNTS}
    packed = COUNTS[0] | COUNTS[1] << slot_bits
    return found | {
        "counts packed": packed.to_bytes(8, "little"),
        "counts packed big": packed.to_bytes(8, "big"),
    }


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield f"{folder.name}/{path.relative_to(folder)}", path.read_bytes()


def search(wanted: dict[str, bytes], places: Iterator[tuple[str, bytes]]) -> set[tuple[str, str]]:
    return {
        (name, place)
        for place, content in places
        for name, needle in wanted.items()
        if needle in content
    }


def without(needles: dict[str, bytes], *labels: str) -> dict[str, bytes]:
    """All but the forms of labels that are public in the place."""
    public = {name for label in labels for name in encodings(label, label)}
    return {name: needle for name, needle in needles.items() if name not in public}


def never(
    secrets: Mapping[str, dict[str, bytes]], key: dict[str, bytes], slot_bits: int
) -> dict[str, dict[str, bytes]]:
    """List what may be neither in a domain's folder nor in the exchange, which all may read.

    Args:
        secrets: secrets of both parties, from `secrets_of`.
        key: parts of the key, from `key_parts`.
        slot_bits: bits of a slot in the plan.

    Returns:
        Canaries by name, by domain.
    """
    tables = {role: of_party(role) for role in ("row", "column")}
    counts = exact_counts(slot_bits)

    def others(role: str, other: str) -> dict[str, bytes]:
        """Both have the salt, the tag key, the channel keys and the ids that match."""
        private = {
            name: needle for name, needle in secrets[other].items() if name.startswith(other)
        }
        return (
            {name: needle for name, needle in tables[other].items() if name not in tables[role]}
            | private
            | counts
        )

    return {
        "aggregator": tables["row"]
        | tables["column"]
        | secrets["row"]
        | secrets["column"]
        | key
        | counts,
        "row": others("row", "column") | key,
        "column": others("column", "row"),
    }
