"""What may never leave a party is searched for in all bytes that a run leaves behind."""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from tests.federation.canaries import search
from tests.runtime.memory import files, object_store, remember, spilled
from tests.runtime.running import actor_of, inside, party_in, secrets_of
from tests.sizes import thorough
from xstat_ray import Options, Source, crosstab
from xstat_ray.crypto.channel import Channel, HandOver
from xstat_ray.crypto.derive import derive
from xstat_ray.crypto.handshake import Handshake
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey
from xstat_ray.errors import ProtocolError
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.row_tree import RowTree
from xstat_ray.model.study import Bounds, ColumnSide, Privacy, RowSide, Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import ColumnParty, KeyHolder, RowParty
from xstat_ray.roles.blinding import Blinding
from xstat_ray.roles.intake import People
from xstat_ray.roles.opening import proven_key
from xstat_ray.runtime import ray_executor

TOKEN = "CaNaRy-5F0C9A7BE1D24C38"
IDS = [
    f"{TOKEN}-{name}-0123456789ABCDEF"
    for name in ("matched", "also-matched", "row-only", "column-only", "opted-out")
]
COUNTS = (48_611, 50_021)
CONTROL = b"on-purpose-96c1e07d3b5f4a28" * 8192


def leak_study() -> Study:
    """Make a study in which two people make up the counts of a cell, each in another column."""
    place = Dimension("place", "place", ("here", "there"), (("here",), ("there",)))
    kind = Dimension("kind", "kind", ("one", "two"), (("one",), ("two",)))
    return Study(
        "leaks",
        RowSide("id", (place,), dataset="leaks/row"),
        ColumnSide("id", (kind,), dataset="leaks/column"),
        id_form="text",
        bounds=Bounds(rows=60_000, boardings=1, persons=10),
        privacy=Privacy(noise="laplace", epsilon=Fraction(1)),
    )


def write_sources(folder: Path) -> dict[str, Source]:
    matched, also, row_only, column_only, opted_out = IDS
    rows = [matched] * COUNTS[0] + [also] * COUNTS[1] + [row_only, opted_out]
    pq.write_table(pa.table({"id": rows, "place": ["here"] * len(rows)}), folder / "row.parquet")
    flags = {"id": [matched, also, column_only, opted_out], "kind": ["one", "two", "one", "two"]}
    pq.write_table(pa.table(flags), folder / "column.parquet")
    (folder / "opted_out.csv").write_text(f"id\n{opted_out}\n")
    return {
        role: Source(folder / f"{role}.parquet", folder / "opted_out.csv")
        for role in ("row", "column")
    }


def write_person_keys(environment: Any, path: Path) -> None:
    """Write a party's person keys to a file of the test, inside its actor: not through Ray."""
    keys = party_in(environment)._exchange.person_keys
    path.write_bytes(pickle.dumps([key.tobytes() for key in keys]))


def all_secrets(executor: Any, role: Any, folder: Path) -> dict[str, bytes | int]:
    """Read what nobody but a party may hold, from files that the party writes: not through Ray."""
    secrets: dict[str, bytes | int] = dict(secrets_of(executor, role))
    inside(executor, role, 0, write_person_keys, folder / "person keys")
    person_keys = pickle.loads((folder / "person keys").read_bytes())
    secrets |= {f"person key {i}": key for i, key in enumerate(person_keys)}
    for public in ("session", "key"):
        secrets.pop(public, None)
    if role == "column":
        key = PrivateKey.from_bytes(secrets.pop("paillier"))
        secrets |= {name: int(getattr(key, name)) for name in ("p", "q", "alpha", "beta")}
    return secrets


def needles(secrets: dict[str, bytes | int], slot_bits: int) -> dict[str, bytes]:
    """List everything to search for, by name, in all forms in which it could turn up."""
    found: dict[str, bytes] = {"token": TOKEN.encode(), "normal token": TOKEN.casefold().encode()}
    for name in (form for person in IDS[:3] for form in (person, person.casefold())):
        for algorithm in ("sha256", "sha512", "md5"):
            digest = hashlib.new(algorithm, name.encode())
            found |= {
                f"{algorithm} {name}": digest.digest(),
                f"{algorithm} hex {name}": digest.hexdigest().encode(),
            }
    shared = secrets["row salt"] + secrets["row tag key"]
    channels = {
        f"channel {role}": derive(shared, f"channel from {role}") for role in ("row", "column")
    }
    for name, value in (secrets | channels).items():
        if isinstance(value, int):
            size = (value.bit_length() + 7) // 8
            little = value.to_bytes(size, "little")
            text = str(value).encode()
            found |= {name: little, f"{name} big-endian": little[::-1], f"{name} decimal": text}
            found[f"{name} hex"] = f"{value:x}".encode()
        else:
            found |= {name: value, f"{name} hex": value.hex().encode()}
    for dtype in ("<i8", ">i8", "<f8", "<i4"):
        found[f"counts {dtype}"] = np.array(COUNTS, dtype).tobytes()
    found |= {"counts text": b"%d, %d" % COUNTS, "counts csv": b"%d,%d" % COUNTS}
    found["counts packed"] = (COUNTS[0] | COUNTS[1] << slot_bits).to_bytes(12, "little")
    return found


@pytest.fixture
def held_open(ray_folder, tmp_path, monkeypatch, capfd):
    """Returns what runs a study on Ray, and calls a check just before the executor is closed."""
    refs = remember(monkeypatch)

    def run(check: Any) -> Path:
        checked = []

        class Held(ray_executor.RayExecutor):
            def close(self) -> None:
                checked.append(check(self, refs))
                super().close()

        with monkeypatch.context() as patch:
            patch.setattr(ray_executor, "RayExecutor", Held)
            sources = write_sources(tmp_path)
            options = Options(runtime="ray", key_bits=2048, shards=2)
            ledger = tmp_path / "ledger" / "ledger.sqlite"
            crosstab(
                leak_study(),
                row=replace(Source.of(sources["row"]), ledger=ledger),
                column=replace(Source.of(sources["column"]), ledger=ledger),
                out=tmp_path / "out",
                options=options,
            )
        assert checked
        refs.clear()
        return tmp_path / "out"

    return run


@thorough
@pytest.mark.ray
def test_nothing_that_must_stay_inside_is_found_anywhere(ray_folder, tmp_path, held_open, capfd):
    wanted: dict[str, bytes] = {}

    def check(executor: Any, refs: list[Any]) -> bool:
        secrets = {}
        for role in ("row", "column"):
            found = all_secrets(executor, role, tmp_path)
            secrets |= {f"{role} {name}": value for name, value in found.items()}
        assert len(secrets) == 2 * 4 + 1 + 1 + 3 + 3 + 4
        slot_bits = make_plan(leak_study(), key_bits=2048).packing.slot_bits
        wanted.update(needles(secrets, slot_bits))
        search_objects(wanted, refs)
        search_store_and_spilled(wanted, ray_folder)
        search_unfinished(wanted, tmp_path / "out" / "unfinished")
        return True

    out = held_open(check)
    published = {"statistics.parquet", "manifest.json", "plan.json", "parties"}
    assert {path.name for path in out.iterdir()} >= published
    assert not (out / "unfinished").exists()
    for folder in (out, tmp_path / "ledger", ray_folder):
        assert search(wanted, files(folder)) == set()
    printed = capfd.readouterr()
    streams = [("stdout", printed.out.encode()), ("stderr", printed.err.encode())]
    assert search(wanted, iter(streams)) == set()
    assert noisy_counts(out) != list(COUNTS)


def search_objects(wanted: dict[str, bytes], refs: list[Any]) -> None:
    """Search every object that ever existed in Ray, small ones too: the driver owns them all."""
    assert len(refs) > 20
    objects = ((f"object {i}", pickle.dumps(value)) for i, value in enumerate(ray.get(refs)))
    assert search(wanted, objects) == set()


def search_store_and_spilled(wanted: dict[str, bytes], ray_folder: Path) -> None:
    """Search the object store and Ray's files; a control shows that the search finds something."""
    control = {"control": CONTROL[:27]}
    assert search(control, object_store()) == set()
    kept = ray.put(CONTROL)
    assert search(control, object_store()) == {("control", "object store")}
    assert search(wanted, object_store()) == set()
    # Fill the store, so that objects, the control among them, are spilled to disk.
    filling = [ray.put(np.random.default_rng(i).bytes(16 << 20)) for i in range(8)]
    assert spilled(ray_folder)
    on_disk = search(control | wanted, files(ray_folder))
    assert {name for name, _ in on_disk} <= {"control"}
    assert search(control, object_store()) or on_disk
    del kept, filling


def search_unfinished(wanted: dict[str, bytes], unfinished: Path) -> None:
    """Until the release is published, each party's folder holds what a resumed run needs."""
    places = {place for _, place in search(wanted, files(unfinished))}
    assert places == {"row/secrets", "column/secrets"}
    assert all((unfinished / role).stat().st_mode & 0o077 == 0 for role in ("row", "column"))


def noisy_counts(out: Path) -> list[int]:
    return pq.read_table(out / "statistics.parquet")["noisy"].to_pylist()[:2]


def test_the_search_finds_each_form(tmp_path):
    exact = {
        "row salt": b"s" * 32,
        "row tag key": b"t" * 16,
        "row p": 0x1234567890ABCDEF1234567890ABCDEF,
    }
    wanted = needles(exact, slot_bits=21)
    places = iter(
        [(name, os.urandom(100) + needle + os.urandom(100)) for name, needle in wanted.items()]
    )
    assert {(name, name) for name in wanted} <= search(wanted, places)
    values = np.array([[COUNTS[0], COUNTS[1]], [0, 1]])
    assert search(wanted, iter([("table", pickle.dumps(values))])) == {("counts <i8", "table")}


@thorough
@pytest.mark.ray
def test_in_one_cluster_isolation_is_a_simulation_because_any_task_can_read_a_party(
    ray_folder, tmp_path
):
    """As the documentation warns, `__ray_call__` gets the private key out of an actor.

    A real boundary is a cluster for each party.
    """
    sources = write_sources(tmp_path)
    with ray_executor.RayExecutor(leak_study(), sources, {}) as executor:
        executor.get(executor.column[0].call(ColumnParty.generate_key, 2048))
        public = executor.get(executor.column[0].call(ColumnParty.public_key))

        @ray.remote
        def stranger(actor: Any) -> Any:
            return ray.get(
                actor.__ray_call__.remote(
                    lambda environment: party_in(environment)._key.export_bytes()
                )
            )

        stolen = PrivateKey.from_bytes(ray.get(stranger.remote(actor_of(executor, "column"))))
        assert proven_key(stolen) == public


@pytest.fixture(scope="module")
def key():
    return generate(2048)


def secret_objects(key) -> dict[str, Any]:
    study = replace(leak_study())
    hello = Handshake("column", study.digest, bytes(32)).hello
    handshake = Handshake("row", study.digest, bytes(32))
    return {
        "RowParty": RowParty(study, "row.parquet"),
        "ColumnParty": ColumnParty(study, "column.parquet"),
        "KeyHolder": KeyHolder(study, key),
        "PrivateKey": key,
        "OwnerEncryptor": OwnerEncryptor(key, 1),
        "Handshake": handshake,
        "SharedSecrets": handshake.agree(hello),
        "Blinding": Blinding(RowTree.of_dimensions([3]), bytes(32)),
        "Channel": Channel(bytes(48), "row"),
        "HandOver": HandOver(),
        "People": People(study, frozenset()),
    }


NAMES = [
    "RowParty",
    "ColumnParty",
    "KeyHolder",
    "PrivateKey",
    "OwnerEncryptor",
    "Handshake",
    "SharedSecrets",
    "Blinding",
    "Channel",
    "HandOver",
    "People",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_refuses_to_be_pickled_and_prints_redacted(key, name):
    secret = secret_objects(key)[name]
    assert (
        type(secret).__name__ == name and "redacted" in repr(secret) and "redacted" in f"{secret}"
    )
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="refuses to travel"):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps({"inside": [secret]})


@pytest.mark.ray
def test_a_secret_refuses_the_object_store_and_to_be_an_argument(ray_folder, key):
    task = ray.remote(lambda value: None)
    for secret in secret_objects(key).values():
        for send in (ray.put, task.remote):
            # To explain itself Ray reads the object's properties, which may raise an error of their
            # own.
            with pytest.raises((TypeError, ProtocolError)) as caught:
                send(secret)
            first: BaseException | None = caught.value
            while first is not None and first.__context__ is not None:
                first = first.__context__
            assert "refuses to travel" in str(first)
