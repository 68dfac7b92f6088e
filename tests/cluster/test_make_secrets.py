"""The helper's certificates in real handshakes in which both sides show one, as Ray's nodes do."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from cluster.make_secrets import main


@pytest.fixture
def domain(tmp_path) -> Path:
    folder = tmp_path / "row"
    assert main([str(folder), "--node", "head", "--ip", "127.0.0.3"]) == 0
    assert main([str(folder), "--node", "worker"]) == 0
    return folder


def context(folder: Path, node: str, purpose: ssl.Purpose) -> ssl.SSLContext:
    own = ssl.create_default_context(purpose, cafile=folder / "ca.crt")
    own.verify_mode = ssl.CERT_REQUIRED
    own.load_cert_chain(folder / f"{node}.crt", folder / f"{node}.key")
    return own


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str:
    """What passes between them; raises what either side raises."""
    one, other = socket.socketpair()
    failures: list[Exception] = []

    def serve() -> None:
        try:
            with server.wrap_socket(one, server_side=True) as secured:
                secured.sendall(secured.recv(16))
        except ssl.SSLError as error:
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(other, server_hostname=host) as secured:
            secured.sendall(b"to and fro")
            answer = secured.recv(16)
            assert secured.version() == "TLSv1.3"
    finally:
        other.close()
        thread.join(10)
    if failures:
        raise failures[0]
    return answer.decode()


@pytest.mark.parametrize("host", ["127.0.0.3", "127.0.0.1", "localhost", "head"])
def test_nodes_of_one_cluster_talk(domain, host):
    server = context(domain, "head", ssl.Purpose.CLIENT_AUTH)
    assert (
        handshake(server, context(domain, "worker", ssl.Purpose.SERVER_AUTH), host) == "to and fro"
    )


@pytest.mark.parametrize("host", ["127.0.0.4", "worker", "example.org"])
def test_a_node_is_not_taken_for_another(domain, host):
    server = context(domain, "head", ssl.Purpose.CLIENT_AUTH)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, context(domain, "worker", ssl.Purpose.SERVER_AUTH), host)


@pytest.mark.parametrize("stranger", ["server", "client"])
def test_trust_domains_are_strangers(domain, tmp_path, stranger):
    foreign = tmp_path / "column"
    assert main([str(foreign), "--node", "head"]) == main([str(foreign), "--node", "worker"]) == 0
    folders = {"server": domain, "client": domain} | {stranger: foreign}
    server = context(folders["server"], "head", ssl.Purpose.CLIENT_AUTH)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(
            server, context(folders["client"], "worker", ssl.Purpose.SERVER_AUTH), "localhost"
        )
    assert (foreign / "token").read_text() != (domain / "token").read_text()


def test_a_node_cannot_issue(domain, tmp_path):
    """A certificate that a node's key has signed is worth nothing."""
    forged = tmp_path / "forged"
    forged.mkdir(mode=0o700)
    (forged / "ca.crt").write_bytes((domain / "worker.crt").read_bytes())
    (forged / "ca.key").write_bytes((domain / "worker.key").read_bytes())
    assert main([str(forged), "--node", "head"]) == 0
    server = context(forged, "head", ssl.Purpose.CLIENT_AUTH)
    with pytest.raises(ssl.SSLError):
        handshake(server, context(domain, "worker", ssl.Purpose.SERVER_AUTH), "localhost")


def test_everything_is_for_its_owner_alone(domain):
    assert stat.S_IMODE(domain.stat().st_mode) == 0o700
    assert {path.name for path in domain.iterdir()} == {
        *("ca.crt", "ca.key", "token", "head.crt", "head.key", "worker.crt", "worker.key")
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in domain.iterdir()} == {0o600}
    assert len(bytes.fromhex((domain / "token").read_text())) == 32


def test_authority_and_token_are_kept_and_certificates_renewed(domain):
    before = {path.name: path.read_bytes() for path in domain.iterdir()}
    assert main([str(domain), "--node", "head"]) == 0
    after = {path.name: path.read_bytes() for path in domain.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"head.crt", "head.key"}


def test_a_node_that_makes_its_own_does_not_get_the_authority(domain, tmp_path):
    own = tmp_path / "pod"
    assert main([str(own), "--authority", str(domain), "--node", "pod", "--ip", "10.1.2.3"]) == 0
    assert {path.name for path in own.iterdir()} == {"ca.crt", "pod.crt", "pod.key"}
    server = context(own, "pod", ssl.Purpose.CLIENT_AUTH)
    assert (
        handshake(server, context(domain, "worker", ssl.Purpose.SERVER_AUTH), "10.1.2.3")
        == "to and fro"
    )


def test_what_is_refused(domain, tmp_path, capsys):
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o755)
    for arguments, said in (
        ([str(open_folder)], "others may enter"),
        ([str(domain), "--node", "x", "--ip", "10.0.0.256"], "10.0.0.256"),
        ([str(tmp_path / "empty"), "--authority", str(open_folder), "--node", "x"], "ca.crt"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2 and said in capsys.readouterr().err
