"""A Ray session that leaves nothing behind.

It has private folders, a token of its own, no dashboard and no forwarded logs.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from xstat_ray.errors import InputError
from xstat_ray.planning.cluster import Cluster
from xstat_ray.runtime import local_machine, preflight
from xstat_ray.runtime.lean_ray import only_what_is_used
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.files import write_whole

_TOKEN = "RAY_AUTH_TOKEN"  # noqa: S105 - names of variables, not tokens
_TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"  # noqa: S105
_MODE = "RAY_AUTH_MODE"
_HERE = ("localhost", "127.0.0.1", "::1", "[::1]")
INSECURE = (
    "cluster.insecure=true: the Ray cluster is on another machine and has no token authentication "
    "or no TLS. Whoever reaches it can read everything that the parties' environments hold. "
    "For tests on made-up data only."
)


@contextmanager
def session(cluster: Cluster | None = None, progress: Progress | None = None) -> Iterator[Path]:
    """Join the Ray cluster at `cluster.address`, or start one on this machine for a while.

    A cluster that is started here keeps sockets, logs and spilled objects in folders that only this
    user may read and that are removed at the end of the block. Its token is in there too: Ray would
    otherwise write one into the user's home, where everyone may read it. A Ray that this process
    has already initialised is used as it is, and left running.

    Yields:
        The private folder; an empty path where an existing cluster is used.

    Raises:
        InputError: the cluster is on another machine and lacks token authentication or TLS; it does
            not answer or refuses the token; or it lacks the nodes that are needed.
    """
    cluster = cluster or Cluster()
    progress = progress or Progress()
    if ray.is_initialized():
        with _ready(cluster, progress):
            yield Path()
    elif cluster.address not in (None, "local"):
        with _joined(cluster, progress):
            yield Path()
    else:
        with _started(cluster, progress) as folder:
            yield folder


@contextmanager
def _started(cluster: Cluster, progress: Progress) -> Iterator[Path]:
    """Start a cluster on this machine alone, in private folders."""
    local_machine.check_store(cluster.store_bytes)
    umask = os.umask(0o077)
    spill: dict[str, Any] = {}
    folder = local_machine.short_folder()
    try:
        spill = _spill_folder(cluster)
        with _own_token(folder):
            _start(cluster, folder, spill)
            try:
                with _ready(cluster, progress):
                    yield folder
            finally:
                ray.shutdown()
    finally:
        os.umask(umask)
        for path in (folder, *map(Path, spill.values())):
            shutil.rmtree(path, ignore_errors=True)


def _start(cluster: Cluster, folder: Path, spill: dict[str, Any]) -> None:
    """Start Ray with its sockets, logs and spilled objects in these folders.

    Raises:
        InputError: Ray refuses the settings, or this machine.
    """
    try:
        with only_what_is_used(metrics=cluster.metrics):
            ray.init(
                # Without an address Ray would join a cluster that it finds running, or that
                # RAY_ADDRESS names.
                address="local",
                num_cpus=cluster.cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=cluster.store_bytes,
                # Ray opens this folder to everyone (mode 0777); the one around it stays closed.
                _temp_dir=str(folder / "r"),
                **spill,
            )
    except (ValueError, OSError) as error:
        ray.shutdown()
        raise InputError(
            f"Ray cannot be started on this machine: {str(error).splitlines()[0]}",
            key="cluster",
            remedy="Change the settings of cluster, or set runtime=local",
        ) from None


def _spill_folder(cluster: Cluster) -> dict[str, Any]:
    """Make a private folder for spilled objects, where the user has named a place for them."""
    if cluster.spill is None:
        return {}
    try:
        return {"object_spilling_directory": tempfile.mkdtemp(prefix="spill", dir=cluster.spill)}
    except OSError as error:
        problem = f"objects cannot be spilled there: {error.strerror}"
        remedy = "Name a folder that exists and has room"
        raise InputError(
            problem, file=str(cluster.spill), key="cluster.spill", remedy=remedy
        ) from None


@contextmanager
def _joined(cluster: Cluster, progress: Progress) -> Iterator[None]:
    """Join the cluster at an address, after checks that tell what may be wrong with it."""
    assert cluster.address is not None
    address = preflight.find(cluster.address)
    _check_secured(address, cluster.insecure, progress)
    preflight.check_token_file()
    with _environment_kept():
        if _has_token():
            # Ray leaves the token unused on joining unless it is told.
            os.environ.setdefault(_MODE, "token")
        preflight.reach(address)
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, ConnectionError, RuntimeError) as error:
            problem = f"the cluster at {address} cannot be joined: {str(error).splitlines()[0]}"
            remedy = "Compare the versions of Python and Ray here and on its nodes"
            raise InputError(problem, key="cluster.address", remedy=remedy) from None
        try:
            with _ready(cluster, progress):
                yield
        finally:
            ray.shutdown()


@contextmanager
def _ready(cluster: Cluster, progress: Progress) -> Iterator[None]:
    """Wait for the nodes that are needed; at the end, whatever it is, write the timeline."""
    preflight.await_nodes(cluster, progress)
    try:
        yield
    finally:
        if cluster.timeline is not None:
            # The durations depend on the sizes of shards, so nobody but the owner may read them.
            events: Any = ray.timeline()
            try:
                write_whole(cluster.timeline, json.dumps(events).encode(), mode=0o600)
            except OSError as error:
                progress.warn(
                    f"The timeline was not written: {error.strerror} ({cluster.timeline})"
                )


def _has_token() -> bool:
    return _TOKEN in os.environ or _TOKEN_PATH in os.environ


def _check_secured(address: str, insecure: bool, progress: Progress) -> None:
    """Refuse a cluster on another machine without token and TLS, or warn of it if it is allowed."""
    host = address.removeprefix("ray://").rsplit(":", 1)[0]
    if host in _HERE or (_has_token() and os.environ.get("RAY_USE_TLS") == "1"):
        return
    if insecure:
        progress.warn(INSECURE)
        return
    raise InputError(
        "the Ray cluster is on another machine, without token authentication and TLS",
        key="cluster.address",
        remedy=f"Set {_TOKEN_PATH} and RAY_USE_TLS=1 on all nodes: whoever reaches an open cluster "
        "controls it",
    )


@contextmanager
def _own_token(folder: Path) -> Iterator[None]:
    """Use a token in `folder`, unless the user has set one."""
    with _environment_kept():
        if not _has_token():
            path = folder / "token"
            path.write_text(secrets.token_hex(32))
            os.environ[_TOKEN_PATH] = str(path)
        yield


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Restore the variables of the environment at the end of the block.

    Ray leaves settings behind: an authentication mode that the next session would inherit, and a
    debugger.
    """
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)
