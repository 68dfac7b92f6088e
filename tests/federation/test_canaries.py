"""What may never reach a domain is looked for in all that the domain, or the exchange, ever held.

A run is stopped after each step, and its folders are searched for canaries in many encodings. A
leak on purpose shows that the search finds leaks.
"""

from __future__ import annotations

import base64
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.federation import canaries
from tests.federation.canaries import COUNTS, IDS, KINDS, MESH, PLACES, files, search, without
from tests.federation.domains import STEPS, Domains
from tests.sizes import thorough
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import PendingError
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.model.messages import MaskedTable


@pytest.fixture
def domains(quick_key: PrivateKey, tmp_path: Path) -> Domains:
    """Domains whose tables lie outside of their folders, as data of the parties."""
    tables = tmp_path / "tables"
    tables.mkdir()
    return Domains(tmp_path, canaries.leak_study(), canaries.write_tables(tables))


class Watch:
    """The searches of a run; after every step."""

    def __init__(self, domains: Domains, key) -> None:
        self.domains = domains
        self.key = key
        self.slot_bits = domains.config("aggregator", "all").plan().packing.slot_bits
        self.found: set[tuple[str, str, str]] = set()
        self.secrets: dict[str, dict[str, bytes]] = {"row": {}, "column": {}}

    def look(self) -> None:
        domains = self.domains
        for role in ("row", "column"):
            if (domains.state(role) / "secrets").exists():
                self.secrets[role] = canaries.secrets_of(role, domains.state(role))
        wanted = canaries.never(self.secrets, canaries.key_parts(self.key), self.slot_bits)
        for name, needles in wanted.items():
            self.found |= {
                (name, *hit)
                for hit in search(needles, files(domains.private(name), domains.exchange))
            }
        # A release shows the labels of the study, which are public; of the rest nothing may be in
        # it.
        released = without(wanted["aggregator"], *PLACES)
        self.found |= {("release", *hit) for hit in search(released, files(domains.out))}


def watched(domains: Domains, key: PrivateKey) -> set[tuple[str, str, str]]:
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


@thorough
def test_no_domain_ever_holds_what_it_may_not(domains, quick_key):
    assert watched(domains, quick_key) == set()
    noisy = pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()
    assert noisy[:2] != list(COUNTS) and all(
        abs(n - c) < 10_000_000 for n, c in zip(noisy, COUNTS, strict=False)
    )
    assert len(STEPS) == 15


LEAKS = {
    "an id in the clear": (
        "row",
        "rows",
        lambda key: IDS["matched"].encode(),
        "id matched text utf-8",
    ),
    "an id in UTF-16": (
        "row",
        "rows",
        lambda key: IDS["row-only"].encode("utf-16-be"),
        "id row-only text utf-16-be",
    ),
    "an id in hex": (
        "column",
        "flags",
        lambda key: IDS["also"].casefold().encode().hex().encode(),
        "id also hex",
    ),
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
    "a mesh code": (
        "row",
        "rows",
        lambda key: MESH[0].encode("utf-16-le"),
        f"{MESH[0]} text utf-16-le",
    ),
    "an attribute": ("column", "key", lambda key: KINDS[1].encode(), f"{KINDS[1]} text utf-8"),
    "a prime of the key": ("column", "key", lambda key: int(key.p).to_bytes(128, "big"), "p big"),
    "an exponent of the key": (
        "column",
        "facts",
        lambda key: str(int(key.alpha)).encode(),
        "alpha decimal",
    ),
    "exact counts": (
        "aggregator",
        "facts",
        lambda key: np.array(COUNTS, ">i4").tobytes(),
        "counts >i4",
    ),
}


def test_every_leak_on_purpose_is_found_and_nothing_else(domains, quick_key, monkeypatch):
    """The leaking domain puts one file too many beside its messages.

    The run goes on as if nothing were.
    """
    send = Mailbox.send

    def sending(self, receiver, what, payload, **place):
        for leak, (sender, kind, make, _) in LEAKS.items():
            if (self.domain, what) == (sender, kind):
                self._exchange.put(f"extra/{leak}", b"before" + make(quick_key) + b"behind")
        return send(self, receiver, what, payload, **place)

    monkeypatch.setattr(Mailbox, "send", sending)
    domains.run(until=("row", "publish"))
    watch = Watch(domains, quick_key)
    watch.look()
    found = {
        (place.rpartition("/")[2], name)
        for domain, name, place in watch.found
        if domain == "aggregator"
    }
    assert found >= {(leak, name) for leak, (*_, name) in LEAKS.items()}
    assert {leak for leak, _ in found} == set(LEAKS)


def test_a_secret_in_the_wrong_folder_is_found(domains, quick_key):
    domains.run(until=("row", "emit"))
    watch = Watch(domains, quick_key)
    watch.look()
    assert watch.found == set()
    (domains.private("column") / "mislaid").write_bytes(
        pickle.dumps((domains.state("row") / "secrets").read_bytes())
    )
    watch.look()
    assert {"row seed bytes", "row exchange bytes"} <= {
        name for domain, name, _ in watch.found if domain == "column"
    }


def test_a_table_would_show_exact_counts_if_there_were_no_noise(domains, quick_key):
    """What the search for packed counts is worth: it finds them where they are."""
    plan = domains.config("aggregator", "all").plan()
    packed = canaries.exact_counts(plan.packing.slot_bits)
    plain = (COUNTS[0] | COUNTS[1] << plan.packing.slot_bits).to_bytes(512, "little")
    ciphertexts = np.frombuffer(plain, np.uint8).reshape(1, 1, 512)
    table = MaskedTable(ciphertexts=ciphertexts).encode(plan.study.digest)
    assert ("counts packed", "table") in search(packed, iter([("table", table)]))
    with pytest.raises(PendingError):
        domains.step("aggregator", "all")
