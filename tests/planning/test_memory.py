"""The forecast of memory: near what runs take, in both directions, and what comes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, HOURS, KEY_BITS, Case, counts, study
from tests.heard import Heard
from tests.sizes import thorough
from xstat_ray import crosstab
from xstat_ray.errors import PlanError
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source
from xstat_ray.model.memory_need import MOST_ROWS, PROCESS, RowSizes, most_rows
from xstat_ray.planning import memory
from xstat_ray.planning.fit import Look, fitted, look_at
from xstat_ray.planning.memory import STAGES, Forecast
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.table_check import inspect_order
from xstat_ray.roles import join
from xstat_ray.roles.row_shape import MemoryRoom, RowShape
from xstat_ray.roles.row_table import RowTable
from xstat_ray.runtime import emission

FACTOR = 1.7
"""By which the peak of a run may differ from the forecast."""
HOUR = 3600 * 1_000_000
GB = 1 << 30
CHILD = """
import json, sys
from pathlib import Path
from xstat_ray import crosstab
from tests.planning.test_memory import hourly, options
folder = Path(sys.argv[1])
crosstab(
    hourly(int(sys.argv[2])), row=folder / "rows", column=folder / "columns.parquet",
    options=options(),
)
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) << 10)
"""
"""Runs a study in a process of its own, and prints the most memory that it took."""


def hourly(cells: int) -> Any:
    areas = [str(area) for area in range(cells)]
    return study(areas=areas, period=HOURS, row={"time": "at"}, column={"time": "at"})


def options(**changes: Any) -> Options:
    return replace(Options(key_bits=KEY_BITS, allow_no_noise=True, runtime="local"), **changes)


def write_tables(folder: Path, persons: int, cells: int) -> None:
    """Write people who are somewhere in every hour of two days, a file for each day."""
    (folder / "rows").mkdir()
    start = np.datetime64("2024-01-01T00:00", "us").astype(np.int64)
    ids = np.char.mod("%08d", np.arange(persons))
    for day in range(2):
        hours = np.tile(np.arange(24 * day, 24 * day + 24), persons)
        columns = {
            "id": np.repeat(ids, 24),
            "at": pa.array(start + hours * HOUR, pa.int64()).cast(pa.timestamp("us")),
            "area": np.char.mod("%d", np.arange(24 * persons) % cells),
        }
        pq.write_table(pa.table(columns), folder / "rows" / f"{day}.parquet")
    few = min(persons, 2000)
    at = pa.array(np.full(few, start)).cast(pa.timestamp("us"))
    columns = {"id": ids[:few], "at": at, "kind": np.where(np.arange(few) % 2, "x", "y")}
    pq.write_table(pa.table(columns), folder / "columns.parquet")


def peak_of_run(folder: Path, cells: int) -> int:
    command = [sys.executable, "-c", CHILD, str(folder), str(cells)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@thorough
@pytest.mark.parametrize(
    ("persons", "cells"),
    [(2_000, 20), pytest.param(60_000, 20, marks=thorough)],
)
def test_the_forecast_is_near_what_runs_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, persons: int, cells: int
) -> None:
    write_tables(tmp_path, persons, cells)
    monkeypatch.setenv("XSTAT_THREADS", "2")
    sources: Any = {
        "row": Source(tmp_path / "rows"),
        "column": Source(tmp_path / "columns.parquet"),
    }
    plan = options().plan(hourly(cells))
    look = look_at(plan.study, sources)
    # The driver sees how large the files are, and no people.
    seen = look.row.sizes(plan.grid.batches, None)
    shape = inspect_order(plan.study, sources["row"]).shape
    assert shape is not None
    sizes = shape(plan.grid.batches)
    assert seen.persons == 0
    assert 0 < seen.rows < 8 * sizes.rows
    forecast = Forecast.of(plan, sizes, 2, look.column_rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    taken = peak_of_run(tmp_path, cells)
    assert forecast.together / FACTOR < taken < FACTOR * forecast.together
    if persons > 10_000:
        # Also of what comes on top of a bare process; and a forecast without rows is found out.
        without = Forecast.of(plan, None, 2, look.column_rows).together
        more, less = (bytes - PROCESS for bytes in (forecast.together, without))
        assert more / FACTOR < taken - PROCESS < FACTOR * more
        assert taken - PROCESS > FACTOR * less
    assert sizes.rows == 48 * persons
    assert persons / 1.1 < sizes.persons < 1.1 * persons


def plan_of(cells: int = 20, **changes: Any) -> Plan:
    return options(**changes).plan(hourly(cells))


def look(rows: int, covers: list[range] | None = None) -> Look:
    """A table of two files, one for each day, with rows of an hour for each person."""
    span = plan_of().grid.batches[0].start
    days = covers or [range(span, span + 24), range(span + 24, span + 48)]
    return Look(RowShape(days, [rows // len(days)] * len(days), 24.0), 2_000)


def test_the_driver_opens_no_file(tmp_path: Path) -> None:
    """Files that cannot be read do not stop it; a footer or a row might name somebody."""
    sources: Any = {name: Source(tmp_path / f"{name}.parquet") for name in ("row", "column")}
    for source in sources.values():
        Path(source.files).write_bytes(b"damaged " * 100)
    found = look_at(plan_of().study, sources)
    assert found.row.sizes(plan_of().grid.batches, None).rows == found.column_rows == 100


def test_a_forecast_has_every_stage_of_every_role() -> None:
    found = Forecast.of(plan_of()).as_dict()
    assert {stage for of in found.values() for stage in of} == set(STAGES)
    assert set(found) == {"row", "column", "pool", "driver"}
    assert json.dumps(found)


def test_a_larger_table_and_longer_batches_take_more() -> None:
    taken = [
        Forecast.of(plan, look(rows).row.sizes(plan.grid.batches, None)).peak("row")
        for rows in (1_000_000, 100_000_000)
        for plan in (plan_of(shards=2), plan_of(shards=1))
    ]
    assert taken == sorted(set(taken))


def test_batches_are_made_shorter_until_they_fit() -> None:
    plan = plan_of(shards=1)
    large = look(200_000_000)
    assert fitted(plan, options(shards=1, memory=30 * GB), large) == (plan, None)
    cut, warning = fitted(plan, options(shards=1, memory=13 * GB), large)
    assert len(cut.grid.batches) == 2 and warning is None
    assert cut.packing == plan.packing


@pytest.mark.parametrize(
    ("given", "memory", "batches", "remedy"),
    [("release", 13 * GB, 1, "Set batch=day"), ("auto", GB, 2, "more memory")],
)
def test_what_is_only_guessed_warns_and_refuses_nothing(
    given: Any, memory: int, batches: int, remedy: str
) -> None:
    """Sizes of files guess at rows; the row party's environment knows them, and may refuse."""
    chosen = options(shards=1, batch=given, memory=memory)
    cut, warning = fitted(chosen.plan(hourly(20)), chosen, look(200_000_000))
    assert len(cut.grid.batches) == batches
    assert warning is not None and "a guess by the sizes of the files" in warning
    assert remedy in warning


def test_what_even_empty_tables_take_is_refused() -> None:
    chosen = options(shards=1, memory=PROCESS // 2)
    with pytest.raises(PlanError, match="at least, and has") as caught:
        fitted(chosen.plan(hourly(20)), chosen, look(0))
    assert caught.value.key == "memory"


def test_with_padding_batches_keep_to_memory_by_public_figures() -> None:
    """The driver knows no size of a table: it goes by the bounds and by the dummies."""
    padded = replace(
        hourly(20),
        bounds=replace(hourly(20).bounds, persons=400_000),
        privacy=replace(hourly(20).privacy, padding="dp"),
    )
    plan = options().plan(padded)
    assert plan.padding is not None and len(plan.grid.batches) == 1
    need = Forecast.of(plan).together
    assert need > Forecast.of(replace(plan, padding=None)).together
    assert fitted(plan, options(memory=need), None) == (plan, None)
    cut, warning = fitted(plan, options(memory=need - 1), None)
    assert len(cut.grid.batches) == 2 and warning is None
    assert cut.padding is not None and cut.padding.batches == 2
    same, warning = fitted(plan, options(memory=need - 1, batch="release"), None)
    assert same is plan and "by the study's bounds" in str(warning)


def test_environments_tasks_and_object_store_of_a_cluster_add_up() -> None:
    plan = plan_of()
    small = look(1_000)
    local = options(memory=GB)
    assert fitted(plan, local, small).plan is plan
    with pytest.raises(PlanError, match="memory"):
        fitted(plan, replace(local, runtime="ray"), small)
    assert fitted(plan, replace(local, runtime="ray", memory=4 * GB), small) == (plan, None)


def test_rows_that_are_read_together_are_held_together() -> None:
    batches = [range(0, 12), range(12, 24), range(24, 48)]
    files = [range(0, 24), range(24, 48)]
    whole = RowSizes.of(files, [2_400, 1_200], batches, rows_a_person=2.0)
    assert (whole.batch, whole.held, whole.persons) == (1_200, 2_400, 900)
    apart = RowSizes.of(files, [2_400, 1_200], batches, rows_a_person=2.0, most=1_000)
    assert apart.held == 1_200


def test_less_memory_holds_fewer_rows_at_once() -> None:
    assert most_rows(None) == most_rows(64 * GB) == MOST_ROWS
    assert 0 < most_rows(GB) < MOST_ROWS // 4


def test_a_run_keeps_to_the_memory_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path)
    heard = Heard()
    assert counts(case.run(study(), progress=heard, memory=GB)) == COUNTS
    assert not any("would not fit" in note for note in heard.notes)
    with pytest.raises(PlanError, match="at least .*of memory|has 52.4 MB"):
        case.run(study(), out=tmp_path / "other", memory=50 << 20)
    assert not (tmp_path / "other" / "statistics.parquet").exists()


def test_the_row_party_s_environment_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    case = Case(tmp_path)
    plan = options().plan(study())
    table = RowTable(plan.study, case.source(case.tables["row"]), ReadDigests(bytes(16)))
    room = MemoryRoom(plan.grid.batches, len(plan.grid.regions), GB)
    table.check_room(room)
    with pytest.raises(PlanError, match="the row party's people and the rows") as caught:
        table.check_room(room._replace(memory=10 << 20))
    # Others may see the message: it tells what there is, and nothing of the table.
    assert "10.5 MB" in str(caught.value) and "0." not in str(caught.value).replace("10.5", "")


@pytest.mark.parametrize("batch", ["auto", "release"])
def test_where_the_row_party_has_no_room_the_run_starts_again_with_shorter_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: Any
) -> None:
    """The driver's guess was too low; the environment that knows the rows refuses the batches."""
    write_tables(tmp_path, 12, 4)
    monkeypatch.chdir(tmp_path)
    tables = {"row": tmp_path / "rows", "column": tmp_path / "columns.parquet"}
    chosen = options(shards=1, batch=batch)
    right = counts(crosstab(hourly(4), **tables, options=chosen))
    check = RowShape.check_room

    def of_a_day_alone(self: RowShape, room: MemoryRoom) -> None:
        check(self, room._replace(memory=1 if len(room.batches) == 1 else None))

    monkeypatch.setattr(RowShape, "check_room", of_a_day_alone)
    heard = Heard()
    if batch == "release":
        with pytest.raises(PlanError, match="rows of a batch do not fit"):
            crosstab(hourly(4), **tables, options=chosen, progress=heard)
        return
    release = crosstab(hourly(4), **tables, options=chosen, progress=heard)
    assert counts(release) == right
    assert any("starts again with 2 batches" in note for note in heard.notes)


def test_numbers_that_the_forecast_has_from_others_are_theirs() -> None:
    assert memory._AT_ONCE == emission.CIPHERTEXTS_A_CALL
    assert memory._FAN_IN == join.FAN_IN
