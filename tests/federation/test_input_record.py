"""The record of what a party has read: on disk before anything leaves, and demanded ever after."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.case import ROWS, Case, study
from tests.roles.pair import agreed_pair
from xstat_ray.errors import InputError
from xstat_ray.federation.input_record import INPUT, InputRecord
from xstat_ray.inputs.source import Source
from xstat_ray.roles import RowParty
from xstat_ray.runtime.executor import LocalExecutor, LocalInstance

SEEDS = {"row": bytes(range(32)), "column": None}


def step(folder: Path, *tables: Path) -> InputRecord:
    """Begin a step of a party with an environment for each place where the table lies; take in."""
    executor = LocalExecutor(study(), {"row": Source(tables[0])})
    case = Case(folder)
    environments = [
        LocalInstance(agreed_pair(study(), table, case.tables["column"], SEEDS)[0])
        for table in tables
    ]
    record = InputRecord(folder, executor, environments)
    record.demand()
    for environment in environments:
        executor.get(environment.call(RowParty.intake))
    return record


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """The same table at three places, with other times of change at each."""
    path = Case(tmp_path).write("row", ROWS)
    copies = []
    for number in range(3):
        copies.append(tmp_path / str(number) / "rows.parquet")
        copies[-1].parent.mkdir()
        shutil.copyfile(path, copies[-1])
        os.utime(copies[-1], ns=(number, number))
    return copies


def test_the_first_step_demands_nothing_and_keeps_what_it_read_for_the_owner_alone(
    places, tmp_path
):
    record = step(tmp_path, *places)
    assert not (tmp_path / INPUT).exists()
    record.keep()
    assert stat.S_IMODE((tmp_path / INPUT).stat().st_mode) == 0o600
    kept = (tmp_path / INPUT).read_text()
    assert "rows.parquet" in kept and "/id" in kept
    step(tmp_path, *places).keep()
    assert (tmp_path / INPUT).read_text() == kept


def test_times_of_change_are_those_of_the_first_environment_and_contents_those_of_all(
    places, tmp_path
):
    step(tmp_path, *places).keep()
    step(tmp_path, places[0], places[2], places[1]).keep()
    with pytest.raises(InputError, match="has changed since the run began"):
        step(tmp_path, places[1], places[0])
    shutil.copyfile(Case(tmp_path).write("row", ROWS | {"id": ["1", "2", "3", "5"]}), places[2])
    with pytest.raises(InputError, match="has changed since the run began"):
        step(tmp_path, *places)


def test_environments_that_read_different_tables_keep_nothing(places, tmp_path):
    shutil.copyfile(Case(tmp_path).write("row", ROWS | {"id": ["1", "2", "3", "5"]}), places[1])
    record = step(tmp_path, *places[:2])
    with pytest.raises(InputError, match="has changed since the run began"):
        record.keep()
    assert not (tmp_path / INPUT).exists()


def test_a_batch_is_kept_once(places, tmp_path, monkeypatch):
    record = step(tmp_path, places[0])
    kept = []
    monkeypatch.setattr(InputRecord, "_keep", lambda _, instances: kept.append(instances))
    for batch in (0, 0, 1, 0):
        record.keep_batch(batch, record._instances[0])
    assert kept == [record._instances] * 2
