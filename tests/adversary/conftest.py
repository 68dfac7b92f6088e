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
