"""Make what the nodes of one Ray cluster identify themselves with: authority, certificates, token.

    # authority and token, once a cluster
    python cluster/make_secrets.py secrets/row
    # a certificate for a node
    python cluster/make_secrets.py secrets/row --node head --ip 10.0.0.5
    # on the node itself
    python cluster/make_secrets.py /certs --authority /authority --node me --ip 10.0.0.6

The folder then holds ca.crt, ca.key, token, and for each node NODE.crt and NODE.key. A node needs
ca.crt, its certificate and key, and the token. Ray checks that a certificate is for the address at
which its node is reached. Where addresses are not known beforehand a node makes its certificate as
it starts, from the authority in another folder; ca.key is not copied.

Each trust domain has an authority and a token, so that a node of one is a stranger to the others.
What is there is kept, except that a node's certificate is made anew.
"""

from __future__ import annotations

import argparse
import datetime as dt
import ipaddress
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 365
NODE_DAYS = 90
BACKDATED = dt.timedelta(minutes=10)
"""Clocks of nodes differ."""
Key = ec.EllipticCurvePrivateKey


def make_authority(folder: Path) -> None:
    """Write ca.key and ca.crt, unless they are there."""
    if (folder / "ca.key").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"xstat-ray {secrets.token_hex(4)}")
    builder = _builder(name, name, key.public_key(), AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    builder = builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
    )
    _write(folder / "ca.key", _pem(key))
    _write(
        folder / "ca.crt",
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
    )


def make_node(
    folder: Path, issuer: Path, node: str, addresses: Sequence[str], names: Sequence[str]
) -> None:
    """Write NODE.key, NODE.crt and ca.crt for a node that is reached at these addresses and names.

    Raises:
        ValueError: not an IP address.
    """
    certificate = (issuer / "ca.crt").read_bytes()
    authority = x509.load_pem_x509_certificate(certificate)
    authority_key = serialization.load_pem_private_key((issuer / "ca.key").read_bytes(), None)
    assert isinstance(authority_key, Key)
    key = ec.generate_private_key(ec.SECP256R1())
    reached: list[x509.GeneralName] = [
        x509.DNSName(name) for name in dict.fromkeys((node, "localhost", *names))
    ]
    reached += [
        x509.IPAddress(ipaddress.ip_address(ip)) for ip in dict.fromkeys(("127.0.0.1", *addresses))
    ]
    builder = _builder(_name(node), authority.subject, key.public_key(), NODE_DAYS)
    builder = builder.add_extension(x509.SubjectAlternativeName(reached), critical=False)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_usage(authority=False), critical=True)
    # A node of Ray is server and client at once.
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(both, critical=False)
    parent = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = builder.add_extension(parent, critical=False)
    signed = builder.sign(authority_key, hashes.SHA256())
    _write(folder / f"{node}.key", _pem(key))
    _write(folder / f"{node}.crt", signed.public_bytes(serialization.Encoding.PEM))
    _write(folder / "ca.crt", certificate)


def make_token(folder: Path) -> None:
    """Write the token, 32 random bytes in hexadecimal, unless it is there."""
    if not (folder / "token").exists():
        _write(folder / "token", secrets.token_hex(32).encode())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file that is never, not even for a moment, readable by others."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)


def main(arguments: Sequence[str]) -> int:
    """Make what is asked for.

    Returns the exit code: 0 done, 2 bad arguments or a folder that cannot be written to.
    """
    parser = argparse.ArgumentParser(
        description="Authority, certificates and token of one Ray cluster."
    )
    parser.add_argument(
        "folder", type=Path, help="the cluster's own folder, readable by its owner only"
    )
    parser.add_argument(
        "--authority", type=Path, help="folder of the authority that issues, if another; read only"
    )
    parser.add_argument("--node", help="make a certificate with this name")
    parser.add_argument(
        "--ip", action="append", default=[], help="IP address of the node; may be repeated"
    )
    parser.add_argument(
        "--dns", action="append", default=[], help="host name of the node; may be repeated"
    )
    options = parser.parse_args(arguments)
    try:
        options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if options.folder.stat().st_mode & 0o077:
            parser.error(f"others may enter {options.folder}: chmod 700 {options.folder}")
        if options.authority is None:
            make_authority(options.folder)
            make_token(options.folder)
        if options.node:
            make_node(
                options.folder,
                options.authority or options.folder,
                options.node,
                options.ip,
                options.dns,
            )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
