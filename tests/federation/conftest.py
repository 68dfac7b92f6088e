from __future__ import annotations

import os

import pytest

from xstat_ray.crypto.keygen import generate
from xstat_ray.roles import ColumnParty


@pytest.fixture(autouse=True)
def umask():
    """A step sets the umask of its process, which here is the tests'."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def paillier_key():
    return generate(2048)


@pytest.fixture
def quick_key(paillier_key, monkeypatch):
    """The column party takes this key, as making one takes longer than all the rest."""

    def take(self, bits, constant_time):
        self._key = paillier_key
        return paillier_key.public.encode()

    monkeypatch.setattr(ColumnParty, "generate_key", take)
    return paillier_key
