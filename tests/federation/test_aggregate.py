"""No setting, no class and no file of the neutral aggregator holds a secret, and it checks that."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from tests.case import Case, study
from tests.configuration import settings_of
from tests.federation.domains import RUN, Domains
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import InputError, StudyError
from xstat_ray.federation import aggregate
from xstat_ray.federation.aggregate import refuse_secrets
from xstat_ray.federation.config import aggregator_config
from xstat_ray.federation.identity import Identity
from xstat_ray.roles.noise_share import SHARE
from xstat_ray.util.secrecy import Secret

ROOT = Path(__file__).parents[2]


@pytest.fixture
def domains(quick_key: PrivateKey, tmp_path: Path) -> Domains:
    domains = Domains(tmp_path, study(), Case(tmp_path).tables)
    domains.run(until=("aggregator", "all"))
    return domains


def test_the_code_of_the_job_has_no_class_of_a_secret():
    """Nothing that can hold a party's secret is within the job's own modules.

    The identity signs and opens nothing, and what the dealer has is the aggregator's randomness.
    """
    code = """
import importlib, inspect
from xstat_ray.util.secrecy import Secret

rooms = ("federation.aggregate", "roles.aggregator", "roles.join")
for name in ("jobs.aggregate", *(f"xstat_ray.{room}" for room in rooms)):
    for name, value in vars(importlib.import_module(name)).items():
        if inspect.isclass(value) and issubclass(value, Secret):
            print(name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"Identity", "Dealing", "CovertCheck"}
    held = [
        name
        for name, value in vars(aggregate).items()
        if inspect.isclass(value) and issubclass(value, Secret)
    ]
    assert sorted(held) == ["CovertCheck", "Dealing"]


def test_no_setting_names_a_secret():
    keys = settings_of("aggregate")
    assert {"domain", "crypto", "step"} <= keys.keys()
    assert not {"ledger", "data", "party", "out"} & keys.keys()
    raw = {"study": {}, "domain": {}, "step": "all", "attestation": {}}
    for key in ("key", "private_key", "secrets", "party"):
        with pytest.raises(StudyError, match="unknown key"):
            aggregator_config(raw | {key: "x"}, "origin")
    for key in ("expect", "pcrs", "aggregator"):
        with pytest.raises(StudyError, match=rf"unknown key \(.*key attestation\.{key}\)"):
            aggregator_config(raw | {"attestation": {key: "x"}}, "origin")


def mislaid(domains: Domains, place: str, secret: str) -> Path:
    """A party's secrets where the aggregator can reach them."""
    content = (domains.state("column") / secret).read_bytes()
    path = {
        "its private folder": domains.private("aggregator") / "backup" / "copy.bin",
        "its run": domains.state("aggregator") / "secrets",
        "the exchange": domains.exchange / RUN / "column-aggregator" / "mislaid",
    }[place]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("secret", ["secrets", SHARE])
@pytest.mark.parametrize("place", ["its private folder", "its run", "the exchange"])
def test_it_does_not_start_beside_a_secret(domains, place, secret):
    path = mislaid(domains, place, secret)
    before = domains.messages()
    with pytest.raises(
        InputError, match="a party's secret lies within the aggregator's reach"
    ) as caught:
        domains.step("aggregator", "all")
    assert str(path) in str(caught.value)
    assert domains.messages() == before
    path.unlink()
    domains.step("aggregator", "all")


def test_it_does_not_start_with_a_secret_in_its_environment(domains, monkeypatch, tmp_path):
    pem = (domains.private("row") / "identity.pem").read_text()
    secrets = domains.state("row") / "secrets"
    for value in (pem, str(domains.private("row") / "identity.pem"), str(secrets)):
        monkeypatch.setenv("SOMETHING", value)
        with pytest.raises(InputError, match="within the aggregator's reach"):
            domains.step("aggregator", "all")
    monkeypatch.setenv("SOMETHING", str(domains.private("aggregator") / "identity.pem"))
    domains.step("aggregator", "all")


def test_its_own_signing_key_is_no_secret_of_a_party(tmp_path):
    identity = tmp_path / "identity.pem"
    Identity.create(identity)
    refuse_secrets([tmp_path], {}, identity)
    with pytest.raises(InputError, match=r"identity\.pem"):
        refuse_secrets([tmp_path], {}, tmp_path / "other.pem")
