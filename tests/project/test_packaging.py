"""The source distribution and the wheel, and what is installed where there is no C compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NATIVE = Path("xstat_ray/crypto/kernels/native")
pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository without what was built in it."""
    copy = tmp_path_factory.mktemp("source") / "xstat-ray"
    everywhere = shutil.ignore_patterns("*.so", ".*", "__pycache__", "*.egg-info")
    made = {"build", "dist", "out", "data"}
    shutil.copytree(
        ROOT,
        copy,
        ignore=lambda at, names: everywhere(at, names) | (made if at == str(ROOT) else set()),
    )
    return copy


def python(*arguments: str, cwd: Path, **environment: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def build(kind: str, source: Path, out: Path, **environment: str) -> tuple[Path, str]:
    said = python(
        "-m",
        "build",
        "--no-isolation",
        f"--{kind}",
        "--outdir",
        str(out),
        ".",
        cwd=source,
        **environment,
    )
    (made,) = out.iterdir()
    return made, said


def kernel_of(wheel: Path, folder: Path) -> str:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    code = "import logging; logging.basicConfig(level=0); from xstat_ray.crypto.kernels.choice import kernel; print(kernel().name)"
    return python("-c", code, cwd=folder, PYTHONPATH=str(folder), XSTAT_KERNEL="")


def test_the_source_distribution_is_enough_to_build_and_to_test(
    source: Path, tmp_path: Path
) -> None:
    made, _ = build("sdist", source, tmp_path / "sdist")
    with tarfile.open(made) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.name != "sdist")
    carried = {path.relative_to(unpacked) for path in unpacked.rglob("*")}
    wanted = [
        *NATIVE.glob("*.[ch]"),
        *(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.[ch]")),
    ]
    assert len(wanted) >= 14
    assert {path for path in wanted if path not in carried} == set()
    assert not list(unpacked.rglob("*.so"))
    wheel, _ = build("wheel", unpacked, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "-cp311-abi3-" in wheel.name
    assert "xstat_ray/crypto/kernels/_native.abi3.so" in names
    assert {
        "xstat_ray/py.typed",
        "conf/crosstab.yaml",
        "xstat_ray/crypto/kernels/_native.pyi",
    } <= set(names)
    kinds = ("*/data/*", "report/page/*")
    data = {
        path.relative_to(ROOT).as_posix()
        for kind in kinds
        for path in (ROOT / "xstat_ray").glob(kind)
    }
    assert data and data <= set(names)
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "xstat_ray").rglob("*.py")}
    assert sources <= set(names)
    assert not [name for name in names if name.endswith((".c", ".h")) or name.startswith("tests/")]
    from xstat_ray.crypto.kernels import choice

    assert (
        kernel_of(wheel, tmp_path / "installed").splitlines()[-1] == choice.choose("").kernel.name
    )


def test_without_a_compiler_it_installs_without_the_extension_and_says_so(
    source: Path, tmp_path: Path
) -> None:
    shutil.rmtree(source / "build", ignore_errors=True)
    wheel, said = build("wheel", source, tmp_path / "wheel", CC="/bin/false")
    assert "The native kernels were not built" in said
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith(".so")]
    lines = kernel_of(wheel, tmp_path / "installed").splitlines()
    assert lines[0] == "portable"
    assert (
        len([line for line in lines if "it was not built when the package was installed" in line])
        == 1
    )
