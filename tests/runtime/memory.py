"""Everything that a Ray started by this process holds, as bytes.

That is objects that live with their owner, the object store, and files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xstat_ray.runtime import ray_executor


def remember(patch: pytest.MonkeyPatch) -> list[Any]:
    """Keep the handles of all objects that come to be from now on; the driver owns them all."""
    refs: list[Any] = []

    def remembered(function: Any) -> Any:
        def call(*args: Any) -> Any:
            refs.append(function(*args))
            return refs[-1]

        return call

    for owner, name in (
        (ray_executor.RayInstance, "call"),
        (ray_executor.RayExecutor, "submit"),
        (ray_executor.RayExecutor, "put"),
    ):
        patch.setattr(owner, name, remembered(getattr(owner, name)))
    return refs


def object_store() -> Iterator[tuple[str, bytes]]:
    """Read the memory of the object stores, freed objects included.

    Each is a file that Ray has unlinked and that the raylet holds open.
    """
    for raylet in raylets():
        for fd in Path(f"/proc/{raylet}/fd").iterdir():
            if "plasma" in str(fd.readlink()):
                with fd.open("rb", buffering=0) as file:
                    yield "object store", b"".join(written(file.fileno()))


def written(fd: int) -> Iterator[bytes]:
    """Read the parts of a sparse file that were ever written to."""
    at = 0
    size = os.fstat(fd).st_size
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            return
        end = os.lseek(fd, at, os.SEEK_HOLE)
        while at < end:
            yield (piece := os.pread(fd, end - at, at))
            at += len(piece)


def raylets() -> list[int]:
    """Find the raylets that this process has started."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    found = [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == "raylet"]
    assert found
    return found


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in folder.rglob("*"):
        # A running Ray removes files meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                yield str(path.relative_to(folder)), path.read_bytes()


def spilled(folder: Path) -> list[str]:
    return [name for name, _ in files(folder) if "spill" in name]
