"""Checks before a Ray cluster is started on this machine: a folder for its sockets, and memory."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from xstat_ray.errors import InputError, StudyError
from xstat_ray.util.memory import memory_bytes
from xstat_ray.util.readable import readable_bytes

LEAST_STORE = 75 << 20
"""Fewest bytes that Ray accepts for an object store."""
_LONGEST = 107
"""Most bytes of the path of a Unix socket (sockaddr_un of Linux, without its final zero)."""
_SOCKET = "/r/session_2026-11-28_21-04-33_123456_1234567/sockets/plasma_store"
"""The longest of Ray's sockets, below the folder that is named here."""


def short_folder() -> Path:
    """Make a private folder for a cluster, in TMPDIR, whose name leaves room for Ray's sockets.

    Raises:
        InputError: there is no folder for temporary files, or its name is too long.
    """
    try:
        # The default prefix is longer.
        folder = Path(tempfile.mkdtemp(prefix="xr"))
    except OSError as error:
        raise InputError(
            f"no folder for temporary files can be written to: {error.strerror}",
            key="TMPDIR",
            remedy="Set TMPDIR to one that can",
        ) from None
    over = len(os.fsencode(folder)) + len(_SOCKET) - _LONGEST
    if over > 0:
        shutil.rmtree(folder)
        raise InputError(
            f"the folder for temporary files has a name that is {over} bytes too long for Ray's "
            f"sockets, whose paths have at most {_LONGEST} bytes",
            file=tempfile.gettempdir(),
            key="TMPDIR",
            remedy="Begin the command with a shorter one (TMPDIR=/tmp), or set runtime=local",
        )
    return folder


def check_store(size: int) -> None:
    """Refuse an object store that Ray cannot make.

    Raises:
        StudyError: it is smaller than Ray's least, or larger than this machine's memory.
    """
    key = "cluster.store_bytes"
    if size < LEAST_STORE:
        raise StudyError(
            f"an object store of {size:,} bytes is too small for Ray",
            key=key,
            remedy=f"Set {key}={LEAST_STORE} or more; the default is {512 << 20}",
        )
    memory = memory_bytes()
    if memory is not None and size > memory:
        raise StudyError(
            f"an object store of {readable_bytes(size)} does not fit into this machine's memory, "
            f"{readable_bytes(memory)}",
            key=key,
            remedy=f"Set {key}={memory // 4} or less; what does not fit is spilled to disk",
        )
