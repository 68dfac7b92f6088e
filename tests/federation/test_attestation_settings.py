"""The settings of the attestation: what is shown, and what is demanded of whom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.federation.test_nitro import AUTHORITY, PCRS, ROOT, payload
from xstat_ray.errors import InputError, StudyError
from xstat_ray.federation import nitro
from xstat_ray.federation.attestation import (
    Claim,
    CommandProvider,
    NitroVerifier,
    SoftwareProvider,
    SoftwareVerifier,
)
from xstat_ray.federation.attestation_settings import party_attestation, shown_evidence
from xstat_ray.federation.identity import Identity, Peers
from xstat_ray.inputs.section import Section
from xstat_ray.util.software_digest import software_digest

CLAIM = Claim("aggregator", b"n" * 32, b"b" * 32, software_digest())
PCR = "ab" * 48


def section(**attestation: Any) -> Section:
    return Section({"attestation": attestation}, key="", origin="test.yaml", known=("attestation",))


def test_what_is_demanded_of_each_is_read_from_its_place(tmp_path):
    pins = {"expect": "nitro", "pcrs": {"0": PCR, 8: PCR}, "root": "cd" * 32, "max_age": 60}
    settings = party_attestation(section(aggregator=pins, measurement="12" * 32, files="34" * 32))
    assert settings.other.measurement == b"\x12" * 32 and settings.other.files == b"\x34" * 32
    assert settings.other.expect == settings.shown.show == "software"
    assert settings.aggregator.pcrs == {0: b"\xab" * 48, 8: b"\xab" * 48}
    assert (settings.aggregator.root, settings.aggregator.max_age) == (b"\xcd" * 32, 60)
    made = settings.make(Identity.create(tmp_path / "identity.pem"), Peers({}))
    assert isinstance(made.provider, SoftwareProvider)
    assert isinstance(made.verifier, SoftwareVerifier)
    assert isinstance(made.aggregator, NitroVerifier) and made.aggregator.pcrs[8] == b"\xab" * 48


def test_the_root_of_aws_is_trusted_unless_another_is_named():
    settings = party_attestation(section(aggregator={}))
    assert settings.aggregator.root == settings.other.root == nitro.AWS_ROOT


@pytest.mark.parametrize("where", ["attestation", "attestation.aggregator"])
@pytest.mark.parametrize(
    ("changes", "key", "problem"),
    [
        ({"expect": "nitro"}, "pcrs", "PCR 0 is not pinned"),
        ({"expect": "nitro", "pcrs": {"1": PCR}}, "pcrs", "PCR 0 is not pinned"),
        ({"expect": "sgx"}, "expect", "'sgx' is not supported"),
        ({"measurement": "12"}, "measurement", "another length"),
        ({"files": "xy" * 32}, "files", "not hexadecimal"),
        ({"pcrs": {"0": "12"}}, "pcrs.0", "another length"),
        ({"pcrs": {"32": PCR}}, "pcrs.32", "unknown key"),
        ({"max_age": 0}, "max_age", "whole number of at least 1"),
        ({"pcr": {}}, "pcr", "unknown key"),
    ],
)
def test_bad_pins_are_refused_by_name(where, changes, key, problem):
    aggregator = changes if where.endswith("aggregator") else {}
    other = {} if aggregator else changes
    with pytest.raises(StudyError, match=problem) as caught:
        party_attestation(section(**other, aggregator=aggregator))
    assert caught.value.key == f"{where}.{key}"


def test_the_aggregator_shows_and_demands_nothing():
    assert shown_evidence(section(show="nitro", command=["nsm"])).command == ("nsm",)
    with pytest.raises(StudyError, match=r"command is missing.*attestation\.command"):
        shown_evidence(section(show="nitro"))
    with pytest.raises(StudyError, match=r"unknown key.*attestation\.expect"):
        shown_evidence(section(expect="nitro"))
    for key in ("show", "command"):
        with pytest.raises(StudyError, match=rf"unknown key.*attestation\.aggregator\.{key}"):
            party_attestation(section(aggregator={key: "nitro"}))


COMMAND = """
import sys
from pathlib import Path
import cbor2
from cryptography.hazmat.primitives.serialization import load_pem_private_key
sys.path.insert(0, {tests!r})
from tests.federation.test_nitro import sign
folder = Path({folder!r})
body = cbor2.loads((folder / "body").read_bytes())
nonce, data = (bytes.fromhex(text) for text in sys.argv[1:])
key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
sys.stdout.buffer.write(sign(body | {{"nonce": nonce, "user_data": data}}, key))
"""


def test_the_command_is_given_nonce_and_user_data_and_prints_the_document(tmp_path, monkeypatch):
    pem = AUTHORITY.keys[3].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "body").write_bytes(cbor2.dumps(payload()))
    script = tmp_path / "attest.py"
    root = Path(__file__).parents[2]
    script.write_text(COMMAND.format(tests=str(root), folder=str(tmp_path)))
    shown = shown_evidence(section(show="nitro", command=[sys.executable, str(script)]))
    evidence = shown.provider(Identity.create(tmp_path / "identity.pem")).evidence(CLAIM)
    NitroVerifier(ROOT, {0: PCRS[0]}, 3600).verify(evidence, CLAIM)


@pytest.mark.parametrize("command", [("/nowhere/attest",), ("false",)])
def test_a_command_that_gives_no_document_is_named(command):
    with pytest.raises(InputError, match="gave no document") as caught:
        CommandProvider(command).evidence(CLAIM)
    assert caught.value.key == "attestation.command"
    assert isinstance(caught.value.__context__, OSError | subprocess.SubprocessError)
