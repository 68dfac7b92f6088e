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
    (tmp_path / ".venv/bin/.installed").touch()
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
