"""What may never reach a domain is looked for in all that its Ray held, in three Ray sessions.

Each job is a process of its own, as in production, and is stopped just before its Ray ends. That
the search finds a leak in each place is shown by leaking on purpose, in the same sessions, once all
was looked at.

Slow; in short form the folders and files of an in-process run are searched (test_canaries), and
Ray's own memory in the local deployment (tests/runtime/test_leaks.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.federation import canaries
from tests.federation.canaries import COUNTS, files, search
from tests.federation.held_open import LEAKS
from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.federation import one_machine
from xstat_ray.federation.envelope import open_message
from xstat_ray.federation.identity import DOMAINS, Identity, Peers
from xstat_ray.federation.one_machine import Arguments, OneMachine
from xstat_ray.federation.sealed import unseal
from xstat_ray.planning.plan import make_plan
from xstat_ray.runtime.progress import Progress

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
RUN = "run"
# Padding does not go with so many rows of one person.
SETTINGS = ("study=leaks", "crypto.key_bits=2048", "shards=2", "privacy.padding='off'")
RAY = ("cluster.cpus=1", f"cluster.store_bytes={80 << 20}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run: release and exchange in `out`, what domains held in `held`."""
    folder = tmp_path_factory.mktemp("held")
    tables = canaries.write_tables(folder)
    (folder / "conf" / "study").mkdir(parents=True)
    (folder / "conf" / "study" / "leaks.yaml").write_text(canaries.STUDY)
    (folder / "home").mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}

    def start(command, **settings):
        # Behind the interpreter, -P, -m, the module that runs jobs and the number of this process.
        held = [sys.executable, "-m", "tests.federation.held_open", str(folder), *command[5:]]
        return subprocess.Popen(held, **settings | {"env": environment})

    overrides = [*SETTINGS, *RAY]
    overrides += [f"data.{role}.path={path}" for role, path in tables.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            one_machine, "subprocess", SimpleNamespace(**vars(subprocess) | {"Popen": start})
        )
        arguments = Arguments.of(overrides, [str(folder / "conf")])
        plan = make_plan(canaries.leak_study(), key_bits=2048, shards=2)
        OneMachine(plan, folder / "out", {}, arguments, Progress()).run(keep=True)
    return folder


def private(folder: Path, domain: str) -> Path:
    return folder / "held" / domain / "before" / "private"


@pytest.fixture(scope="module")
def wanted(folder: Path) -> dict[str, dict[str, bytes]]:
    """By domain what may not be in its folder, and by "ray" what may be in nobody's Ray."""
    secrets = {
        role: canaries.secrets_of(role, private(folder, role) / RUN) for role in ("row", "column")
    }
    key = PrivateKey.from_bytes(
        unpack_fields((private(folder, "column") / RUN / "secrets").read_bytes())["paillier"]
    )
    plan = make_plan(canaries.leak_study(), key_bits=2048, shards=2)
    wanted = canaries.never(secrets, canaries.key_parts(key), plan.packing.slot_bits)
    # A party's environment is told the study, whose labels are public.
    everywhere = canaries.without(
        wanted["aggregator"], *canaries.PLACES, *canaries.MESH, *canaries.KINDS
    )
    for domain in DOMAINS:
        signing = load_pem_private_key(
            (private(folder, domain) / "identity.pem").read_bytes(), None
        ).private_bytes_raw()
        everywhere |= canaries.encodings(f"signing key of {domain}", signing)
    return wanted | {"ray": everywhere}


def test_no_ray_ever_holds_what_its_domain_may_not(folder, wanted):
    for domain in DOMAINS:
        held = folder / "held" / domain / "before"
        needles = wanted["ray"] | (wanted["aggregator"] if domain == "aggregator" else {})
        parts = {
            name: list(files(held / name)) for name in ("objects", "control", "store", "session")
        }
        assert all(parts.values())
        assert any("spill" in name for name, _ in parts["session"])
        assert any("/logs/worker" in name and name.endswith(".out") for name, _ in parts["session"])
        for name, contents in parts.items():
            assert search(needles, iter(contents)) == set(), (domain, name)
        now = folder / "out" / "domains"
        places = files(private(folder, domain), now / domain, now / "exchange")
        assert search(wanted[domain], places) == set(), domain
    # Two challenges, the key, flags, the rows of two shards, and masks.
    assert (
        len(list((folder / "out" / "domains" / "exchange" / RUN).glob("*-aggregator/*.msg"))) == 7
    )
    noisy = pq.read_table(folder / "out" / "statistics.parquet")["noisy"].to_pylist()
    assert noisy[:2] != list(COUNTS) and all(
        abs(n - c) < 10_000_000 for n, c in zip(noisy, COUNTS, strict=False)
    )


def place(path: str) -> str:
    """The kind of place that a copied file lies in."""
    kinds = {"spill": "ray_spilled_objects", "log": "/logs/worker"}
    return next((kind for kind, part in kinds.items() if part in path), path.split("/")[1])


def test_what_the_aggregator_may_hold_is_found_where_it_lies(folder):
    """What the search is worth: pieces of the inbox's messages, from ciphertexts and tags."""
    inbox = folder / "out" / "domains" / "exchange" / RUN
    keys = {name: Identity.load(private(folder, name) / "identity.pem") for name in DOMAINS}
    peers = Peers({name: key.public for name, key in keys.items()})
    for sender, kind, expected in (
        ("column", "flags", {"objects", "store", "spill"}),
        ("row", "rows", {"store"}),
    ):
        messages = [
            open_message(path.read_bytes(), "/".join(path.parts[-2:]), peers)
            for path in inbox.glob(f"{sender}-aggregator/*.msg")
        ]
        of_kind = [message for message in messages if message.header.kind == kind]
        opened = max(of_kind, key=lambda message: len(message.payload))
        content = unseal(keys["aggregator"], opened.header.kind, opened.payload)
        piece = {"piece": content[len(content) // 2 :][:32]}
        held = folder / "held" / "aggregator" / "before"
        # Whether rows are spilled too depends on what else is in the store at that moment.
        assert {place(path) for _, path in search(piece, files(held))} >= expected, sender


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_leak_on_purpose_is_found_and_nothing_else(folder, wanted, domain):
    found = search(wanted["ray"], files(folder / "held" / domain / "leaked"))
    text = f"id {LEAKS[domain]} text utf-8"
    code = f"id {LEAKS[domain]} hex"
    expected = {
        (text, "objects"),
        (text, "store"),
        (text, "spill"),
        (code, "control"),
        (code, "log"),
    }
    assert {(name, place(path)) for name, path in found} == expected
