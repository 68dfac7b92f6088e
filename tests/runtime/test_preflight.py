"""A cluster that cannot be used is refused within seconds, and the reason is told.

All cases run against a real head or socket.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from cluster.make_secrets import main as make_secrets
from tests.sizes import thorough
from xstat_ray.errors import InputError
from xstat_ray.planning.cluster import Cluster
from xstat_ray.runtime import preflight

ROOT = Path(__file__).parents[2]
WITHIN = 20.0
"""Seconds within which an answer must come on a busy machine; Ray itself takes 40 for most of
these."""


@pytest.fixture(autouse=True)
def watchdog():
    start = time.monotonic()
    yield
    assert time.monotonic() - start < WITHIN


@pytest.fixture
def bare(monkeypatch):
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def listener(bare):
    """Returns what starts a server that answers with given bytes; it gives the server's address."""
    sockets = []

    def serve(answer: bytes | None, context: ssl.SSLContext | None = None) -> str:
        server = socket.create_server(("0.0.0.0", 0))
        sockets.append(server)

        def accept() -> None:
            try:
                connection, _ = server.accept()
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                connection.recv(64)
                if answer is None:
                    time.sleep(2 * WITHIN)
                connection.sendall(answer or b"")
                connection.close()
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield serve
    for server in sockets:
        server.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def refused(address: str) -> InputError:
    with pytest.raises(InputError) as caught:
        preflight.reach(address)
    assert caught.value.key == "cluster.address" and caught.value.remedy
    return caught.value


def test_nothing_listens(bare):
    assert "nothing answers at 127.0.0.1" in refused(f"127.0.0.1:{free_port()}").problem


def test_a_host_that_is_not_there(bare):
    assert (
        "nothing answers at no-such-host.invalid:6379"
        in refused("no-such-host.invalid:6379").problem
    )


def test_an_address_without_a_port(bare):
    assert "has no port" in refused("10.0.0.7").problem


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", None], ids=["a web server", "silence"]
)
def test_something_else_listens(listener, monkeypatch, answer):
    monkeypatch.setattr(preflight, "SECONDS", 1.0)
    assert "is not the head of a Ray cluster" in refused(listener(answer)).problem


def test_tls_there_and_not_here(listener):
    assert "it has TLS on" in refused(listener(b"\x15\x03\x03\x00\x02\x02\x46")).problem


def tls(folder: Path, address: str) -> dict[str, str]:
    """Make certificates for a node at an address; returns the settings that make Ray use them."""
    assert make_secrets([str(folder), "--node", "me", "--ip", address]) == 0
    files = {"SERVER_CERT": "me.crt", "SERVER_KEY": "me.key", "CA_CERT": "ca.crt"}
    return {"RAY_USE_TLS": "1"} | {
        f"RAY_TLS_{name}": str(folder / file) for name, file in files.items()
    }


@pytest.mark.parametrize(
    ("served", "host", "problem"),
    [
        ("trusted", "127.0.0.1", "is not the head of a Ray cluster"),
        ("trusted", "127.0.0.2", "is for other addresses"),
        ("other", "127.0.0.1", "was not issued by the authority"),
    ],
    ids=["accepted", "other address", "other authority"],
)
def test_certificates(listener, monkeypatch, tmp_path, served, host, problem):
    for folder in ("trusted", "other"):
        for name, value in tls(tmp_path / folder, "127.0.0.1").items():
            if folder == "trusted":
                monkeypatch.setenv(name, value)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / served / "me.crt", tmp_path / served / "me.key")
    port = preflight.split(listener(b"something else", context))[1]
    assert problem in refused(f"{host}:{port}").problem


def test_tls_here_without_certificates(listener, monkeypatch):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_TLS_CA_CERT", "/does/not/exist")
    assert "its certificates cannot be read" in refused(listener(b"")).problem


NODES = [
    {"Alive": True, "Resources": {"CPU": 0.0}, "Labels": {"ray.io/node-id": "ab"}},
    {"Alive": True, "Resources": {"CPU": 4.0}, "Labels": {"party": "row"}},
    {"Alive": True, "Resources": {}, "Labels": {"party": "none"}},
]


@pytest.mark.parametrize(
    ("labels", "key", "problem"),
    [
        ({}, None, None),
        ({"row": {"party": "row"}}, None, None),
        (
            {"column": {"party": "column"}},
            "cluster.labels.column",
            "none of the cluster's 3 nodes has the labels {party: column}",
        ),
        ({"pool": {"party": "none"}}, "cluster.labels.pool", "have 0 cores"),
    ],
)
def test_labels_and_cores(labels, key, problem):
    found = preflight.unfit(Cluster(labels=labels), NODES)
    if problem is None:
        assert found is None
        return
    assert found is not None and found.key == key and problem in found.problem
    if "labels" in problem:
        assert "{party: none}, {party: row}, {}" in (found.remedy or "")
        assert "ray.io" not in str(found)


def test_no_core_at_all():
    assert "have 0 cores" in preflight.unfit(Cluster(), NODES[:1]).problem


HEAD = """
import os, sys, time
os.umask(0o077)
import ray
from ray.cluster_utils import Cluster
arguments = {"num_cpus": 1, "object_store_memory": 100 << 20}
cluster = Cluster(initialize_head=True, head_node_args=arguments)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def head():
    """A head with a token: its port, and the token."""
    with tempfile.TemporaryDirectory(prefix="xr") as short:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        token = "ab" * 32
        clean |= {
            "RAY_TMPDIR": short,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": token,
            "HOME": short,
        }
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD],
            env=clean,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = ""
        while ":" not in line or " " in line.strip():
            line = process.stdout.readline()
            assert line, "the head did not start"
        yield int(line.rsplit(":", 1)[1]), token
        process.stdin.close()
        process.wait(60)


CONNECT = "import sys; from xstat_ray.runtime.preflight import reach; reach(sys.argv[1])"


@thorough
@pytest.mark.ray
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "ab" * 32}, None),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "cd" * 32},
            "refuses this process, which has the token in RAY_AUTH_TOKEN",
        ),
        ({"RAY_AUTH_MODE": "disabled"}, "refuses this process, which has no token"),
        ({"RAY_USE_TLS": "1"}, "does not speak TLS"),
    ],
    ids=["right token", "wrong token", "no token", "TLS on one side"],
)
def test_a_real_head(head, tmp_path, settings, problem):
    """The check runs in another process, as a process reads its token once."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_")
    } | settings
    if "RAY_USE_TLS" in settings:
        environment |= tls(tmp_path / "tls", "127.0.0.1")
    command = [sys.executable, "-c", CONNECT, f"127.0.0.1:{head[0]}"]
    done = subprocess.run(
        command,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode == 0) == (problem is None), done.stderr
    if problem is not None:
        assert f"InputError: the cluster at 127.0.0.1:{head[0]} {problem}" in done.stderr
