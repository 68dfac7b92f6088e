"""The environments of the row party divide the survey: what one finds they find together."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import use_key
from tests.heard import Heard
from tests.runtime.noting import noting_executor
from tests.runtime.running import counts
from tests.sizes import first, thorough
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import InputError
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Rows
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.row_table import RowTable
from xstat_ray.roles.survey import Survey
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.emission import RowCalls
from xstat_ray.runtime.executor import LocalExecutor, LocalInstance
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.survey import survey

SEED = bytes(range(32))


def executor_of(small: Any, *tables: Path) -> LocalExecutor:
    """Make an executor whose row party has an environment for each place of its table.

    Parties make the same random choices in all tests.
    """
    executor = LocalExecutor(small.study, {})
    row = [RowParty(small.study, Source(table), seed=SEED) for table in tables]
    executor.row = [LocalInstance(party) for party in row]
    executor.columns = {
        "column": [LocalInstance(ColumnParty(small.study, small.column, seed=SEED))]
    }
    return executor


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    """Make one key for all tests."""
    return generate(2048)


@pytest.fixture(autouse=True)
def cached_key(key: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all runs use it."""
    use_key(key, monkeypatch.setattr)


@pytest.fixture
def table(small, tmp_path: Path) -> Path:
    """The rows in two files with many row groups."""
    folder = tmp_path / "rows"
    folder.mkdir()
    half = len(small.rows) // 2
    for number, part in enumerate((small.rows.slice(0, half), small.rows.slice(half))):
        pq.write_table(part, folder / f"{number}.parquet", row_group_size=200)
    return folder


@pytest.mark.parametrize("environments", first(1, [2, 5]))
def test_rows_are_those_of_one_environment(small, table, environments):
    alone, several = (
        [sorted(rows.cells.tolist()) for rows in emitted(taken_in(small, *[table] * number))]
        for number in (1, environments)
    )
    assert several == alone and sum(map(len, alone)) > 200


@thorough
def test_counts_are_those_of_one_environment(small, table):
    plan = make_plan(small.study, key_bits=2048, shards=4)
    alone, several = (counts(executor_of(small, *[table] * number), plan) for number in (1, 3))
    np.testing.assert_array_equal(several, alone)


def test_every_row_group_is_surveyed_once(small, table, monkeypatch):
    read = Counter[tuple[str, int]]()
    original = RowTable._tally

    def noting(self: RowTable, pieces: Any, columns: Any) -> Any:
        read.update((piece.file.name, piece.group.number) for piece in pieces)
        return original(self, pieces, columns)

    monkeypatch.setattr(RowTable, "_tally", noting)
    executor = executor_of(small, *[table] * 3)
    driver = Driver(executor, make_plan(small.study, key_bits=2048), Progress())
    driver._agree()
    driver.fill_replicas()
    driver.take_in("row")
    groups = sum(pq.ParquetFile(path).num_row_groups for path in table.iterdir())
    assert len(read) == groups and set(read.values()) == {1}
    digests = {one.party.replica_digest() for one in executor.row}
    assert len(digests) == 1
    assert len({json.dumps(one.party.counts.as_dict()) for one in executor.row}) == 1


def taken_in(small: Any, *tables: Path) -> Driver:
    executor = executor_of(small, *tables)
    driver = Driver(executor, make_plan(small.study, key_bits=2048, shards=4), Progress())
    driver.de_identify()
    return driver


def emitted(driver: Driver) -> list[Rows]:
    """Have each environment emit the shards of its batches."""
    executor = driver._executor
    grid = driver._plan.grid
    rows = RowCalls(executor.row, len(grid.batches))
    executor.get_all(rows.prepare(grid))
    return executor.get_all([rows.emit(shard) for shard in grid.shards])


def test_a_copy_of_the_table_that_has_other_row_groups_is_refused(small, table, tmp_path):
    pq.write_table(small.rows, tmp_path / "0.parquet", row_group_size=200)
    with pytest.raises(InputError, match="environments of the row party have read different"):
        taken_in(small, table, table, tmp_path / "0.parquet")


@pytest.mark.parametrize("idle", [0, 1])
def test_a_run_tells_of_environments_that_have_no_batch(small, table, idle):
    plan = make_plan(small.study, key_bits=2048, shards=4)
    executor = executor_of(small, *[table] * (len(plan.grid.batches) + idle))
    heard = Heard()
    driver = Driver(executor, plan, heard)
    driver._agree()
    driver.fill_replicas()
    driver.take_in("row")
    assert len([note for note in heard.notes if "environments for" in note]) == idle


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_error_in_any_stretch_ends_the_run(small, table, place, monkeypatch):
    original = RowTable.survey

    def survey(self: RowTable, number: int, environments: int) -> Survey:
        if number == place:
            raise InputError("deliberate", remedy="none")
        return original(self, number, environments)

    monkeypatch.setattr(RowTable, "survey", survey)
    with pytest.raises(InputError, match="deliberate"):
        taken_in(small, *[table] * 3)


def test_rows_that_are_not_those_that_another_environment_surveyed_are_refused(
    small, table, tmp_path
):
    """Each has a copy of its own, and one of them has other people in the same row groups."""
    other = tmp_path / "other"
    other.mkdir()
    for path in table.iterdir():
        rows = pq.read_table(path)
        people = [f"q{number}" for number in range(len(rows))]
        changed = rows.set_column(0, "person", [pa.array(people)])
        pq.write_table(changed, other / path.name, row_group_size=200, write_statistics=False)
        pq.write_table(rows, path, row_group_size=200, write_statistics=False)
    driver = taken_in(small, table, other)
    with pytest.raises(InputError, match=r"has changed since the run began .file .*parquet"):
        emitted(driver)


@pytest.mark.parametrize("environments", [2, 3, 4, 7, 8])
def test_surveys_are_merged_two_by_two_by_neighbours(environments):
    names = [f"r{number}" for number in range(environments)]
    executor, calls = noting_executor(names, [])
    survey(executor.row)
    stretches = {name: range(place, place + 1) for place, name in enumerate(names)}
    for call in calls:
        if call.method == "merge":
            later = stretches.pop(call.args[0].environment)
            assert later.start == stretches[call.environment].stop
            stretches[call.environment] = range(stretches[call.environment].start, later.stop)
    assert stretches == {"r0": range(environments)}
    # All environments get the same survey, and every share of the hashes.
    taken = [call.args for call in calls if call.method == "take_survey"]
    assert len(taken) == environments and len(set(taken)) == 1
    known = [call.args for call in calls if call.method == "take_hashes"]
    assert len(known) == environments and {len(shares) for shares in known} == {environments}
