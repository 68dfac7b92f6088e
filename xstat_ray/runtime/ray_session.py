"""A Ray session that leaves nothing behind: private folders, its own token, no dashboard, no forwarded logs."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from xstat_ray.errors import InputError

OBJECT_STORE_BYTES = 512 << 20
_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - names of variables, not tokens
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"  # noqa: S105


@contextmanager
def session(
    address: str | None = None, cpus: int | None = None, store_bytes: int = OBJECT_STORE_BYTES
) -> Iterator[Path]:
    """Join the Ray cluster at `address`, or start one on this machine for the time of the block.

    A started session keeps sockets, logs and spilled objects in a folder that only this user may read and that is
    removed at the end, and uses a token of its own: Ray would otherwise write one into the user's home, readable by
    everyone. A Ray that this process has already initialised is used as it is and left running.

    Yields:
        The session's private folder (empty when an existing cluster is used).

    Raises:
        InputError: a cluster on another machine, without token authentication and TLS.
    """
    if ray.is_initialized():
        yield Path()
        return
    if address is not None:
        _check_secured(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        try:
            yield Path()
        finally:
            ray.shutdown()
        return
    umask = os.umask(0o077)
    # Ray's sockets have paths of at most 107 bytes, so the folder's name is short.
    folder = Path(tempfile.mkdtemp(prefix="xr"))
    try:
        with _own_token(folder):
            ray.init(
                # Without it Ray would join a cluster that it finds running, or that RAY_ADDRESS names.
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=store_bytes,
                # Ray opens its own folder to everyone (mode 0777); the one around it stays closed.
                _temp_dir=str(folder / "r"),
            )
            try:
                yield folder
            finally:
                ray.shutdown()
    finally:
        os.umask(umask)
        shutil.rmtree(folder, ignore_errors=True)


def _check_secured(address: str) -> None:
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    host = address.removeprefix("ray://").rsplit(":", 1)[0]
    if host in ("auto", "local", "localhost", "127.0.0.1", "::1", "[::1]"):
        return
    token = _TOKEN in os.environ or _TOKEN_PATH in os.environ
    if not token or os.environ.get("RAY_USE_TLS") != "1":
        raise InputError(
            "the Ray cluster is on another machine, without token authentication and TLS",
            key="cluster.address",
            remedy=f"Set {_TOKEN_PATH} and RAY_USE_TLS=1 on all nodes: whoever reaches an open cluster controls it",
        )


@contextmanager
def _own_token(folder: Path) -> Iterator[None]:
    """Use a token in `folder`, unless the user has set one; afterwards the environment is as it was."""
    before = dict(os.environ)
    if _TOKEN not in before and _TOKEN_PATH not in before:
        path = folder / "token"
        path.write_text(secrets.token_hex(32))
        os.environ[_TOKEN_PATH] = str(path)
    try:
        yield
    finally:
        # Ray leaves settings behind: an authentication mode that the next session would inherit, its own debugger.
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
