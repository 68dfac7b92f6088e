"""Digests of the installed package's files, by which a party sees what software another runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
"""The folder of `xstat_ray`."""


@cache
def software_digest() -> bytes:
    """SHA-256 over the relative names and contents of all Python files of the package.

    The handshake compares it, and evidence attests to it, as the *measurement* of the software.
    """
    return _digest(_PACKAGE.rglob("*.py"))


@cache
def installed_files() -> bytes:
    """SHA-256 over all installed files of the package, also its data and compiled kernels.

    Two honest installations may differ in it: the kernels depend on the compiler.
    """
    files = [path for path in _PACKAGE.rglob("*") if path.is_file()]
    return _digest([path for path in files if "__pycache__" not in path.parts])


def _digest(paths: Iterable[Path]) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(paths):
        name = path.relative_to(_PACKAGE).as_posix().encode()
        content = path.read_bytes()
        digest.update(len(name).to_bytes(8, "little"))
        digest.update(name)
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.digest()


def software_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("xstat-ray")
    except PackageNotFoundError:
        return "not installed"
