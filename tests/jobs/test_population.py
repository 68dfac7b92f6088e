"""The command as a person runs it."""

from __future__ import annotations

import datetime as dt
import json
import re
from functools import partial

import pyarrow.parquet as pq
import pytest

from tests.jobs.command import run
from tests.sizes import first, slow, thorough
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World

population = partial(run, "population")

OFF = ("privacy.noise=off", "unsafe.allow_no_noise=true")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the tables lie where conf/population.yaml looks for them."""
    folder = tmp_path_factory.mktemp("work")
    # The first day of scale=laptop, which the job takes as its own.
    world = World(people=1500, block=400, days=1, first_day=dt.date(2023, 10, 25))
    build(world, folder / "data" / "hokkaido", map, lambda _: None)
    return folder


@pytest.fixture(scope="module")
def exact(folder):
    done = population(folder, "runtime=local", "out=exact", "population.days=1", *OFF)
    assert done.code == 0, done.printed
    assert "Plan: population" in done.printed and "NOT differentially private" in done.printed
    return folder / "exact"


@slow
@pytest.mark.ray
def test_tasks_count_what_one_process_counts(folder, exact):
    done = population(folder, "out=tasks", "population.days=1", "window=3", "shards=5", *OFF)
    assert done.code == 0, done.printed
    for name in ("statistics.parquet", "areas.parquet", "population_residence.csv"):
        assert (folder / "tasks" / name).read_bytes() == (exact / name).read_bytes()


def test_what_is_without_noise_is_stamped(exact):
    assert b"NOISE OFF" in pq.read_schema(exact / "statistics.parquet").metadata[b"WARNING"]
    assert json.loads((exact / "manifest.json").read_text())["noise_free"] is True
    assert (exact / "population_residence.csv").read_text().startswith("# WARNING: NOISE OFF")


@thorough
def test_the_release_is_published_once_and_debited(folder):
    arguments = (
        "runtime=local",
        "out=noisy",
        "population.days=1",
        "ledger=own.sqlite",
        "display=json",
    )
    done = population(folder, *arguments)
    assert done.code == 0, done.printed
    assert json.loads(done.printed.splitlines()[0])["event"] == "plan"
    lines = (folder / "noisy" / "population_residence.csv").read_text().splitlines()
    assert lines[0] == "date,time,area,residence,age,gender,population,low95,high95,stderr"
    assert all(
        re.fullmatch(r"20231025,\d\d00,01\d{3},\d{5},-1,-1,\d{2,},\d+,\d+,[\d.]+", line)
        for line in lines[1:]
    )
    assert len(lines) > 10
    assert (
        folder / "noisy" / "parties" / "operator" / "intake.json"
    ).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (folder / "noisy").iterdir()) == [
        "areas.parquet", "events.jsonl", "manifest.json", "mean_day_age_gender.csv",
        "mean_day_residence.csv", "parties", "plan.json", "population_age_gender.csv",
        "population_residence.csv", "statistics.parquet",
    ]  # fmt: skip
    events = [
        json.loads(line) for line in (folder / "noisy" / "events.jsonl").read_text().splitlines()
    ]
    assert [e["stage"] for e in events if e["event"] == "end"] == [
        "lines",
        "presence",
        "noise",
        "publish",
    ]
    assert {key for event in events for key in event} == {"time", "event", "stage", "seconds"}
    assert population(folder, *arguments).code == 2
    assert "2" in run("budget", folder, "show", "ledger=own.sqlite").output


@pytest.mark.parametrize(
    ("arguments", "part"),
    first(
        1,
        [
            (["tables=nowhere"], "Set data.presence"),
            (["scale=cluster"], "population.first_day"),
        ],
    ),
)
def test_bad_input(folder, arguments, part):
    done = population(folder, "out=bad", "runtime=local", *arguments)
    assert done.code == 2, done.printed
    assert part in done.printed
    assert not (folder / "bad").exists()


@thorough
def test_help_explains_the_keys(folder):
    done = population(folder, "--keys")
    assert done.code == 0 and "weight_cap" in done.printed
    done = population(folder, "--help")
    assert done.code == 0 and "scale=city|" in done.printed
