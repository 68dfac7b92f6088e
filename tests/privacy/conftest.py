"""The independent accountant."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def pld():
    """dp-accounting's privacy loss distributions.

    Imported late: the package brings absl, which binds logging to what standard error is at that
    moment. While pytest collects tests that is a capture which is closed before the first test
    runs.
    """
    from dp_accounting.pld import privacy_loss_distribution

    return privacy_loss_distribution
