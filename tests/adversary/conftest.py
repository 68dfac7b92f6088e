"""A key that is made once, which all runs use: to make one takes longer than the rest of a run."""

from __future__ import annotations

import pytest

from tests.case import use_key
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey


@pytest.fixture(scope="session")
def paillier_key() -> PrivateKey:
    return generate(2048)


@pytest.fixture(autouse=True)
def quick_key(
    paillier_key: PrivateKey, monkeypatch: pytest.MonkeyPatch, umask_kept: None
) -> PrivateKey:
    """The key of all runs of this test. Steps of a domain set the umask of this process."""
    use_key(paillier_key, monkeypatch.setattr)
    return paillier_key


LONG = ("test_debits.py", "test_opening.py", "test_padded_counts.py", "test_two_views.py", "test_undone_noise.py")  # fmt: skip
"""Attacks that play whole runs again and again; their thorough cases are too long for all but `make test-slow`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the thorough cases of these attacks as slow."""
    for item in items:
        if item.path.name in LONG and item.get_closest_marker("thorough"):
            item.add_marker(pytest.mark.slow)
