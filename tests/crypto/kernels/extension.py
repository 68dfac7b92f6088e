"""Builds the C kernels for any processor: the extension's sources with the instructions emulated.

`emulation/immintrin.h` gives every wide instruction in plain C and stops where a lane breaks the
bounds that the kernels rest on.
"""

from __future__ import annotations

import fcntl
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

NAME = "xstat_ray.crypto.kernels._native"
LIBRARY = "_native.abi3.so"
EMULATION = Path(__file__).parent / "emulation"
SOURCE = Path(__file__).parents[3] / "xstat_ray/crypto/kernels/native"
PLAIN = ("-O2",)
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
CHOSEN = "XSTAT_TEST_EMULATED"
"""Names an emulated build that the tests use whatever the processor has."""
_FLAGS = ("-std=c11", "-w", "-fPIC", "-shared", "-DXR_KERNELS=1")


def build(folder: Path, options: tuple[str, ...] = PLAIN, source: Path = SOURCE) -> Path:
    """Compile the extension with the emulation and return the path of the shared library.

    Skips the test where there is no C compiler, or none that has the sanitizers asked for.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("the emulated kernels need gcc")
    built = folder / LIBRARY
    include = [f"-I{path}" for path in (EMULATION, source, sysconfig.get_path("include"))]
    sources = [*(path for path in sorted(source.glob("*.c")) if path.name != "cpu.c")]
    command = [compiler, *_FLAGS, *options, *include, *sources, EMULATION / "cpu.c", "-o", built]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if "cannot find -lasan" in done.stderr or "libasan" in done.stderr:
        pytest.skip("this gcc has no sanitizers")
    assert done.returncode == 0, done.stderr
    return built


def built_once(folders: pytest.TempPathFactory) -> Path:
    """Compile with the emulation once for all processes of a session, which takes ten seconds."""
    base = folders.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "emulated"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = shared / LIBRARY
        return built if built.exists() else build(shared)


def load(path: Path) -> ModuleType:
    """Load a build beside the one that the package may have."""
    loader = importlib.machinery.ExtensionFileLoader(NAME, str(path))
    spec = importlib.util.spec_from_loader(NAME, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def whole() -> ModuleType | None:
    """The extension of this installation, unless it is missing.

    One that lacks a function of the sources was built before them, and counts as missing.
    """
    try:
        import xstat_ray.crypto.kernels._native as native
    except ImportError:
        return None
    functions = re.findall(r'^    \{"(\w+)", ', (SOURCE / "module.c").read_text(), re.M)
    return native if all(hasattr(native, name) for name in functions) else None


def installed() -> ModuleType | None:
    """The extension of this installation, unless it is missing or the processor cannot run it."""
    native = whole()
    return native if native is not None and native.available() else None


def with_avx2() -> ModuleType | None:
    """The extension of this installation, unless it is missing or the processor lacks AVX2."""
    native = whole()
    return native if native is not None and native.avx2_available() else None


def emulated() -> bool:
    """Whether the tests run an emulated build."""
    return CHOSEN in os.environ or installed() is None
