"""Attestation documents of AWS Nitro Enclaves, whole and mutated, by a test's own authority."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from xstat_ray.errors import AttestationError
from xstat_ray.federation import nitro
from xstat_ray.federation.attestation import Claim, NitroVerifier

NOW = time.time()
NAMES = ("root", "first", "second", "leaf")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
PCRS = {index: bytes([index + 1]) * 48 for index in range(16)}


def issue(
    subject,
    key,
    issuer=None,
    signer=None,
    *,
    ca=True,
    path=None,
    hours=(-1, 3),
    sign=True,
    extensions=(),
    hash_=SHA384,
):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    start, end = (dt.datetime.fromtimestamp(NOW, dt.UTC) + dt.timedelta(hours=h) for h in hours)
    usage = x509.KeyUsage(*(sign and place == (5 if ca else 0) for place in range(9)))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca, path if ca else None), critical=True)
    )
    for extension, critical in (*extensions, *([] if sign is None else [(usage, True)])):
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer or key, hash_())


@dataclass
class Authority:
    """Root, two intermediates, a leaf; as AWS has them: root first in the bundle."""

    keys: list[Any] = field(
        default_factory=lambda: [ec.generate_private_key(ec.SECP384R1()) for _ in range(4)]
    )

    def chain(self, **changes: dict[str, Any]) -> list[x509.Certificate]:
        chain: list[x509.Certificate] = []
        for number, name in enumerate(NAMES):
            options = {"ca": name != "leaf"} | changes.get(name, {})
            key = options.pop("key", self.keys[number])
            signer = options.pop("signer", self.keys[number - 1] if number else None)
            chain.append(issue(name, key, chain[-1] if chain else None, signer, **options))
        return chain


AUTHORITY = Authority()
CHAIN = AUTHORITY.chain()
ROOT = CHAIN[0].fingerprint(SHA256())
NONCE = os.urandom(32)
BINDING = os.urandom(32)


def der(chain: Sequence[x509.Certificate]) -> list[bytes]:
    return [certificate.public_bytes(Encoding.DER) for certificate in chain]


def payload(chain: Sequence[x509.Certificate] = CHAIN, **changes: Any) -> dict[str, Any]:
    *bundle, leaf = der(chain)
    whole = {
        "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
        "timestamp": int(NOW * 1000),
        "digest": "SHA384",
        "pcrs": PCRS,
        "certificate": leaf,
        "cabundle": bundle,
        "public_key": None,
        "user_data": BINDING,
        "nonce": NONCE,
    }
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def sign(
    body: object,
    key: Any = AUTHORITY.keys[3],
    protected: bytes | None = None,
    unprotected: dict[int, Any] | None = None,
    tag: bool = False,
    hash_: type = SHA384,
) -> bytes:
    protected = cbor2.dumps({1: -35}) if protected is None else protected
    body = body if isinstance(body, bytes) else cbor2.dumps(body)
    signed = cbor2.dumps(["Signature1", protected, b"", body])
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hash_())))
    parts = [protected, unprotected or {}, body, r.to_bytes(48) + s.to_bytes(48)]
    return cbor2.dumps(cbor2.CBORTag(18, parts) if tag else parts)


def check(data: bytes, root: bytes = ROOT, now: float = NOW) -> nitro.Document:
    return nitro.verify(data, root=root, now=now)


def refused(data: bytes, reason: str, **changes: Any) -> None:
    with pytest.raises(AttestationError, match=reason):
        check(data, **changes)


DOCUMENT = sign(payload())


@pytest.mark.parametrize("tag", [False, True])
def test_a_good_document(tag):
    found = check(sign(payload(), tag=tag))
    assert (found.pcrs, found.nonce, found.user_data, found.public_key) == (
        PCRS,
        NONCE,
        BINDING,
        None,
    )
    assert found.timestamp_ms == int(NOW * 1000)


def test_the_root_of_aws_is_the_one_that_is_trusted_by_default():
    assert (
        nitro.AWS_ROOT.hex().upper()
        == "641A0321A3E244EFE456463195D606317ED7CDCC3C1756E09893F3C68F79BB5B"
    )
    refused(DOCUMENT, "do not begin at the pinned root", root=nitro.AWS_ROOT)


def test_another_authority_is_refused():
    other = Authority()
    refused(sign(payload(other.chain()), other.keys[3]), "do not begin at the pinned root")


@given(st.integers(0, len(DOCUMENT) - 1), st.integers(1, 255))
@settings(max_examples=150)
def test_any_changed_byte_is_refused(place, difference):
    data = bytearray(DOCUMENT)
    data[place] ^= difference
    refused(bytes(data), ".")


@given(st.integers(0, len(DOCUMENT) - 1))
def test_any_truncation_is_refused(size):
    refused(DOCUMENT[:size], ".")


@given(st.binary(max_size=200))
def test_noise_is_refused(data):
    refused(data, ".")


def test_something_behind_the_end_is_refused():
    refused(DOCUMENT + b"\0", "behind its end")
    refused(b"\0" * (nitro.MAX_BYTES + 1), "too long")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"root": {"hours": (-9, -1)}}, "expired"),
        ({"first": {"hours": (-9, -1)}}, "expired"),
        ({"leaf": {"hours": (-9, -1)}}, "expired"),
        ({"leaf": {"hours": (1, 3)}}, "expired or is not valid yet"),
        ({"second": {"ca": False}}, "may not issue"),
        ({"second": {"sign": False}}, "may not issue"),
        *(({"leaf": {"sign": sign}}, "may not sign documents") for sign in (False, None)),
        *(({name: {"extensions": [(UNKNOWN, True)]}}, "not known") for name in NAMES),
        ({"leaf": {"extensions": [(x509.ExtendedKeyUsage([UNKNOWN.oid]), True)]}}, "not known"),
        ({"root": {"path": 1}}, "longer than one of them allows"),
        ({"leaf": {"signer": AUTHORITY.keys[1]}}, "was not issued by the one before"),
        ({"second": {"signer": AUTHORITY.keys[2]}}, "was not issued by the one before"),
        (
            {
                "second": {"key": ec.generate_private_key(ec.SECP256R1())},
                "leaf": {"signer": AUTHORITY.keys[2]},
            },
            "not on P-384",
        ),
    ],
)
def test_bad_chains(changes, reason):
    chain = AUTHORITY.chain(**changes)
    refused(sign(payload(chain)), reason, root=chain[0].fingerprint(SHA256()))


def test_an_extension_that_is_not_critical_may_be_unknown():
    chain = AUTHORITY.chain(leaf={"extensions": [(UNKNOWN, False)]})
    check(sign(payload(chain)), chain[0].fingerprint(SHA256()))


def test_chains_in_another_order():
    root, first, second, leaf = CHAIN
    refused(sign(payload([first, root, second, leaf])), "pinned root")
    refused(sign(payload([root, second, first, leaf])), "not issued")
    refused(sign(payload([root, second, leaf])), "not issued")
    refused(sign(payload([leaf])), "cabundle")


def test_an_expired_document_was_good_once():
    refused(DOCUMENT, "expired", now=NOW + 4 * 3600)
    refused(DOCUMENT, "not valid yet", now=NOW - 2 * 3600)


def test_signatures():
    refused(sign(payload(), AUTHORITY.keys[2]), "signature is wrong")
    refused(sign(payload(), hash_=SHA256), "signature is wrong")
    protected, unprotected, body, signature = cbor2.loads(DOCUMENT)
    for bad in (bytes(96), signature[48:] + signature[:48]):
        refused(cbor2.dumps([protected, unprotected, body, bad]), "signature is wrong")
    for bad in (b"", signature[:-1], signature + b"\0"):
        refused(cbor2.dumps([protected, unprotected, body, bad]), "96 bytes")


@pytest.mark.parametrize(
    "protected", [{1: -7}, {1: -36}, {}, {1: -35, 4: b"x"}, {"1": -35}, [1, -35]]
)
def test_other_algorithms(protected):
    refused(sign(payload(), protected=cbor2.dumps(protected)), "not signed with ES384")


def test_other_structures():
    whole = cbor2.loads(DOCUMENT)
    refused(sign(payload(), unprotected={1: -35}), "not signed with ES384")
    for bad in (
        whole[:3],
        [*whole, b""],
        {},
        b"",
        "text",
        3,
        None,
        cbor2.CBORTag(17, whole),
        cbor2.CBORTag(18, 3),
    ):
        refused(cbor2.dumps(bad), "malformed")
    refused(b"\x9f" + b"".join(map(cbor2.dumps, whole)) + b"\xff", "no CBOR")
    refused(b"\x81" * 100, "no CBOR")


NEEDED = ("module_id", "timestamp", "digest", "pcrs", "certificate", "cabundle")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        *(({key: ...}, "malformed") for key in NEEDED),
        *(({key: 3.5}, "malformed") for key in (*NEEDED, "nonce", "user_data")),
        ({"module_id": ""}, "malformed"),
        ({"timestamp": 0}, "malformed"),
        ({"timestamp": True}, "malformed"),
        ({"digest": "SHA256"}, "malformed"),
        ({"pcrs": {}}, "malformed"),
        ({"pcrs": {32: bytes(48)}}, "malformed"),
        ({"pcrs": {"0": bytes(48)}}, "malformed"),
        ({"pcrs": {0: b"\1" * 47}}, "malformed"),
        ({"pcrs": dict.fromkeys(range(33), b"\x01" * 48)}, "malformed"),
        ({"pcrs": {0: bytes(48)}}, "debug mode"),
        ({"pcrs": {1: b"\1" * 48}}, "debug mode"),
        ({"cabundle": []}, "cabundle"),
        ({"cabundle": [b"no certificate"]}, "a certificate"),
        ({"cabundle": [b""]}, "a certificate"),
        ({"certificate": b"x" * 1025}, "a certificate"),
        ({"nonce": bytes(513)}, "nonce"),
        ({"user_data": bytes(513)}, "user_data"),
        ({"public_key": bytes(1025)}, "public_key"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_malformed_documents_are_refused_though_they_are_signed(changes, reason):
    refused(sign(payload(**changes)), reason)


def test_a_body_that_is_no_map_or_names_a_key_twice():
    refused(sign([1, 2]), "no map")
    twice = (
        b"\xa2"
        + cbor2.dumps("nonce")
        + cbor2.dumps(b"a")
        + cbor2.dumps("nonce")
        + cbor2.dumps(b"b")
    )
    refused(sign(twice), "no CBOR")


def test_a_key_that_is_not_of_an_elliptic_curve():
    edwards = Ed25519PrivateKey.generate()
    chain = AUTHORITY.chain(leaf={"key": edwards})
    refused(sign(payload(chain)), "not on P-384")


# What the handshake demands of it

CLAIM = Claim("column", NONCE, BINDING, hashlib.sha256(b"software").digest())


def verifier(pcrs: dict[int, bytes] | None = None, max_age: int = 3600) -> NitroVerifier:
    return NitroVerifier(
        ROOT, {0: PCRS[0], 1: PCRS[1]} if pcrs is None else pcrs, max_age, CLAIM.measurement
    )


def test_the_verifier_accepts_the_counterpart_that_was_agreed_on():
    verifier().verify(DOCUMENT, CLAIM)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"nonce": os.urandom(32)}, "another handshake"),
        ({"nonce": None}, "another handshake"),
        ({"user_data": os.urandom(32)}, "another handshake"),
        ({"user_data": ...}, "another handshake"),
        ({"pcrs": PCRS | {0: b"\2" * 48}}, "PCR0 is not the one"),
        ({"pcrs": PCRS | {1: PCRS[0]}}, "PCR1 is not the one"),
        ({"pcrs": {0: PCRS[0]}}, "PCR1 is not the one"),
        ({"timestamp": int((NOW - 4000) * 1000)}, "has expired"),
        ({"timestamp": int((NOW + 4000) * 1000)}, "in the future"),
    ],
)
def test_the_verifier_refuses_anything_else(changes, reason):
    with pytest.raises(AttestationError, match=reason):
        verifier().verify(sign(payload(**changes)), CLAIM)
