"""A key that is made once, and a finished run of three domains to read from."""

from __future__ import annotations

import pytest

from tests.case import Case, study, use_key
from tests.federation.domains import Domains
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey


@pytest.fixture(autouse=True)
def umask(umask_kept: None) -> None:
    """Every test here does steps."""


@pytest.fixture(scope="session")
def paillier_key() -> PrivateKey:
    return generate(2048)


@pytest.fixture
def quick_key(paillier_key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> PrivateKey:
    """The key of all runs of this test."""
    use_key(paillier_key, monkeypatch.setattr)
    return paillier_key


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, paillier_key: PrivateKey) -> Domains:
    """The domains after a whole run with noise; what it left is for reading."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        use_key(paillier_key, patch.setattr)
        domains = Domains(
            folder,
            study(noise="laplace", privacy={"mechanism": "tree", "padding": "dp", "checked": 2}),
            Case(folder).tables,
        )
        domains.run()
    return domains
