"""Digests of the installed package's files, by which each side sees what software the other runs.

They are alike for an installed wheel and for a checkout of the same source, whose folders `jobs`
and `conf` lie beside the package and not inside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from xstat_ray.util.package_files import CONF, JOBS, PACKAGE

_FOLDERS = {"": PACKAGE, "jobs/": JOBS, "conf/": CONF}
"""What belongs to an installed package, by the beginning of the names of its files there."""


@cache
def software_digest() -> bytes:
    """SHA-256 over the relative names and contents of all Python files, those of the jobs included.

    The handshake compares it, and evidence attests to it, as the *measurement* of the software.
    Studies and settings are not in it: what both parties must agree on is in the study's digest,
    and the rest is each party's choice, in its files as on its command line.
    """
    return _digest({name: path for name, path in _files() if path.suffix == ".py"})


@cache
def installed_files() -> bytes:
    """SHA-256 over all installed files, also data, studies, settings and compiled kernels.

    Two honest installations may differ in it: the kernels depend on the compiler.
    """
    return _digest(dict(_files()))


def _files() -> Iterator[tuple[str, Path]]:
    """Each file, with its name relative to an installed package."""
    for beginning, folder in _FOLDERS.items():
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield beginning + path.relative_to(folder).as_posix(), path


def _digest(files: dict[str, Path]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name].read_bytes()):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.digest()


def software_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("xstat-ray")
    except PackageNotFoundError:
        return "not installed"
