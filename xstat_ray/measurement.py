"""The measurement: a digest of the installed package's files, by which each side sees what the other runs."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@cache
def measurement() -> bytes:
    """SHA-256 over the relative names and contents of all Python files of the package."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name, content = path.relative_to(root).as_posix().encode(), path.read_bytes()
        digest.update(len(name).to_bytes(8, "little") + name + len(content).to_bytes(8, "little") + content)
    return digest.digest()


def software_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("xstat-ray")
    except PackageNotFoundError:
        return "not installed"
