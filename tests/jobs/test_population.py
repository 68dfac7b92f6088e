"""The command as a person runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from xstat_ray.world.build import build
from xstat_ray.world.settings import World

ROOT = Path(__file__).parents[2]
OFF = ("privacy.noise=off", "unsafe.allow_no_noise=true")


def run(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "jobs.population", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "150"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the tables lie where conf/population.yaml looks for them."""
    folder = tmp_path_factory.mktemp("work")
    build(World(people=1500, block=400, days=1), folder / "data" / "hokkaido", map, lambda _: None)
    return folder


@pytest.fixture(scope="module")
def exact(folder):
    code, output = run(folder, "runtime=local", "out=exact", "population.days=1", *OFF)
    assert code == 0, output
    assert "Plan: population" in output and "NOT differentially private" in output
    return folder / "exact"


@pytest.mark.ray
def test_tasks_count_what_one_process_counts(folder, exact):
    code, output = run(folder, "out=tasks", "population.days=1", "window=3", "shards=5", *OFF)
    assert code == 0, output
    for name in ("statistics.parquet", "areas.parquet", "population_residence.csv"):
        assert (folder / "tasks" / name).read_bytes() == (exact / name).read_bytes()


def test_what_is_without_noise_is_stamped(exact):
    assert b"NOISE OFF" in pq.read_schema(exact / "statistics.parquet").metadata[b"WARNING"]
    assert json.loads((exact / "manifest.json").read_text())["noise_free"] is True
    assert (exact / "population_residence.csv").read_text().startswith("# WARNING: NOISE OFF")


def test_the_release_is_published_once_and_debited(folder):
    arguments = ("runtime=local", "out=noisy", "population.days=1", "ledger=own.sqlite", "display=json")
    code, output = run(folder, *arguments)
    assert code == 0, output
    assert json.loads(output.splitlines()[0])["event"] == "plan"
    lines = (folder / "noisy" / "population_residence.csv").read_text().splitlines()
    assert lines[0] == "date,time,area,residence,age,gender,population"
    assert all(re.fullmatch(r"20231022,\d\d00,01\d{3},\d{5},-1,-1,\d{2,}", line) for line in lines[1:])
    assert len(lines) > 10
    assert (folder / "noisy" / "parties" / "operator" / "intake.json").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (folder / "noisy").iterdir()) == [
        "areas.parquet", "manifest.json", "parties", "plan.json", "population_age_gender.csv", "population_residence.csv",
        "statistics.parquet",
    ]  # fmt: skip
    assert run(folder, *arguments)[0] == 2
    assert "2" in subprocess.run(
        [sys.executable, "-m", "jobs.budget", "show", "ledger=own.sqlite"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["tables=nowhere"], "Set data.presence"),
        (["scale=cluster"], "population.first_day"),
    ],
)
def test_bad_input(folder, arguments, part):
    code, output = run(folder, "out=bad", "runtime=local", *arguments)
    assert code == 2, output
    assert part in output
    assert not (folder / "bad").exists()


def test_help_explains_the_keys(folder):
    code, output = run(folder, "--help")
    assert code == 0 and "weight_cap" in output and "scale=city|" in output
