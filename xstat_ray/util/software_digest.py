"""The measurement: a digest of the installed package's files, by which each side sees what the other runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).parent


@cache
def measurement() -> bytes:
    """SHA-256 over the relative names and contents of all Python files of the package."""
    return _digest(_ROOT.rglob("*.py"))


@cache
def installed_files() -> bytes:
    """SHA-256 over all installed files of the package: data and the compiled kernels, which differ by compiler, too."""
    return _digest(
        [path for path in _ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    )


def _digest(paths: Iterable[Path]) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(paths):
        name = path.relative_to(_ROOT).as_posix().encode()
        content = path.read_bytes()
        digest.update(
            len(name).to_bytes(8, "little") + name + len(content).to_bytes(8, "little") + content
        )
    return digest.digest()


def software_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("xstat-ray")
    except PackageNotFoundError:
        return "not installed"
