from __future__ import annotations

import pytest

from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey


@pytest.fixture(scope="session")
def private_key() -> PrivateKey:
    return generate(2048)


@pytest.fixture(scope="session")
def private_key_3072() -> PrivateKey:
    return generate(3072)


@pytest.fixture(scope="session")
def private_key_4096() -> PrivateKey:
    return generate(4096)
