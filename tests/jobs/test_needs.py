"""The command as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.needs.country import make_country, publish_all

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """A folder in which the releases lie where conf/needs.yaml looks for them."""
    folder = tmp_path_factory.mktemp("work")
    for noise in ("gaussian", "off"):
        made = publish_all(make_country(7, 20_000), folder / noise, noise)
        made.movement.rename(made.movement.with_name("doto_movement"))
    (folder / "out").symlink_to("gaussian")
    return folder


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "jobs.needs", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_ranked_list_is_printed_and_written(releases):
    code, output, error = run(releases, "out=needs", "releases.preboarding=out/preboarding")
    assert (code, error) == (0, "")
    assert "Where transport is missing" in output and "根室市" in output
    table = pq.read_table(releases / "needs" / "needs.parquet")
    assert table["rank"].to_pylist() == list(range(1, 51))
    assert (releases / "needs" / "boarding.csv").exists()


def test_quiet_prints_nothing_but_the_warning(releases):
    assert run(releases, "out=quiet", "display=quiet", "draws=100") == (0, "", "")
    code, output, error = run(releases, "out=off", "display=quiet", "draws=100", "releases.catchment=off/catchment")
    assert (code, output) == (0, "")
    assert "NOT differentially private" in error and "Exact counts came from: catchment." in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["releases.movement=nowhere"], "nowhere, key releases.movement). Make one with: python -m jobs.crosstab"),
        (["releases.movement=."], "there is no manifest.json"),
        (["releases.population=out/catchment"], "python -m jobs.population"),
        (["travel.tolerated=soon"], "key travel.tolerated"),
        (["tolerated=1"], "tolerated"),
    ],
)
def test_bad_input(releases, arguments, message):
    code, output, error = run(releases, "out=bad", *arguments)
    assert (code, output) == (2, "")
    assert message in error and "Traceback" not in error
    assert not (releases / "bad").exists()
