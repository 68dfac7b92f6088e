"""The suites over a region: their tables, and our counts, which are the true ones in all cells."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests import oracle
from tests.runtime.running import counts, seeds
from tests.sizes import first, slow, thorough
from xstat_ray.benchmarks import profile_suite, scale_suite
from xstat_ray.benchmarks.in_the_clear import InTheClear
from xstat_ray.benchmarks.on_ray import Timed
from xstat_ray.benchmarks.processes import peak_of_all
from xstat_ray.benchmarks.region import Region, region, studies
from xstat_ray.benchmarks.timed import run_timed
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs.ids import normalise
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.runtime.executor import LocalExecutor
from xstat_ray.runtime.progress import Progress

WORLD = World(first_day=dt.date(2023, 10, 29), days=2, people=2400, block=800, air=0.6, studied=25)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """Make two days on which many fly."""
    folder = tmp_path_factory.mktemp("busy")
    build(WORLD, folder, map, lambda _: None)
    with region(folder, 1, 2) as tables:
        yield tables


@thorough
@pytest.mark.parametrize("name", first(1, ["doto", "all"], slow))
def test_every_count_is_the_oracle_s(busy, name, tmp_path):
    study = busy.during(studies()[name])
    plan = make_plan(study, key_bits=2048, shards=16)
    executor = LocalExecutor(study, busy.sources)
    found = counts(executor, plan)[: study.cells]
    expected = oracle.count(*plainly(study, busy), seeds(executor))
    assert expected.sum() > 100 and (found == expected).all()
    clear = InTheClear(duckdb, study, busy, threads=1)
    bounds = clear.bounds()
    assert clear.drawn == 0 and bounds.wrong(found) == 0
    for query in (clear.straight, clear.pushed_down):
        laid_out = np.zeros_like(found)
        for cell, slot, number in query():
            laid_out[cell, slot] = number
        assert bounds.wrong(laid_out) == 0


def test_a_wrong_count_is_seen(busy):
    study = busy.during(studies()["all"])
    bounds = InTheClear(duckdb, study, busy, threads=1).bounds()
    right = bounds.cells[0].copy()
    missing = bounds.slots[0] - right.sum(axis=0)
    for slot in np.flatnonzero(missing):
        for cell in np.flatnonzero(bounds.cells[1][:, slot] > right[:, slot]):
            more = min(missing[slot], bounds.cells[1][cell, slot] - right[cell, slot])
            right[cell, slot] += more
            missing[slot] -= more
    assert bounds.wrong(right) == 0
    cell, slot = np.argwhere(bounds.cells[0] > 0)[0]
    right[cell, slot] = bounds.cells[0][cell, slot] - 1
    assert bounds.wrong(right) >= 2


@slow
def test_what_a_party_draws_is_known_within_bounds(busy, tmp_path):
    """All board again an hour later, on another route: most hours draw between two flags."""
    folder = tmp_path / "tables"
    shutil.copytree(busy.folder, folder)
    path = folder / "airline" / "boardings.parquet"
    once = pq.read_table(path)
    hour = pa.scalar(dt.timedelta(hours=1))
    columns = {name: once[name] for name in once.column_names}
    for name in ("departure", "arrival"):
        columns[name] = pc.add(once[name], hour)
    columns["departure_airport"] = pa.array(["HKD"] * len(once))
    pq.write_table(pa.concat_tables([once, pa.table(columns).cast(once.schema)]), path)
    again = Region(folder, busy.days)
    study = again.during(studies()["all"])
    clear = InTheClear(duckdb, study, again, threads=1)
    bounds = clear.bounds()
    drawn = clear.drawn
    assert drawn > 100 and (bounds.slots[0] < bounds.slots[1]).any()
    executor = LocalExecutor(study, again.sources)
    found = counts(executor, make_plan(study, key_bits=2048, shards=4))[: study.cells]
    assert bounds.wrong(found) == 0
    assert bounds.wrong(bounds.cells[1]) > 0


def plainly(study: Study, tables: Region) -> tuple[Study, pa.Table, pa.Table]:
    """Prepare a study and its tables for the oracle.

    Ids are normal, times are in UTC, and those who are left out are gone.
    """
    tokyo = pa.scalar(dt.timedelta(hours=9))

    def table(path: Path, source: Source, id_column: str, times: list[str]) -> pa.Table:
        found = pq.read_table(path, partitioning=None)
        out = pa.concat_arrays(
            [
                normalise(
                    pq.read_table(listed)[id_column].combine_chunks().cast(pa.string()),
                    "phone",
                    "JP",
                )
                for listed in source.excludes
            ]
        )
        ids = normalise(found[id_column].combine_chunks().cast(pa.string()), "phone", "JP")
        found = found.set_column(found.column_names.index(id_column), id_column, ids)
        for time in times:
            shifted = pc.subtract(found[time].cast(pa.timestamp("us")), tokyo)
            found = found.set_column(found.column_names.index(time), time, shifted)
        return found.filter(pc.and_(pc.invert(pc.is_in(ids, out)), ids.is_valid()))

    sources = tables.sources
    rows = pa.concat_tables(
        [table(path, sources["row"], "subscriber", ["time"]) for path in tables.presence]
    )
    flags = table(sources["column"].table, sources["column"], "passenger", ["departure", "arrival"])
    seen = {str(mesh) for mesh in rows["mesh"].unique().to_pylist()}
    (where,) = study.row.dimensions
    members = tuple(tuple(mesh for mesh in meshes if mesh in seen) for meshes in where.members)
    row = replace(study.row, dimensions=(replace(where, members=members),))
    return replace(study, row=row, id_form="exact", id_region=None), rows, flags


def test_a_part_has_some_of_the_files(busy):
    with busy.part(3, 1) as part:
        assert [len(tables.presence) for tables in (busy, part)] == [6, 1]
        assert part.rows < busy.rows and part.stored_bytes < busy.stored_bytes
        assert part.during(studies()["all"]).period.end.date() == dt.date(2023, 10, 30)


def test_a_folder_without_a_world_or_with_too_few_days_is_refused(busy, tmp_path):
    for folder, days in ((tmp_path, 1), (busy.folder, 3)):
        with pytest.raises(InputError), region(folder, 1, days):
            pass


@slow
def test_everything_that_is_called_is_booked(busy, tmp_path):
    plan = make_plan(busy.during(studies()["all"]), key_bits=2048, shards=4)
    run = run_timed(plan, busy.sources)
    assert {"row.intake", "row.emit", "row.hide", "join_whole", "noise", "column.open_part"} <= set(
        run.costs.by_name
    )
    assert run.matches == run.counts.sum() > 0 and run.nodes == plan.design.nodes
    assert run.costs.out_bytes("column.emit") == run.flags * (16 + 512 * plan.packing.blocks)
    assert run.costs.persons > 0 and run.costs.seconds("row.emit", "nothing") > 0


@slow
def test_profile_names_the_slowest_functions(busy):
    sizes = profile_suite.Sizes(busy.folder, 1, 1, 3, 4, 3, 2048)
    records = profile_suite.run(sizes, Progress())
    shares = [record.value for record in records if record.metric.endswith(".share")]
    assert 0.97 < sum(shares) <= 1 and shares == sorted(shares, reverse=True)
    assert "profile.row.emit.share" in {record.metric for record in records} and min(shares) >= 1e-3
    assert sum(record.metric.startswith("profile.own.") for record in records) == 3


@thorough
def test_the_memory_of_children_is_seen():
    import subprocess

    with peak_of_all() as alone:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1)"], check=True)
    with peak_of_all() as large:
        subprocess.run(
            [sys.executable, "-c", "import time; x = b'x' * (300 << 20); time.sleep(1)"], check=True
        )
    assert large.memory - alone.memory > 200 << 20


def test_regions_are_made_where_none_is_given():
    with region(None, 400, 1) as made:
        assert isinstance(made, Region) and made.rows > 0
    assert not made.folder.exists()


def test_several_days_are_held_against_the_first_alone(busy, monkeypatch):
    def run_measured(sizes: scale_suite.Sizes, study: Study, tables: Region) -> tuple[None, Timed]:
        assert (
            sizes.days == len(tables.days) == 1
            and study.period.start.date() == tables.days[0] == busy.days[0]
        )
        return None, timed(4.0, 1000)

    def timed(seconds: float, memory: int) -> Timed:
        stages = {
            "start": 5.0,
            "intake": seconds / 4,
            "exchange": 9.0,
            "aggregate": seconds * 3 / 4,
        }
        return Timed(stages, memory, np.zeros((1, 1), np.int64))

    monkeypatch.setattr(scale_suite, "run_measured", run_measured)
    sizes = scale_suite.Sizes(busy.folder, 1, 2, 1, 4, 4, (1,), 2048)
    memory, time = scale_suite.beside_a_day(
        "scale.doto", timed(10.0, 1100), sizes, studies()["doto"], busy
    )
    assert (memory.value, memory.baseline, memory.ratio) == (1100, 1000, 1.1)
    assert (time.value, time.baseline, time.ratio) == (10.0, 8.0, 1.25)
