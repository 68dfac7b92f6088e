"""The source distribution and the wheel, what is installed where there is no C compiler, and all jobs from a wheel."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
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
        "xstat_ray/conf/crosstab.yaml",
        "xstat_ray/conf/base/job.yaml",
        "xstat_ray/conf/study/nycflights.yaml",
        "xstat_ray/jobs/crosstab.py",
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


# All jobs, from an installed wheel


class Installed:
    """A folder in which a person works, and the command of an environment that has nothing but a wheel."""

    def __init__(self, command: Path, folder: Path) -> None:
        self.command = command
        self.folder = folder

    def run(self, line: str, code: int = 0) -> str:
        """Run a command line of `xstat-ray`; returns what it printed."""
        words = [str(self.command), *shlex.split(line)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def site(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site-packages of an environment in which a wheel is installed; dependencies are borrowed."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel, _ = build("wheel", source, folder / "dist")
    python("-m", "venv", "--without-pip", "venv", cwd=folder)
    install = ("--python", "venv", "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    python("-m", "pip", *install, cwd=folder)
    (site,) = (folder / "venv").glob("lib/python3*/site-packages")
    assert {path.name.partition("-")[0] for path in site.iterdir()} == {"xstat_ray"}
    # A line of a .pth file is a folder to look in; .pth files of that folder are not read.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return site


@pytest.fixture(scope="module")
def installed(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """In the folder lie packages with the names of ours in the repository, which must not be found."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for name in (
        "jobs/__init__.py",
        "jobs/crosstab.py",
        "conf/__init__.py",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("raise SystemExit('hijacked')")
    command = site.parents[2] / "bin" / "xstat-ray"
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert Installed(command, folder).run("--version") == f"xstat-ray {version}\n"
    return Installed(command, folder)


@pytest.fixture
def decoys(installed: Installed) -> Iterator[None]:
    """Modules in the current directory with names of others: not for Ray, whose workers look there."""
    paths = [installed.folder / name for name in ("numpy.py", "queue.py")]
    for path in paths:
        path.write_text("raise SystemExit('hijacked')")
    yield
    for path in paths:
        path.unlink()


SMALL = "runtime=local crypto.key_bits=2048 display=quiet"


def test_a_wheel_has_the_digests_of_its_source(source: Path, site: Path) -> None:
    code = "from xstat_ray.util.software_digest import software_digest as d; print(d().hex())"
    interpreter = site.parents[2] / "bin" / "python"
    there = subprocess.run([interpreter, "-c", code], cwd=site, capture_output=True, text=True)
    here = python("-c", code, cwd=source, PYTHONPATH=str(source))
    assert there.stdout == here and len(here) == 65


def test_real_tables_from_a_wheel(installed: Installed, decoys: None) -> None:
    installed.run("nycflights")
    assert "2,520 cells" in installed.run("plan study=nycflights")
    installed.run(f"crosstab study=nycflights out=out/local {SMALL}")
    assert "nycflights/row" in installed.run("budget show")
    exact = "privacy.noise=off privacy.padding=off unsafe.allow_no_noise=true"
    federated = "deployment=federated out=out/federated"
    installed.run(f"crosstab study=nycflights {federated} {SMALL} {exact}")
    assert "Shown:" in installed.run("verify release=out/federated")
    installed.run("benchmark suite=tags size=short out=out/benchmark display=quiet")
    installed.run("aggregate study=nycflights", code=2)


@pytest.mark.ray
def test_the_made_up_hokkaido_from_a_wheel(installed: Installed) -> None:
    """The made-up tables, two releases, population, needs and report, on Ray."""
    world = "world.people=1800 world.block=600 world.days=3"
    installed.run(f"synthesize {world} display=quiet")
    for study in ("doto_movement", "catchment"):
        installed.run(f"crosstab study={study} out=out/{study} crypto.key_bits=2048 display=quiet")
    installed.run(f"population out=out/population population.days=3 {world}")
    installed.run("needs")
    runs = " ".join(f"run=out/{name}" for name in ("doto_movement", "catchment", "needs"))
    assert "Report: out/report/report.html" in installed.run(f"report {runs} figures=false")
