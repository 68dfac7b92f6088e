"""The command as a person runs it."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest

from tests.jobs.command import run
from tests.sizes import first, slow, thorough

synthesize = partial(run, "synthesize")

SMALL = ("world.people=1500", "world.block=400", "world.days=2")


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest() for path in files
    }


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    done = synthesize(folder, "runtime=local", "out=tables", *SMALL)
    assert done.code == 0, done.printed
    assert "boardings" in done.printed and "presence" in done.printed
    return folder / "tables"


@slow
@pytest.mark.ray
def test_tasks_write_the_same_bytes_as_one_process(local, tmp_path):
    done = synthesize(tmp_path, "runtime=ray", "window=3", "out=tables", *SMALL)
    assert done.code == 0, done.printed
    assert digests(tmp_path / "tables") == digests(local)


@thorough
def test_a_finished_world_is_left_as_it_is(local):
    before = {path: path.stat().st_mtime_ns for path in local.rglob("*.parquet")}
    done = synthesize(local.parent, "out=tables", *SMALL)
    assert done.code == 0, done.printed
    assert {path: path.stat().st_mtime_ns for path in local.rglob("*.parquet")} == before


@pytest.mark.parametrize(
    ("arguments", "part"),
    first(1, [(("out=tables", "world.people=1501"), "a world of other settings is here"),
     (("out=new", "world.people=0"), "world.people"),
     (("out=new", "world.planets=9"), "planets"),
     (("scale=moon",), "moon")]),
)  # fmt: skip
def test_what_cannot_be_is_refused(local, arguments, part):
    done = synthesize(local.parent, *SMALL, *arguments)
    assert done.code == 2, done.printed
    assert part in done.printed
    assert not (local.parent / "new").exists()


def test_a_folder_that_cannot_be_written_to(local):
    done = synthesize(local.parent, "runtime=local", "out=/proc/tables", *SMALL)
    assert done.code == 2, done.printed
    assert "/proc/tables" in done.printed


def test_help_explains_the_keys(local):
    done = synthesize(local.parent, "--help")
    assert done.code == 0
    assert "scale=city|cluster|hokkaido|hokkaido-day|laptop" in done.printed
