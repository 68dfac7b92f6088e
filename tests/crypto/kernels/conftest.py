"""The kernels under test: C on the processor's instructions, or emulated where it lacks them."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest

from tests.crypto.kernels import extension
from xstat_ray.crypto.kernels.avx2 import Avx2
from xstat_ray.crypto.kernels.ifma import Ifma
from xstat_ray.crypto.kernels.interface import Kernel
from xstat_ray.crypto.kernels.phe import Phe


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The C functions; emulated ones take some hundred times as long."""
    if path := os.environ.get(extension.CHOSEN):
        return extension.load(Path(path))
    return extension.installed() or extension.load(extension.built_once(tmp_path_factory))


@pytest.fixture(scope="session")
def ifma(native: ModuleType) -> Ifma:
    return Ifma(native)


@pytest.fixture(scope="session")
def avx2_native(request: pytest.FixtureRequest) -> ModuleType:
    """The C functions of `avx2`, on the instructions of a processor that lacks AVX-512 IFMA too."""
    built = None if extension.CHOSEN in os.environ else extension.with_avx2()
    return built or request.getfixturevalue("native")


@pytest.fixture(scope="session")
def avx2(avx2_native: ModuleType) -> Avx2:
    return Avx2(avx2_native)


@pytest.fixture(scope="session", params=["ifma", "phe"])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """Every kernel whose functions all must give the bytes of the portable one."""
    return request.getfixturevalue("ifma") if request.param == "ifma" else Phe()
