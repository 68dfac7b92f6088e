"""The three domains as their own processes, each with a Ray of its own, by the one command that drives them."""

from __future__ import annotations

import json
import stat
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs.command import run, start
from tests.killing import processes_of
from tests.sizes import slow, thorough
from xstat_ray.federation.identity import DOMAINS, Identity
from xstat_ray.federation.one_machine import Arguments

STUDY = """# @package _global_
study:
  name: small
  row: {id: id, dimensions: [{name: area, values: ["1", "2"]}]}
  column: {id: id, dimensions: [{name: kind, values: [x, y]}]}
  bounds: {persons: 20}
privacy: {noise: NOISE, epsilon: 1, cap: 1}
data:
  row: {path: rows.parquet}
  column: {path: columns.parquet}
"""
USUAL = ("--config-dir", "conf", "crypto.key_bits=2048")
FIRST = "row-column/000000.msg"
FEDERATED = ("deployment=federated", "display=json", "out=out")


@pytest.fixture
def folder(tmp_path):
    """With an apostrophe and a blank in its name, which a command line must survive."""
    folder = tmp_path / "it's here"
    (folder / "conf" / "study").mkdir(parents=True)
    for name, noise in (("exact", '"off"'), ("noisy", "laplace")):
        (folder / "conf" / "study" / f"{name}.yaml").write_text(STUDY.replace("NOISE", noise))
    pq.write_table(pa.table({"id": ["1", "2", "3"], "area": [1, 2, 1]}), folder / "rows.parquet")
    pq.write_table(
        pa.table({"id": ["1", "2", "9"], "kind": ["x", "y", "x"]}), folder / "columns.parquet"
    )
    return folder


def call(folder, job, *arguments):
    return run(job, folder, *USUAL, *arguments, timeout=280)


def federated(folder, *arguments):
    return call(folder, "crosstab", *FEDERATED, *arguments)


@slow
@pytest.mark.ray
def test_exact_counts_from_three_ray_sessions(folder):
    code, _, error = federated(
        folder, "study=exact", "unsafe.allow_no_noise=true", "replicas.row=2"
    )
    assert code == 0, error
    assert pq.read_table(folder / "out" / "statistics.parquet")["noisy"].to_pylist() == [1, 0, 0, 1]
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    # The defaults of this deployment.
    assert manifest["constant_time"] is True and manifest["view"]["padding"] == "dp"
    domains = folder / "out" / "domains"
    assert {path.name for path in domains.iterdir()} == {"row", "column", "aggregator"}
    assert all(
        stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in [domains, *domains.rglob("*")]
    )
    assert not list(domains.rglob("secrets"))


@slow
def test_two_row_parties_as_processes_and_the_check_of_their_release(folder):
    parties = "parties: [{name: north}, {name: so-uth}], "
    told = STUDY.replace("NOISE", "laplace").replace("row: {id: id, ", "row: {id: id, " + parties)
    assert parties in told
    (folder / "conf" / "study" / "several.yaml").write_text(told)
    rows = pq.read_table(folder / "rows.parquet")
    for name, part in (("north", rows.slice(0, 2)), ("so-uth", rows.slice(2))):
        pq.write_table(part, folder / f"{name}.parquet")
    paths = "'data.row.path={north: north.parquet, so-uth: so-uth.parquet}'"
    arguments = ("study=several", "runtime=local", "privacy.padding='off'", paths.strip("'"))
    code, _, error = federated(folder, *arguments)
    assert code == 0, error
    domains = folder / "out" / "domains"
    names = {"north", "so-uth", "column", "aggregator"}
    assert {path.name for path in domains.iterdir()} == names
    assert not list(domains.rglob("secrets"))
    key = Identity.load(domains / "north" / "identity.pem").public.hex()
    for told, expected in ((key, 0), ("0" * 64, 1)):
        code, text, error = run("verify", folder, "release=out", f"rows.north='{told}'")
        assert code == expected, text + error
        assert ("WRONG" in text) == bool(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "message", [FIRST, "column-row/000002.msg", "aggregator-column/000000.msg"]
)
def test_the_driver_of_the_three_is_killed(folder, message):
    """Its jobs go with it, and the same command finishes the run."""
    arguments = ("study=exact", "unsafe.allow_no_noise=true", "runtime=local")
    driver = start("crosstab", folder, *USUAL, *FEDERATED, *arguments)
    while not (folder / "out" / "domains" / "exchange" / "run" / message).exists():
        assert driver.poll() is None
        time.sleep(0.01)
    driver.kill()
    driver.communicate()
    while processes_of(folder / "out" / "domains"):
        time.sleep(0.1)
    # They did not come to their ends by themselves.
    assert (
        message != FIRST
        or not (folder / "out/domains/exchange/run/aggregator-column/000000.msg").exists()
    )
    code, _, error = federated(folder, *arguments)
    assert code == 0, error
    assert pq.read_table(folder / "out" / "statistics.parquet")["noisy"].to_pylist() == [1, 0, 0, 1]


@pytest.mark.slow
@thorough
def test_padding_off_warns_and_a_folder_holds_one_release(folder):
    code, _, error = federated(folder, "study=noisy", "runtime=local", "privacy.padding='off'")
    assert code == 0 and "PADDING IS OFF" in error, error
    code, _, error = federated(folder, "study=noisy", "runtime=local")
    assert code == 2 and "already holds a release" in error


@thorough
def test_what_a_domain_says_when_it_fails_is_passed_on(folder):
    pq.write_table(pa.table({"number": ["1"], "area": [1]}), folder / "rows.parquet")
    code, _, error = federated(folder, "study=noisy", "runtime=local")
    assert code == 2 and "the row domain failed" in error and "rows.parquet" in error
    assert not (folder / "out" / "statistics.parquet").exists()


def test_a_missing_table_is_found_before_anything_starts(folder):
    code, _, error = federated(folder, "study=noisy", "data.row.path=nowhere.parquet")
    assert code == 2 and "nowhere.parquet). Set data.row.path" in error
    assert "Plan:" not in error
    assert not (folder / "out").exists()


def test_an_identity_is_made_once_and_its_public_key_printed(folder):
    arguments = (
        "study=noisy",
        "step=identity",
        "domain.run=any",
        "domain.private=own",
        "domain.exchange=none",
    )
    first = call(folder, "deidentify", "party=row", *arguments)
    assert first[0] == 0 and len(bytes.fromhex(first[1].strip())) == 32
    assert call(folder, "deidentify", "party=row", *arguments) == first
    assert call(folder, "aggregate", *arguments)[1] == first[1]


@thorough
def test_a_step_that_must_wait_says_so(folder):
    common = ("study=noisy", "domain.run=any", "domain.exchange=shared", "domain.wait=0")
    identities = {name: Identity.create(folder / name / "identity.pem") for name in DOMAINS}

    def do(job, domain, *arguments, left_out=None):
        peers = [
            f"domain.peers.{name}='{identity.public.hex()}'"
            for name, identity in identities.items()
            if name not in (domain, left_out)
        ]
        party = () if job == "aggregate" else (f"party={domain}",)
        return call(folder, job, *party, *common, f"domain.private={domain}", *peers, *arguments)

    for name in DOMAINS:
        code, _, error = do("deidentify", "row", "runtime=local")
        assert code == 4 and f"not approved by: {name}" in error
        assert not list(folder.glob("shared/any/*-*"))
        code, page, error = do("approve", name, "language=ja")
        assert code == 0 and "それぞれが知ること" in page, error
    code, _, error = do("deidentify", "row", "runtime=local")
    assert code == 4 and "message column-row/000000.msg (hello) has not come yet" in error
    code, _, error = do("deidentify", "row", left_out="aggregator")
    assert code == 2 and "domain.peers.aggregator" in error


def test_everyone_is_told_what_concerns_him():
    overrides = [
        "study=s",
        "data.row.path=r",
        "data.column.path=c",
        "runtime=local",
        "data.row.ledger=l",
        "out=o",
        "display=json",
        "shards=3",
    ]
    arguments = Arguments.of([*overrides, "deployment=federated"], ["/conf"])
    assert arguments.common == ("--config-dir", "/conf", "study=s", "shards=3")
    assert arguments.by_role == {
        "row": ("runtime=local", "data.row.path=r"),
        "column": ("runtime=local", "data.column.path=c"),
        "aggregator": ("runtime=local",),
    }
