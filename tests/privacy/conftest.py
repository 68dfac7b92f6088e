"""The independent accountant."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest


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
