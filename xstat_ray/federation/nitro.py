"""Attestation documents of AWS Nitro Enclaves.

A document is a COSE_Sign1 structure (RFC 9052) with ES384 and a chain of P-384 certificates. The
checks follow what AWS documents for verifiers ("Verifying the root of trust"): the syntax, then the
chain from the pinned root through `cabundle` to `certificate`, then the signature. The caller
checks registers, nonce and user data.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Any

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.x509.oid import ExtensionOID

from xstat_ray.errors import AttestationError

AWS_ROOT = bytes.fromhex("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b")
"""SHA-256 of the root certificate "aws.nitro-enclaves", as AWS publishes it."""

MAX_BYTES = 64 << 10
_ES384 = -35
_ALGORITHM = 1
_SIGN1_TAG = 18
_HALF = 48
_DEPTH = 8
_PCR_BYTES = (32, 48, 64)
_KNOWN = (ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE)
"""The critical extensions of AWS's certificates."""
_LIMITS = {"public_key": 1024, "user_data": 512, "nonce": 512}


@dataclass(frozen=True)
class Document:
    """The content of a valid document."""

    module_id: str
    timestamp_ms: int
    pcrs: dict[int, bytes]
    """Platform configuration registers: PCR0 is the digest of the enclave's image."""
    public_key: bytes | None
    user_data: bytes | None
    nonce: bytes | None


def verify(data: bytes, *, root: bytes, now: float) -> Document:
    """Check the form, the certificates and the signature of a document.

    Args:
        data: the document as the Nitro Security Module gives it.
        root: SHA-256 of the DER form of the root certificate that is trusted.
        now: seconds since 1970, at which all certificates must be valid.

    Raises:
        AttestationError: the document does not hold; tells why.
    """
    protected, payload, signature = _sign1(data)
    document, certificate, bundle = _document(payload)
    _check_chain([*bundle, certificate], root, now)
    _check_leaf(certificate)
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    _check_signature(certificate, signature, signed)
    return document


def _sign1(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Split a COSE_Sign1 structure with ES384 into protected header, payload and signature."""
    if len(data) > MAX_BYTES:
        raise AttestationError("the attestation document is too long")
    outer = _load(data)
    if isinstance(outer, cbor2.CBORTag):
        outer = outer.value if outer.tag == _SIGN1_TAG else None
    if not isinstance(outer, Sequence) or len(outer) != 4:
        raise _malformed("no COSE_Sign1 structure")
    protected, unprotected, payload, signature = outer
    if not all(isinstance(part, bytes) for part in (protected, payload, signature)):
        raise _malformed("no COSE_Sign1 structure")
    if unprotected != {} or _load(protected) != {_ALGORITHM: _ES384}:
        raise AttestationError("the attestation document is not signed with ES384")
    if len(signature) != 2 * _HALF:
        raise _malformed("a signature of ES384 has 96 bytes")
    return protected, payload, signature


def _document(payload: bytes) -> tuple[Document, x509.Certificate, list[x509.Certificate]]:
    raw = _load(payload)
    if not isinstance(raw, dict):
        raise _malformed("no map")
    module = raw.get("module_id")
    at = raw.get("timestamp")
    pcrs = raw.get("pcrs")
    if (
        not isinstance(module, str)
        or not module
        or type(at) is not int
        or at <= 0
        or raw.get("digest") != "SHA384"
    ):
        raise _malformed("module_id, timestamp or digest")
    if not isinstance(pcrs, dict) or not 1 <= len(pcrs) <= 32:
        raise _malformed("pcrs")
    for index, value in pcrs.items():
        if type(index) is not int or not 0 <= index < 32 or not isinstance(value, bytes):
            raise _malformed("pcrs")
        if len(value) not in _PCR_BYTES:
            raise _malformed("pcrs")
    if not any(pcrs.get(0, b"")):
        raise AttestationError("the enclave runs in debug mode: PCR0 is zero")
    optional = {name: _optional(raw, name, limit) for name, limit in _LIMITS.items()}
    bundle = raw.get("cabundle")
    if not isinstance(bundle, Sequence) or isinstance(bundle, str | bytes) or not bundle:
        raise _malformed("cabundle")
    certificates = [_certificate(der) for der in [*bundle, raw.get("certificate")]]
    return Document(module, at, dict(pcrs), **optional), certificates[-1], certificates[:-1]


def _optional(raw: dict[str, Any], name: str, limit: int) -> bytes | None:
    value = raw.get(name)
    if value is not None and not (isinstance(value, bytes) and len(value) <= limit):
        raise _malformed(name)
    return value


def _certificate(der: object) -> x509.Certificate:
    if not isinstance(der, bytes) or not 1 <= len(der) <= 1024:
        raise _malformed("a certificate")
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
        raise _malformed("a certificate") from None
    except Exception as error:  # cryptography raises classes of its own for odd algorithms
        raise _malformed(f"a certificate ({type(error).__name__})") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise AttestationError("a certificate's key is not on P-384")
    return certificate


def _check_chain(chain: Sequence[x509.Certificate], root: bytes, now: float) -> None:
    """Check that the chain begins at the pinned root, is issued link by link, and is valid now."""
    if chain[0].fingerprint(SHA256()) != root:
        raise AttestationError("the certificates do not begin at the pinned root")
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    for certificate in chain:
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise AttestationError("a certificate has expired or is not valid yet")
        _check_extensions(certificate)
    for below, (issuer, subject) in zip(
        reversed(range(len(chain) - 1)), pairwise(chain), strict=True
    ):
        _check_issuer(issuer, below)
        try:
            subject.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise AttestationError("a certificate was not issued by the one before it") from None


def _check_extensions(certificate: x509.Certificate) -> None:
    """Check that a certificate has no critical extension but those that are checked here.

    RFC 5280, section 4.2: whoever does not know a critical extension must refuse the certificate.
    """
    try:
        extensions = list(certificate.extensions)
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        raise AttestationError("a certificate's extensions are malformed") from None
    if any(extension.critical and extension.oid not in _KNOWN for extension in extensions):
        raise AttestationError("a certificate has a critical extension that is not known")


def _check_leaf(certificate: x509.Certificate) -> None:
    """Check that the certificate under the chain may sign documents (RFC 5280, section 4.2.1.3)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise AttestationError("the enclave's certificate may not sign documents") from None
    if not usage.digital_signature:
        raise AttestationError("the enclave's certificate may not sign documents")


def _check_issuer(issuer: x509.Certificate, below: int) -> None:
    """Check that a certificate may issue, with `below` further issuers under it."""
    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise AttestationError("a certificate in the chain may not issue others") from None
    if not basic.ca or not usage.key_cert_sign:
        raise AttestationError("a certificate in the chain may not issue others")
    if basic.path_length is not None and basic.path_length < below:
        raise AttestationError("the chain of certificates is longer than one of them allows")


def _check_signature(certificate: x509.Certificate, signature: bytes, signed: bytes) -> None:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = (int.from_bytes(half) for half in (signature[:_HALF], signature[_HALF:]))
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA384()))
    except InvalidSignature:
        raise AttestationError("the attestation document's signature is wrong") from None


def _load(data: bytes) -> Any:
    """Decode one CBOR item with nothing behind it."""
    stream = BytesIO(data)
    try:
        decoder = cbor2.CBORDecoder(
            stream,
            read_size=1,
            max_depth=_DEPTH,
            allow_indefinite=False,
            allow_duplicate_keys=False,
        )
        value = decoder.decode()
        rest = stream.read(1)
    except Exception:  # whatever a decoder meets in hostile bytes
        raise _malformed("no CBOR") from None
    if rest:
        raise _malformed("something behind its end")
    return value


def _malformed(what: str) -> AttestationError:
    return AttestationError(f"the attestation document is malformed: {what}")
