"""Checks before a cluster is used, so that a run fails within seconds and tells why.

Ray tells a wrong port, a wrong token and missing TLS apart only in its logs, after up to forty
seconds, and a task whose label no node has waits for ever.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError
from xstat_ray.planning.cluster import GROUPS, POOL, Cluster, Labels
from xstat_ray.runtime.progress import Progress

SECONDS = 5.0
"""Seconds that the head may take to answer."""
_LOOK_SECONDS = 1.0
"""Seconds between two looks at the nodes of a cluster that is still starting."""
GCS_PORT = 6379
"""Ray's default port of a head."""
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""What opens a connection of HTTP/2, on which gRPC runs: the preface and an empty frame of settings
(RFC 9113)."""
_SETTINGS = 4
_TLS_FILES = ("RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
_OTHER_NAME = (62, 64)
"""OpenSSL's codes for a certificate of another host name or IP address, which Ray refuses too."""
_KEY = "cluster.address"


def split(address: str) -> tuple[str, int]:
    """Split a Ray address, with or without `ray://`, into host and port.

    Raises:
        InputError: the address has no port.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        raise InputError("the address has no port", key=_KEY, remedy=f"Write HOST:{GCS_PORT}")
    return host.strip("[]"), int(port)


def reach(address: str) -> None:
    """Check that a Ray head answers at `address` and takes this process's token and certificates.

    Raises:
        InputError: nothing answers, something other than a head answers, or one side has TLS or a
            token that the other has not.
    """
    host, port = split(address)
    where = f"{host}:{port}"
    secured = os.environ.get("RAY_USE_TLS") == "1"
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            connection.settimeout(SECONDS)
            answer = _greet_secured(connection, host, where) if secured else _greet(connection)
    except InputError:
        raise
    except OSError as error:
        raise _unanswered(where, error) from None
    if not secured and answer[:1] in (b"\x15", b""):
        raise InputError(
            f"the cluster at {where} hung up: it has TLS on, and this process has not",
            key=_KEY,
            remedy=f"Set RAY_USE_TLS=1 and {', '.join(_TLS_FILES)}",
        )
    if len(answer) < 9 or answer[3] != _SETTINGS:
        raise InputError(
            f"what answers at {where} is not the head of a Ray cluster",
            key=_KEY,
            remedy=f"Use the head's own port ({GCS_PORT}), not the one of its dashboard",
        )
    if not address.startswith("ray://"):
        _check_token(where)


def _greet(connection: socket.socket | ssl.SSLSocket) -> bytes:
    try:
        connection.sendall(_HELLO)
        return connection.recv(64)
    except ConnectionError:
        return b""
    except TimeoutError:
        return b"silent"


def _greet_secured(connection: socket.socket, host: str, where: str) -> bytes:
    try:
        context = ssl.create_default_context(cafile=os.environ.get(_TLS_FILES[2]))
        context.load_cert_chain(os.environ.get(_TLS_FILES[0], ""), os.environ.get(_TLS_FILES[1]))
        context.set_alpn_protocols(["h2"])
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        remedy = f"Set {', '.join(_TLS_FILES)} to readable PEM files: {reason}"
        raise InputError(
            "RAY_USE_TLS=1 is set, and its certificates cannot be read", key=_KEY, remedy=remedy
        ) from None
    try:
        with context.wrap_socket(connection, server_hostname=host) as wrapped:
            return _greet(wrapped)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _OTHER_NAME:
            problem = f"the certificate of the cluster at {where} is for other addresses"
            remedy = (
                "Issue the head's certificate for every address under which it is reached "
                "(make_secrets.py --ip)"
            )
        else:
            problem = (
                f"the certificate of the cluster at {where} was not issued by the authority in "
                f"{_TLS_FILES[2]}"
            )
            remedy = "Use the ca.crt of this cluster's nodes"
        raise InputError(problem, key=_KEY, remedy=remedy) from None
    except ssl.SSLError as error:
        if "CERTIFICATE" in (error.reason or "") or "UNKNOWN_CA" in (error.reason or ""):
            problem = "refuses this process's certificate"
            remedy = "Use one that the cluster's own authority issued"
        else:
            problem = "does not speak TLS, and RAY_USE_TLS=1 is set here"
            remedy = "Set RAY_USE_TLS=1 on its nodes too"
        raise InputError(f"the cluster at {where} {problem}", key=_KEY, remedy=remedy) from None


def _unanswered(where: str, error: OSError) -> InputError:
    return InputError(
        f"nothing answers at {where}: {error.strerror or 'timed out'}",
        key=_KEY,
        remedy="Check that the cluster is up, its port, and the firewall between",
    )


def _check_token(where: str) -> None:
    """Ask the head with Ray's client, in a thread that is left behind if it hangs."""
    try:
        from ray._raylet import Config, GcsClient  # type: ignore[attr-defined]
        from ray.exceptions import AuthenticationError
    except ImportError:  # Another version of Ray: joining will fail later, and tell less.
        return
    refused: list[bool] = []

    def ask() -> None:
        try:
            # The mode may have been set after Ray was imported.
            Config.initialize("")
            GcsClient(address=where)
            refused.append(False)
        except AuthenticationError:
            refused.append(True)
        except Exception:
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(2 * SECONDS)
    if refused == [True]:
        path = os.environ.get("RAY_AUTH_TOKEN_PATH")
        given = (
            f"the token in {path}"
            if path
            else "the token in RAY_AUTH_TOKEN"
            if _has_token()
            else "no token"
        )
        raise InputError(
            f"the cluster at {where} refuses this process, which has {given}",
            key=_KEY,
            remedy="Set RAY_AUTH_TOKEN_PATH to a file with the token that the cluster's nodes were "
            "started with",
        )
    if not refused:
        problem = f"what answers at {where} is not the head of a Ray cluster, or does not get ready"
        raise InputError(problem, key=_KEY, remedy=f"Use the head's own port ({GCS_PORT})")


def _has_token() -> bool:
    return "RAY_AUTH_TOKEN" in os.environ


def check_token_file() -> None:
    """Refuse a token file that cannot be read, or that others than its owner can read.

    Raises:
        InputError: the file is missing, empty, or open to others.
    """
    name = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if name is None or "RAY_AUTH_TOKEN" in os.environ:
        return
    key = "RAY_AUTH_TOKEN_PATH"
    path = Path(name)
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except OSError as error:
        raise InputError(
            "the token cannot be read", file=name, key=key, remedy=error.strerror
        ) from None
    if not text:
        raise InputError(
            "the token's file is empty",
            file=name,
            key=key,
            remedy="Write the cluster's token into it",
        )
    if mode & 0o077:
        remedy = f"chmod 600 {name}: whoever has the token controls the cluster"
        raise InputError("others may read the token", file=name, key=key, remedy=remedy)


Node = Mapping[str, Any]
"""A node as `ray.nodes()` describes it."""


def alive() -> list[Node]:
    """List the nodes of the joined cluster that are alive."""
    import ray

    nodes: list[Node] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in nodes if node["Alive"]]


def unfit(cluster: Cluster, nodes: Sequence[Node]) -> InputError | None:
    """Tell what keeps a run from starting on these nodes: a label that none has, or no core."""
    for group in GROUPS:
        wanted = cluster.of(group)
        fitting = nodes_with(cluster.of(group), nodes)
        if not fitting:
            return InputError(
                f"none of the cluster's {len(nodes)} nodes has the labels {_text(wanted)}",
                key=f"cluster.labels.{group}",
                remedy=f"Label a node so, or choose another cluster=; the nodes have "
                f"{_present(nodes)}",
            )
        if group == POOL and cores(fitting) < 1:
            of = f"nodes with the labels {_text(wanted)}" if wanted else "nodes of the cluster"
            return InputError(
                f"the {of} have {cores(fitting):g} cores, and a task takes one",
                key=f"cluster.labels.{group}" if wanted else _KEY,
                remedy="Add a node for the pool, or give the present ones cores (num-cpus)",
            )
    return None


def await_nodes(cluster: Cluster, progress: Progress) -> None:
    """Wait until the cluster has the nodes that the run needs, for at most `wait_seconds`.

    Raises:
        InputError: they are still not there; tells which nodes are.
    """
    until = time.monotonic() + cluster.wait_seconds
    announced = False
    while (problem := unfit(cluster, alive())) is not None:
        if time.monotonic() >= until:
            raise problem
        if not announced:
            progress.note(f"Waiting up to {cluster.wait_seconds} s for nodes: {problem.problem}.")
            announced = True
        time.sleep(_LOOK_SECONDS)


def nodes_with(labels: Labels, nodes: Sequence[Node]) -> list[Node]:
    """Select the nodes that have all of these labels."""
    return [node for node in nodes if labels.items() <= node.get("Labels", {}).items()]


def cores(nodes: Sequence[Node]) -> float:
    """Add up the cores that nodes offer to tasks."""
    return float(sum(node["Resources"].get("CPU", 0) for node in nodes))


def _present(nodes: Sequence[Node]) -> str:
    """Write out the nodes' labels, without those that Ray itself sets."""
    labels = [
        {k: v for k, v in node.get("Labels", {}).items() if not k.startswith("ray.io/")}
        for node in nodes
    ]
    return ", ".join(sorted({_text(labels_of_node) for labels_of_node in labels}))


def _text(labels: Labels) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in labels.items()) + "}"


def find(address: str) -> str:
    """Resolve the address `auto`: RAY_ADDRESS, or the cluster that runs on this machine.

    Raises:
        InputError: no cluster runs here, and RAY_ADDRESS is not set.
    """
    if address != "auto":
        return address
    found = os.environ.get("RAY_ADDRESS")
    if not found:
        with suppress(ImportError, ConnectionError):
            from ray._private.services import canonicalize_bootstrap_address

            found = canonicalize_bootstrap_address("auto")
    if not found:
        problem = "no Ray cluster runs on this machine"
        remedy = "Start one, or set cluster.address or RAY_ADDRESS"
        raise InputError(problem, key=_KEY, remedy=remedy)
    return found
