"""A region's days beside DuckDB on the plain tables, and a cost model that projects a trial.

Both studies of `region.studies` are run without noise on a Ray of the given cores and must give the
counts that DuckDB finds. The model is fitted to smaller runs in one process on one core.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from xstat_ray.benchmarks.cost_model import MACHINES, Model, RunSizes, fit
from xstat_ray.benchmarks.in_the_clear import InTheClear
from xstat_ray.benchmarks.on_ray import Timed, in_own_process, run_on_ray
from xstat_ray.benchmarks.region import Region, region, studies
from xstat_ray.benchmarks.timed import run_timed
from xstat_ray.benchmarks.timing import SECONDS, Record, one_core, optional_module
from xstat_ray.errors import XstatError
from xstat_ray.model.study import Privacy, Study
from xstat_ray.planning import draw_cost
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.runtime.progress import Progress
from xstat_ray.util import threads

TRIAL_ROWS = 13_000_000_000
TRIAL_BOARDINGS = 3_300_000
"""Boardings of seven months of the region: 217 days."""
HOURS = 12
SINGULAR = {
    "rows": "row",
    "persons": "person",
    "flags": "flag",
    "matches": "match",
    "nodes": "node",
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of the tables, where none are given, and of the runs over them."""

    tables: Path | None
    people: int
    days: int
    cores: int
    batches_a_day: int
    window: int
    """Shards in flight."""
    parts: tuple[int, ...]
    """Runs that the model is fitted to: each reads one in so many files of the first day."""
    key_bits: int


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Run both studies, fit the model, and project.

    Raises:
        XstatError: counts are wrong; nothing is reported.
    """
    duckdb = optional_module("duckdb", progress)
    with region(sizes.tables, sizes.people, sizes.days) as whole:
        records = [
            Record("scale.rows", whole.rows, "rows"),
            Record("scale.stored_bytes", whole.stored_bytes, "B"),
        ]
        done: dict[str, tuple[RunSizes, Timed]] = {}
        for key, published in studies(sizes.days).items():
            name = f"scale.{key}"
            study = whole.during(published)
            persons = 0
            flags = 0
            with progress.stage(name, 2) as stage:
                plan, timed = run_measured(sizes, study, whole)
                records += _run_records(name, timed)
                if sizes.days > 1:
                    records += beside_a_day(name, timed, sizes, published, whole)
                stage.advance()
                if duckdb is not None:
                    beside, persons, flags = _beside_duckdb(
                        name, timed, InTheClear(duckdb, study, whole, sizes.cores)
                    )
                    records += beside
                stage.advance()
            done[key] = (
                RunSizes(whole.rows, persons, flags, int(timed.counts.sum()), plan.design.shown),
                timed,
            )
        model = _model(sizes, whole, progress)
    return (
        records + _fitted(model) + _held_against(model, done, sizes.cores) + _projected(model, done)
    )


def run_measured(sizes: Sizes, study: Study, whole: Region) -> tuple[Plan, Timed]:
    """Plan a study and run it on Ray in a new process."""
    plan = make_plan(
        study, key_bits=sizes.key_bits, shards=max(2, sizes.days * sizes.batches_a_day)
    )
    return plan, in_own_process(run_on_ray, plan, whole.sources, sizes.cores, sizes.window)


def _run_records(name: str, timed: Timed) -> list[Record]:
    """Make the records of a run: seconds by stage, memory, matches."""
    records = [
        Record(f"{name}.{part}", seconds, SECONDS) for part, seconds in timed.seconds.items()
    ]
    records.append(Record(f"{name}.peak_memory_bytes", timed.peak_memory, "B"))
    return [*records, Record(f"{name}.matches", int(timed.counts.sum()), "matches")]


def beside_a_day(
    name: str, timed: Timed, sizes: Sizes, published: Study, whole: Region
) -> list[Record]:
    """Compare a run over all days with one over the first day.

    Memory is compared with that of the day, and the time of stages that grow with the days with
    that of the day times their number.

    Args:
        name: prefix of the records.
        timed: the run over all days.
        sizes: the sizes of that run.
        published: the study.
        whole: the tables of all days.
    """
    with whole.part(1, 1) as first:
        _, day = run_measured(replace(sizes, days=1), first.during(published), first)
    by_days = ("intake", "aggregate")
    took, alone = (sum(run.seconds[stage] for stage in by_days) for run in (timed, day))
    memory = timed.peak_memory / day.peak_memory
    expected = sizes.days * alone
    return [
        Record(f"{name}.memory_of_days", timed.peak_memory, "B", None, day.peak_memory, memory),
        Record(f"{name}.time_of_days", took, SECONDS, None, expected, took / expected),
    ]


def _beside_duckdb(name: str, timed: Timed, clear: InTheClear) -> tuple[list[Record], int, int]:
    """Check the counts, and time DuckDB.

    Returns:
        Records, and the numbers of persons and flags, which only the plain tables tell.

    Raises:
        XstatError: a count is wrong.
    """
    wrong = clear.bounds().wrong(timed.counts)
    if wrong:
        raise XstatError(f"{wrong} counts of {name} are wrong: nothing is reported")
    persons = clear.persons
    flags = clear.flags
    total = timed.without_exchange
    straight, pushed = (_seconds(query) for query in (clear.straight, clear.pushed_down))
    records = [
        Record(f"{name}.without_exchange", total, SECONDS, None, straight, straight / total),
        Record(f"{name}.duckdb.pushed_down", pushed, SECONDS),
        Record(f"{name}.exchange.persons_per_s", persons / timed.seconds["exchange"], "1/s"),
        Record(f"{name}.flags", flags, "flags"),
    ]
    return records, persons, flags


def _seconds(query: Callable[[], object]) -> float:
    start = time.perf_counter()
    query()
    return time.perf_counter() - start


def _model(sizes: Sizes, whole: Region, progress: Progress) -> Model:
    """Fit the model to runs in one process on one core, which follow each other."""
    runs = []
    with progress.stage("scale.model", 2 * len(sizes.parts)) as stage, one_core(), _one_thread():
        for of in sizes.parts:
            for study in studies().values():
                with whole.part(of, 1) as part:
                    plan = make_plan(
                        part.during(study),
                        key_bits=sizes.key_bits,
                        shards=max(2, sizes.batches_a_day),
                    )
                    made = run_timed(plan, part.sources)
                    runs.append(
                        (
                            RunSizes(
                                part.rows, made.costs.persons, made.flags, made.matches, made.nodes
                            ),
                            made,
                        )
                    )
                stage.advance()
    return fit(runs)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = os.environ.get(threads.VARIABLE)
    os.environ[threads.VARIABLE] = "1"
    try:
        yield
    finally:
        del os.environ[threads.VARIABLE]
        if before is not None:
            os.environ[threads.VARIABLE] = before


def _fitted(model: Model) -> list[Record]:
    units = ((model.seconds, "us", 1e6), (model.bytes, "B", 1.0))
    return [
        Record(f"scale.model.{part}.{unit}_per_{SINGULAR[size]}", cost * factor, unit)
        for costs, unit, factor in units
        for part, per in costs.items()
        for size, cost in per.items()
    ] + [Record("scale.model.residual", model.residual, "")]


def _held_against(
    model: Model, done: dict[str, tuple[RunSizes, Timed]], cores: int
) -> list[Record]:
    """Compare the seconds that the model predicts for the whole region with those of Ray.

    The ratio is that of the seconds taken to the seconds predicted.
    """
    records = []
    for name, (run_sizes, timed) in done.items():
        predicted = model.predict(run_sizes) / cores
        ratio = timed.without_exchange / predicted
        records.append(
            Record(f"scale.model.{name}", predicted, SECONDS, None, timed.without_exchange, ratio)
        )
        # The plan counts the most people and flags that the bounds allow; these bounds allow no
        # more than there are.
        study = studies()[name]
        passengers = max(1, run_sizes.flags // study.window_periods)
        bounds = replace(study.bounds, persons=passengers, boardings=1)
        plan = make_plan(replace(study, bounds=bounds))
        estimated_seconds = plan.seconds(cores, rows=run_sizes.rows, row_persons=run_sizes.persons)
        took = sum(timed.seconds.values())
        records.append(
            Record(
                f"scale.plan.{name}",
                estimated_seconds,
                SECONDS,
                None,
                took,
                took / estimated_seconds,
            )
        )
    return records


def _projected(model: Model, done: dict[str, tuple[RunSizes, Timed]]) -> list[Record]:
    """Project the trial, with all boardings counted and its people exchanged once.

    The fitted runs are without noise, so that its joint draw is taken from the plan.
    """
    region_sizes, _ = done["all"]
    flags = TRIAL_BOARDINGS * HOURS
    persons = TRIAL_BOARDINGS + 2_500_000
    matches = flags * region_sizes.matches // max(1, region_sizes.flags)
    trial = RunSizes(TRIAL_ROWS, persons, flags, matches, region_sizes.nodes)
    plan = make_plan(replace(studies()["all"], privacy=Privacy()))
    drawn = draw_cost.seconds(plan.study, plan.noise, plan.coefficients, cores=1)
    core_seconds = model.predict(trial) + drawn
    exchange = model.exchange(trial)
    records = [
        Record("scale.trial.core_hours", core_seconds / 3600, "h"),
        Record("scale.trial.noise_core_seconds", drawn, SECONDS),
        Record("scale.trial.exchange_core_hours", exchange / 3600, "h"),
        Record("scale.trial.hours_on_2_cores", core_seconds / 2 / 3600, "h"),
    ]
    for machine in MACHINES:
        hours = (core_seconds + exchange) / machine.cores / 3600
        records.append(Record(f"scale.trial.{machine.name}.hours", hours, "h"))
        records.append(
            Record(f"scale.trial.{machine.name}.dollars", hours * machine.dollars, "USD")
        )
    return records
