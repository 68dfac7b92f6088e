"""A socket before a PostgreSQL server that loses one connection while a transaction is committed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from xstat_ray.privacy.database import Database

When = Literal["before", "meanwhile", "after"]


@dataclass
class Cut:
    """Which commit is lost, and when: before the server hears of it, or before the client hears back."""

    when: When
    left: int
    """Commits that pass before it."""
    done: bool = False


@contextmanager
def cutting(place: Database, folder: Path, cut: Cut) -> Iterator[Database]:
    """The address of a socket that hands everything on to the server of a ledger, but for one commit."""
    target = f"{place.parameters['host']}/.s.PGSQL.{place.parameters['port']}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / f".s.PGSQL.{place.parameters['port']}"))
    listener.listen()

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(target)
                threading.Thread(target=_forth, args=(client, server, cut), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    hosts = (quote(place.parameters["host"], safe=""), quote(str(folder), safe=""))
    try:
        yield replace(place, uri=place.uri.replace(*hosts))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _forth(client: socket.socket, server: socket.socket, cut: Cut) -> None:
    """Hand on what the client says until it ends, or is cut off."""
    back = threading.Thread(target=_back, args=(client, server), daemon=True)
    back.start()
    with suppress(OSError):
        while data := client.recv(1 << 16):
            if b"COMMIT" in data and not cut.done:
                cut.done = cut.left == 0
                cut.left -= 1
                if cut.done:
                    _lose(client, server, data, cut.when)
                    return
            server.sendall(data)
    _close(client, server)


def _lose(client: socket.socket, server: socket.socket, data: bytes, when: When) -> None:
    # The client hears nothing more, and the server not that it went.
    client.shutdown(socket.SHUT_RDWR)
    if when != "before":
        server.sendall(data)
    if when == "after":
        # What is said back goes to a closed socket, so the server's end is what tells of the commit.
        server.settimeout(5)
        with suppress(OSError):
            server.sendall(b"X\0\0\0\4")
            while server.recv(1 << 16):
                pass
    _close(client, server)


def _back(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while data := server.recv(1 << 16):
            client.sendall(data)
    _close(client)


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
