"""The extension for processors that are not x86-64: it compiles and says that it cannot run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.crypto.kernels import extension
from xstat_ray.crypto.kernels import choice

FLAGS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
AARCH64 = 183
"""The number of the machine in the header of an ELF file."""


def build(compiler: str, folder: Path, *options: str) -> Path:
    built = folder / "_native.abi3.so"
    include = f"-I{sysconfig.get_path('include')}"
    sources = [str(path) for path in sorted(extension.SOURCE.glob("*.c"))]
    command = [compiler, *FLAGS, *options, include, *sources, "-o", str(built)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


def cross_compiler() -> str:
    compiler = shutil.which("aarch64-linux-gnu-gcc")
    if compiler is None:
        pytest.skip("no compiler for aarch64 (in Debian: gcc-aarch64-linux-gnu)")
    return compiler


def test_it_compiles_for_aarch64(tmp_path: Path) -> None:
    data = build(cross_compiler(), tmp_path).read_bytes()
    assert data[:4] == b"\x7fELF"
    assert int.from_bytes(data[18:20], "little") == AARCH64
    assert b"PyInit__native" in data
    assert b"xr_ifma_available" in data
    assert b"xr_oprf_mark" not in data
    assert b"xr_four_table" not in data
    assert b"xr_sha512" not in data


def test_without_kernels_the_portable_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    module = extension.load(build(compiler, tmp_path, "-DXR_KERNELS=0"))
    assert [name for name in dir(module) if not name.startswith("__")] == [
        "aes_available",
        "available",
        "avx2_available",
    ]
    answers = {module.available(), module.avx2_available(), module.aes_available()}
    assert answers == {False}
    monkeypatch.setitem(sys.modules, extension.NAME, module)
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    choice.choose.cache_clear()
    try:
        assert choice.kernel().name == "portable"
        assert "lacks AVX-512 IFMA" in str(choice.shortfall())
    finally:
        choice.choose.cache_clear()
