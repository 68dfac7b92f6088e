"""Where the scripts and the configuration of the package lie."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
"""Folder of the package itself."""


def part(name: str) -> Path:
    """The folder `jobs` or `conf`: inside an installed package, beside the package in a checkout.

    Nothing else is looked at, in particular not the current directory.
    """
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


JOBS = part("jobs")
"""One script for each job."""
CONF = part("conf")
"""One configuration for each job, and the groups that they choose from."""
