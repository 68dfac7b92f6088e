"""What `make demo` runs: everything the first time, and afterwards what is not there."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.pages import ROOT

FIRST = ("synthesize", "crosstab", "crosstab", "population", "needs", "report")


@pytest.fixture
def folder(tmp_path):
    """A clone in which everything is installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "setup.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/.package").touch()
    return tmp_path


def jobs(folder, *arguments):
    done = subprocess.run(
        ["make", "-n", "demo", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return tuple(re.findall(r"bin/xstat-ray (\w+)", done.stdout))


def test_the_first_demo_makes_everything_in_order(folder):
    assert jobs(folder) == FIRST


def test_a_demo_makes_no_release_again(folder):
    for name in (
        "data/hokkaido/world.json",
        *(f"out/{n}/statistics.parquet" for n in ("doto_movement", "population")),
    ):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    assert jobs(folder) == ("crosstab", "needs", "report")
    (folder / "out/catchment").mkdir()
    (folder / "out/catchment/statistics.parquet").touch()
    assert jobs(folder) == ("needs", "report")
    assert jobs(folder, "OUT=again") == FIRST[1:]


def test_cleaning_spares_tables_releases_and_the_budget_ledger(folder):
    kept = [folder / name for name in ("data", "out", ".xstat-ray")]
    for path in (*kept, folder / "build"):
        path.mkdir()
    subprocess.run(["make", "clean"], cwd=folder, capture_output=True, check=True)
    assert [path.exists() for path in (*kept, folder / "build")] == [True, True, True, False]
    subprocess.run(["make", "distclean"], cwd=folder, capture_output=True, check=True)
    assert not any(path.exists() for path in kept)


def test_the_demo_installs_no_extra(folder):
    (folder / ".venv/bin/.package").unlink()
    done = subprocess.run(
        ["make", "-n", "demo"], cwd=folder, capture_output=True, text=True, check=True
    )
    (install,) = [line for line in done.stdout.splitlines() if "pip install" in line]
    assert install.endswith("--editable .")
