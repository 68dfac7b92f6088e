"""What may never reach a domain is looked for in everything that the domain, or the exchange, ever held.

A run is stopped after every step; its folders are searched for canaries in many encodings, each time. That the search
finds a leak is shown by leaking on purpose.
"""

from __future__ import annotations

import base64
import hashlib
import pickle
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.federation.domains import STEPS, Domains
from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.crypto.derive import derive
from xstat_ray.errors import PendingError
from xstat_ray.federation.post import Post
from xstat_ray.messages import NoisyTable
from xstat_ray.study import Bounds, ColumnSide, Dimension, Privacy, RowSide, Study

TOKEN = "CaNaRy-5F0C9A7BE1D24C38"
IDS = {name: f"{TOKEN}-{name}-0123456789ABCDEF" for name in ("matched", "also", "row-only", "column-only")}
PLACES = ("Kushirogahama-canary-place", "Nemurohanto-canary-place")
MESH = ("654321998877", "654322113344")
KINDS = ("canary-first-class", "canary-second-class")
COUNTS = (48_611, 50_021)


def leak_study():
    """Two people make up the counts of one cell, each of them in a column of its own."""
    places = Dimension("place", "mesh", PLACES, tuple((mesh,) for mesh in MESH))
    kinds = Dimension("kind", "kind", ("one", "two"), tuple((kind,) for kind in KINDS))
    return Study(
        "leaks",
        RowSide("id", (places,), dataset="leaks/row"),
        ColumnSide("id", (kinds,), dataset="leaks/column"),
        id_form="text",
        bounds=Bounds(rows=60_000, boardings=1, persons=10),
        privacy=Privacy(noise="laplace", epsilon=Fraction(1)),
    )


@pytest.fixture
def domains(quick_key, tmp_path):
    """Tables lie outside of the domains' folders: they are the parties' own."""
    tables = tmp_path / "tables"
    tables.mkdir()
    rows = [IDS["matched"]] * COUNTS[0] + [IDS["also"]] * COUNTS[1] + [IDS["row-only"]]
    mesh = pa.array([MESH[0]] * (len(rows) - 1) + [MESH[1]])
    pq.write_table(pa.table({"id": rows, "mesh": mesh}), tables / "row.parquet")
    flags = {"id": [IDS["matched"], IDS["also"], IDS["column-only"]], "kind": [*KINDS, KINDS[0]]}
    pq.write_table(pa.table(flags), tables / "column.parquet")
    return Domains(tmp_path, leak_study(), {role: tables / f"{role}.parquet" for role in ("row", "column")})


def encodings(name: str, value: bytes | str | int) -> dict[str, bytes]:
    """Every form in which a secret could turn up; text and numbers that are not secrets by length are left out."""
    if isinstance(value, int):
        size = (value.bit_length() + 7) // 8
        little = value.to_bytes(size, "little")
        forms = {"little": little, "big": little[::-1], "decimal": str(value).encode(), "hex": f"{value:x}".encode()}
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
        forms, raw = {"bytes": value, "reversed": value[::-1]}, value
    forms |= {"hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    # Base64 of a longer text that holds it: three alignments, whose inner parts do not depend on what is around.
    for shift in range(3):
        inner = base64.b64encode(bytes(shift) + raw + bytes(3))
        forms[f"base64 {shift}"] = inner[4 : 4 * ((shift + len(raw)) // 3)]
        forms[f"base64url {shift}"] = forms[f"base64 {shift}"].translate(bytes.maketrans(b"+/", b"-_"))
    return {f"{name} {form}": needle for form, needle in forms.items() if len(needle) >= 6}


def hashed(name: str, value: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for form, text in (("", value), ("folded ", value.casefold())):
        for algorithm in ("sha256", "sha512", "sha1", "md5", "blake2b"):
            found |= encodings(f"{algorithm} of {form}{name}", hashlib.new(algorithm, text.encode()).digest())
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


def secrets_of(domains: Domains, role: str) -> dict[str, bytes]:
    """What a party keeps to itself, read from its own folder."""
    own = unpack_fields((domains.state(role) / "secrets").read_bytes())
    salt, tag_key = own["shared"][:32], own["shared"][32:48]
    found = encodings(f"{role} seed", own["seed"]) | encodings(f"{role} scalar", own["scalar"])
    shared = encodings("salt", salt) | encodings("tag key", tag_key)
    for sender in ("row", "column"):
        shared |= encodings(f"channel of {sender}", derive(salt + tag_key, f"channel from {sender}"))
    return found | shared


def key_parts(key) -> dict[str, bytes]:
    parts = {name: int(getattr(key, name)) for name in ("p", "q", "alpha", "beta")}
    return {name: needle for part, value in parts.items() for name, needle in encodings(part, value).items()}


def exact_counts(slot_bits: int) -> dict[str, bytes]:
    """Un-noised counts, beside each other, as numbers of any kind and packed."""
    found = {f"counts {kind}": np.array(COUNTS, kind).tobytes() for kind in ("<i8", ">i8", "<f8", ">f8", "<i4", ">i4")}
    found |= {"counts text": b"%d, %d" % COUNTS, "counts csv": b"%d,%d" % COUNTS}
    packed = COUNTS[0] | COUNTS[1] << slot_bits
    return found | {"counts packed": packed.to_bytes(8, "little"), "counts packed big": packed.to_bytes(8, "big")}


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield f"{folder.name}/{path.relative_to(folder)}", path.read_bytes()


def search(wanted: dict[str, bytes], places: Iterator[tuple[str, bytes]]) -> set[tuple[str, str]]:
    return {(name, place) for place, content in places for name, needle in wanted.items() if needle in content}


class Watch:
    """The searches of a run; after every step."""

    def __init__(self, domains: Domains, key) -> None:
        self.domains, self.key = domains, key
        self.slot_bits = domains.config("aggregator", "all").plan().packing.slot_bits
        self.found: set[tuple[str, str, str]] = set()
        self.secrets: dict[str, dict[str, bytes]] = {"row": {}, "column": {}}

    def look(self) -> None:
        domains, tables = self.domains, {role: of_party(role) for role in ("row", "column")}
        for role in ("row", "column"):
            if (domains.state(role) / "secrets").exists():
                self.secrets[role] = secrets_of(domains, role)
        key, counts = key_parts(self.key), exact_counts(self.slot_bits)
        own = {role: tables[role].keys() for role in tables}
        never = {
            # Everybody may read the exchange, so the aggregator could, too.
            "aggregator": tables["row"]
            | tables["column"]
            | self.secrets["row"]
            | self.secrets["column"]
            | key
            | counts,
            "row": {n: v for n, v in tables["column"].items() if n not in own["row"]}
            | self._private("column")
            | key
            | counts,
            "column": {n: v for n, v in tables["row"].items() if n not in own["column"]}
            | self._private("row")
            | counts,
        }
        places = {name: [domains.private(name), domains.exchange] for name in never}
        # A release shows the labels of the study, which are public; of the rest nothing may be in it.
        public = {name for label in (*PLACES,) for name in encodings(label, label)}
        for name, wanted in never.items():
            self.found |= {(name, *hit) for hit in search(wanted, files(*places[name]))}
        released = {n: v for n, v in never["aggregator"].items() if n not in public}
        self.found |= {("release", *hit) for hit in search(released, files(domains.out))}

    def _private(self, role: str) -> dict[str, bytes]:
        """The salt, tag key and channel keys are shared by both parties."""
        return {name: needle for name, needle in self.secrets[role].items() if name.startswith(role)}


def watched(domains, key) -> set[tuple[str, str, str]]:
    watch = Watch(domains, key)
    step = domains.step

    def looked_at(*arguments, **changes):
        try:
            step(*arguments, **changes)
        finally:
            watch.look()

    domains.step = looked_at
    domains.run()
    assert all(watch.secrets.values())
    return watch.found


def test_no_domain_ever_holds_what_it_may_not(domains, quick_key):
    assert watched(domains, quick_key) == set()
    noisy = pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()
    assert noisy[:2] != list(COUNTS) and all(abs(n - c) < 10_000_000 for n, c in zip(noisy, COUNTS, strict=False))
    assert len(STEPS) == 12


LEAKS = {
    "an id in the clear": ("row", "rows", lambda key: IDS["matched"].encode(), "id matched text utf-8"),
    "an id in UTF-16": ("row", "rows", lambda key: IDS["row-only"].encode("utf-16-be"), "id row-only text utf-16-be"),
    "an id in hex": ("column", "flags", lambda key: IDS["also"].casefold().encode().hex().encode(), "id also hex"),
    "an id in base64": (
        "row",
        "rows",
        lambda key: base64.b64encode(b"x" + IDS["matched"].casefold().encode()),
        "id matched base64 1",
    ),
    "a hash of an id": (
        "column",
        "flags",
        lambda key: hashlib.sha256(IDS["matched"].encode()).digest(),
        "sha256 of id matched bytes",
    ),
    "a place": ("row", "rows", lambda key: PLACES[1].encode(), f"{PLACES[1]} text utf-8"),
    "a mesh code": ("row", "rows", lambda key: MESH[0].encode("utf-16-le"), f"{MESH[0]} text utf-16-le"),
    "an attribute": ("column", "key", lambda key: KINDS[1].encode(), f"{KINDS[1]} text utf-8"),
    "a prime of the key": ("column", "key", lambda key: int(key.p).to_bytes(128, "big"), "p big"),
    "an exponent of the key": ("column", "facts", lambda key: str(int(key.alpha)).encode(), "alpha decimal"),
    "exact counts": ("aggregator", "facts", lambda key: np.array(COUNTS, ">i4").tobytes(), "counts >i4"),
}


def test_every_leak_on_purpose_is_found_and_nothing_else(domains, quick_key, monkeypatch):
    """The leaking domain puts one file too many beside its messages; the run goes on as if nothing were."""
    send = Post.send

    def sending(self, receiver, what, payload, **place):
        for leak, (sender, kind, make, _) in LEAKS.items():
            if (self._domain, what) == (sender, kind):
                self._exchange.put(f"extra/{leak}", b"before" + make(quick_key) + b"behind")
        return send(self, receiver, what, payload, **place)

    monkeypatch.setattr(Post, "send", sending)
    domains.run(until=("row", "publish"))
    watch = Watch(domains, quick_key)
    watch.look()
    found = {(place.rpartition("/")[2], name) for domain, name, place in watch.found if domain == "aggregator"}
    assert found >= {(leak, name) for leak, (*_, name) in LEAKS.items()}
    assert {leak for leak, _ in found} == set(LEAKS)


def test_a_secret_in_the_wrong_folder_is_found(domains, quick_key):
    domains.run(until=("row", "emit"))
    watch = Watch(domains, quick_key)
    watch.look()
    assert watch.found == set()
    (domains.private("column") / "mislaid").write_bytes(pickle.dumps((domains.state("row") / "secrets").read_bytes()))
    watch.look()
    assert {"row seed bytes", "row scalar bytes"} <= {name for domain, name, _ in watch.found if domain == "column"}


def test_the_noisy_table_would_show_exact_counts_if_there_were_no_noise(domains, quick_key):
    """What the search for packed counts is worth: it finds them where they are."""
    plan = domains.config("aggregator", "all").plan()
    packed = exact_counts(plan.packing.slot_bits)
    plain = (COUNTS[0] | COUNTS[1] << plan.packing.slot_bits).to_bytes(512, "little")
    table = NoisyTable("00" * 16, np.frombuffer(plain, np.uint8).reshape(1, 1, 512)).encode(plan.study.digest)
    assert ("counts packed", "table") in search(packed, iter([("table", table)]))
    with pytest.raises(PendingError):
        domains.step("aggregator", "all")
