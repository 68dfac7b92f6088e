"""The command as a person runs it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ("world.people=1500", "world.block=400", "world.days=2")


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "jobs.synthesize", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest() for path in files}


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    code, output = run(folder, "runtime=local", "out=tables", *SMALL)
    assert code == 0, output
    assert "boardings" in output and "presence" in output
    return folder / "tables"


@pytest.mark.ray
def test_tasks_write_the_same_bytes_as_one_process(local, tmp_path):
    code, output = run(tmp_path, "runtime=ray", "window=3", "out=tables", *SMALL)
    assert code == 0, output
    assert digests(tmp_path / "tables") == digests(local)


def test_a_finished_world_is_left_as_it_is(local):
    before = {path: path.stat().st_mtime_ns for path in local.rglob("*.parquet")}
    code, output = run(local.parent, "out=tables", *SMALL)
    assert code == 0, output
    assert {path: path.stat().st_mtime_ns for path in local.rglob("*.parquet")} == before


@pytest.mark.parametrize(
    ("arguments", "part"),
    [(("out=tables", "world.people=1501"), "a world of other settings is here"),
     (("out=new", "world.people=0"), "world.people"),
     (("out=new", "world.planets=9"), "planets"),
     (("scale=moon",), "moon")],
)  # fmt: skip
def test_what_cannot_be_is_refused(local, arguments, part):
    code, output = run(local.parent, *SMALL, *arguments)
    assert code == 2, output
    assert part in output
    assert not (local.parent / "new").exists()


def test_a_folder_that_cannot_be_written_to(local):
    code, output = run(local.parent, "runtime=local", "out=/proc/tables", *SMALL)
    assert code == 2, output
    assert "/proc/tables" in output


def test_help_explains_the_keys(local):
    code, output = run(local.parent, "--help")
    assert code == 0
    assert "scale=city|cluster|hokkaido|hokkaido-day|laptop" in output
