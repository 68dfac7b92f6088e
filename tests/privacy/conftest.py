"""The independent accountant, and places of ledgers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from xstat_ray.privacy.places import Place


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a ledger may lie: in a file that is not there yet, or in a database."""
    if request.param == "SQLite":
        return tmp_path / "ledger.sqlite"
    made: Place = request.getfixturevalue("postgres").new_ledger()
    return made


@pytest.fixture(scope="session")
def pld() -> ModuleType:
    """dp-accounting's privacy loss distributions.

    The package brings absl, whose log handler keeps what standard error is at that moment and
    closes it when Hydra sets up logging, in whichever test that is. It gets the process's, which
    absl leaves
    open, and not pytest's capture, without which every later test fails.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", sys.__stderr__)
        from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution
