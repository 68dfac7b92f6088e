"""Failures and how they are reported; nothing is counted or drawn twice."""

from __future__ import annotations

import stat
import traceback
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray

from tests import oracle
from tests.runtime.running import actor_of, coefficients, encrypted, inside, party_in, seeds
from tests.runtime.unreliable import Unreliable
from tests.sizes import first, thorough
from xstat_ray import Options, crosstab
from xstat_ray.errors import InputError, PartyError, ProtocolError
from xstat_ray.inputs.source import Source
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Bounds, ColumnSide, Privacy, RowSide, Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import Aggregator
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import LocalExecutor
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.ray_executor import RayExecutor
from xstat_ray.runtime.tasks import TASK_RETRIES

pytestmark = pytest.mark.ray
CANARY = "canary-7f3b1c9e5d2a4860"


@pytest.fixture
def draws(monkeypatch):
    """Nodes of all tables that were made ready to be opened in this process."""
    sizes = []
    rerandomise = Aggregator.rerandomise

    def noted(self, table, *arguments):
        sizes.append(len(table))
        return rerandomise(self, table, *arguments)

    monkeypatch.setattr(Aggregator, "rerandomise", noted)
    return sizes


@thorough
@pytest.mark.parametrize(("mechanism", "how"), first(1, [("tree", "killed"), ("flat", "raising")]))
def test_failed_tasks_are_run_again_and_noise_is_drawn_once(
    ray_folder, small, tmp_path, draws, mechanism, how
):
    schedule = {
        ("join", 0): (1, how),
        ("join", 6): (2, how),
        ("merge", 0): (1, how),
        ("bound", 0): (1, how),
        ("add", 0): (1, how),
        ("sum_up", 0): (1, how),
    }
    study = replace(small.study, privacy=Privacy(noise="off", mechanism=mechanism))
    plan = make_plan(study, key_bits=2048, shards=20, batch="day")
    with Unreliable(study, small.sources, {}, folder=tmp_path, schedule=schedule) as executor:
        driver, to_open = encrypted(executor, plan)
        values = driver.release(to_open).values
        expected = oracle.count(study, small.rows, small.flags, seeds(executor))
        seen = {name: executor.seen[name] for name in ("join", "merge", "bound", "add")}
        assert seen == {"join": 20, "merge": 2, "bound": 2, "add": 1}
    assert (values == coefficients(plan, expected)).all()
    failed = {path.name: len(list(path.iterdir())) for path in tmp_path.iterdir() if path.is_dir()}
    expected_failures = {f"{name}{place}": times for (name, place), (times, _) in schedule.items()}
    if mechanism == "flat":
        del expected_failures["sum_up0"]
    assert failed == expected_failures
    # One table of all measured levels, however often its tasks were run.
    assert draws == [sum(measured.nodes for measured in plan.design.levels)]


@thorough
def test_a_task_that_always_fails_ends_the_run_before_there_is_a_table(
    ray_folder, small, tmp_path, draws
):
    schedule = {("join_whole", 2): (TASK_RETRIES + 1, "raising")}
    with (
        Unreliable(small.study, small.sources, {}, folder=tmp_path, schedule=schedule) as executor,
        pytest.raises(OSError, match="No space left"),
    ):
        encrypted(executor, make_plan(small.study, key_bits=2048, shards=4))
    assert draws == []


def wide_study() -> Study:
    """Make a study of 2400 coefficients, of which the tables touch one."""
    area = Dimension(
        "area", "area", tuple(map(str, range(80))), tuple((str(i),) for i in range(80))
    )
    kind = Dimension(
        "kind", "kind", tuple(map(str, range(30))), tuple((str(i),) for i in range(30))
    )
    privacy = Privacy(noise="laplace", epsilon=Fraction(2))
    return Study(
        "wide",
        RowSide("id", (area,)),
        ColumnSide("id", (kind,)),
        bounds=Bounds(persons=100),
        privacy=privacy,
    )


def test_every_coefficient_is_noised_touched_or_not(tmp_path, draws):
    for name, column in (("row", "area"), ("column", "kind")):
        (tmp_path / f"{name}.csv").write_text(f"id,{column}\na,7\nb,7\nc,7\n")
    study = wide_study()
    plan = make_plan(study, key_bits=2048, shards=3)
    ledger = tmp_path / "ledger"
    sources = {role: Source(tmp_path / f"{role}.csv", ledger=ledger) for role in ("row", "column")}
    with LocalExecutor(study, sources) as executor:
        driver, to_open = encrypted(executor, plan)
        noisy = to_open.rerandomised.ciphertexts
        rows = noisy.reshape(-1, noisy.shape[-1])
        trivial = np.zeros(rows.shape[1], np.uint8)
        trivial[0] = 1
        # No cell is the trivial encryption of zero that an untouched cell starts from, and no two
        # are equal.
        assert not (rows == trivial).all(axis=1).any()
        assert len(np.unique(rows, axis=0)) == plan.table_ciphertexts
        values = driver.release(to_open).values
    assert draws == [plan.design.shown]
    untouched = np.delete(values.ravel(), 7 * 30 + 7)
    # Discrete Laplace of scale 1/2: P(0) = (1 - e^-2) / (1 + e^-2) = tanh(1). Six standard
    # deviations each way.
    expected = np.tanh(1)
    deviation = np.sqrt(np.tanh(1) * (1 - np.tanh(1)) / untouched.size)
    assert abs((untouched == 0).mean() - expected) < 6 * deviation
    assert (untouched != 0).reshape(-1).any() and abs(values[7, 7] - 3) < 40
    assert all((np.delete(values, 7, axis=0)[:, kind] != 0).any() for kind in range(30))


def test_an_input_error_of_a_party_arrives_as_itself(ray_folder, small, tmp_path):
    pq.write_table(small.rows.drop_columns(["zone"]), tmp_path / "without_zone.parquet")
    with pytest.raises(InputError) as caught:
        crosstab(
            small.study,
            row=tmp_path / "without_zone.parquet",
            column=small.column,
            options=Options(runtime="ray", key_bits=2048, replicas={}, allow_no_noise=True),
        )
    error = caught.value
    assert type(error) is InputError and error.exit_code == 2
    assert (error.problem, error.column, error.file) == (
        "no such column",
        "zone",
        str(tmp_path / "without_zone.parquet"),
    )
    assert error.remedy is not None and "The columns are" in error.remedy


@thorough
def test_an_unexpected_error_of_a_party_arrives_without_its_text(ray_folder, small, tmp_path):
    def spoil(environment: Any, text: str) -> None:
        def intake(*_: Any) -> None:
            raise ValueError(text)

        party_in(environment).intake = intake

    sources = {
        role: replace(source, private=tmp_path / role) for role, source in small.sources.items()
    }
    with RayExecutor(small.study, sources, {}) as executor:
        inside(executor, "row", 0, spoil, CANARY)
        with pytest.raises(
            PartyError, match=r"row party failed in intake \(ValueError\)"
        ) as caught:
            encrypted(executor, make_plan(small.study, key_bits=2048))
    assert CANARY not in "".join(traceback_texts(caught.value))
    (log,) = (tmp_path / "row").iterdir()
    assert str(log) in str(caught.value)
    assert CANARY in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def traceback_texts(error: BaseException | None) -> list[str]:
    """List everything that can be printed of an error and of the errors that caused it."""
    texts = []
    while error is not None:
        texts += [
            str(error),
            repr(error),
            repr(error.args),
            repr(vars(error)),
            *traceback.format_exception(error),
        ]
        error = error.__cause__ or error.__context__
    return texts


def test_an_error_of_a_party_reaches_the_driver_through_the_tasks_that_needed_its_result(
    ray_folder, small
):
    def spoil(environment: Any) -> None:
        def emit(shard: Any) -> None:
            raise ProtocolError("deliberate")

        party_in(environment).emit = emit

    with RayExecutor(small.study, small.sources, {}) as executor:
        inside(executor, "row", 0, spoil)
        with pytest.raises(ProtocolError, match="deliberate"):
            encrypted(executor, make_plan(small.study, key_bits=2048, shards=12))


@thorough
def test_replicas_whose_tables_differ_are_refused(ray_folder, small, tmp_path):
    # The other table has the same rows in another order.
    pq.write_table(
        small.flags.take(list(reversed(range(len(small.flags))))), tmp_path / "boarding.parquet"
    )

    def redirect(environment: Any, path: Path) -> None:
        party_in(environment)._source = Source(path)

    with RayExecutor(small.study, small.sources, {"column": 2}) as executor:
        inside(executor, "column", 1, redirect, tmp_path / "boarding.parquet")
        with pytest.raises(PartyError, match="replicas of the column party disagree"):
            encrypted(executor, make_plan(small.study, key_bits=2048))


@thorough
@pytest.mark.parametrize("stage", first(1, ["aggregate", "intake", "release"]))
def test_a_party_whose_environment_dies_ends_the_run(ray_folder, small, tmp_path, stage):
    plan = make_plan(small.study, key_bits=2048, shards=12)
    with RayExecutor(small.study, small.sources, {}) as executor:
        driver = Driver(executor, plan, Progress())

        def die(role: Any) -> None:
            ray.kill(actor_of(executor, role))

        with pytest.raises(PartyError, match="ended unexpectedly"):
            die("row") if stage == "intake" else None
            public = driver.de_identify()
            die("row") if stage == "aggregate" else None
            driver.draw_noise()
            noisy = driver.rerandomise(public, driver.aggregate(public))
            to_open = driver.put_masks(public, noisy)
            die("column")
            driver.release(to_open)


def test_people_who_opted_out_leave_no_trace_in_the_counts(small, tmp_path):
    gone = [f"p{i}" for i in range(0, 60, 3)]
    (tmp_path / "opted_out.csv").write_text(
        "person,passenger\n" + "".join(f"{name},{name}\n" for name in gone)
    )
    with_list = {
        role: replace(source, exclude=tmp_path / "opted_out.csv")
        for role, source in small.sources.items()
    }
    plan = make_plan(small.study, key_bits=2048, shards=3)
    with LocalExecutor(small.study, with_list) as executor:
        driver, to_open = encrypted(executor, plan)
        values = driver.release(to_open).values
        expected = oracle.count(
            small.study, small.rows, small.flags, seeds(executor), opted_out=gone
        )
        # The counts are as if their rows had never been in the tables.
        never = oracle.count(
            small.study,
            small.rows.filter([name not in gone for name in small.rows["person"].to_pylist()]),
            small.flags.filter([name not in gone for name in small.flags["passenger"].to_pylist()]),
            seeds(executor),
        )
    assert (values == expected).all() and (values == never).all() and values.sum() > 0
