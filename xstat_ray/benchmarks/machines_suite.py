"""More machines than one: a simulated schedule, with what its parts cost on this machine.

The costs are found in a run over a part of a region's day in one process on one core, in an intake
by two environments of the row party, and by empty calls on Ray. `simulation` then plays the
driver's schedule on many cores, for the trial of seven months and for a country's day.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xstat_ray.benchmarks.cost_model import PARTS
from xstat_ray.benchmarks.on_ray import in_own_process
from xstat_ray.benchmarks.region import RegionSizes, studies
from xstat_ray.benchmarks.scale_suite import HOURS, TRIAL_BOARDINGS, TRIAL_ROWS
from xstat_ray.benchmarks.simulation import Costs, Layout, Outcome, Work, simulate
from xstat_ray.benchmarks.timed import Costs as CallCosts
from xstat_ray.benchmarks.timed import Run, intake_timed, run_timed
from xstat_ray.benchmarks.timing import SECONDS, Record, one_core
from xstat_ray.model.study import Study
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.runtime.emission import CIPHERTEXTS_A_CALL
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.ray_executor import RayExecutor
from xstat_ray.runtime.ray_session import session

_ROW_ENVIRONMENTS = 2
"""Environments of the row party in the second measured run: it shows what they tell each other."""
_IN_FLIGHT = 8
"""Empty tasks that run at a time."""
CORES_A_MACHINE = 8
"""Cores of an environment of the row party."""
TRIAL = Work(
    batches=2604,
    rows=TRIAL_ROWS,
    flags=TRIAL_BOARDINGS * HOURS,
    matches=0,
    persons=TRIAL_BOARDINGS + 2_500_000,
    row_persons=2_500_000,
    flags_a_call=1,
)
"""The trial's 217 days in batches of two hours; matches and calls come from the measured run."""
COUNTRY = Work(
    batches=120,
    rows=2_350_000_000,
    flags=280_000 * HOURS,
    matches=0,
    persons=85_000_000 + 280_000,
    row_persons=85_000_000,
    flags_a_call=1,
)
"""A day of 85 million telephone lines, each with as many rows as in the region's day, and of a
country's 280,000 boardings; a batch has some 20 million rows."""


@dataclass(frozen=True)
class Sizes(RegionSizes):
    """Sizes of the tables, and what is measured and simulated."""

    batches_a_day: int
    key_bits: int
    calls: int
    """Empty calls on Ray."""
    cores: tuple[int, ...]
    """Numbers of cores, those of all domains together."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Measure the costs, and simulate."""
    with sizes.opened() as tables, progress.stage("machines", 2) as stage:
        study = tables.during(studies(sizes.days)["all"])
        plan = make_plan(study, key_bits=sizes.key_bits, shards=sizes.days * sizes.batches_a_day)
        call = in_own_process(seconds_of_a_call, study, sizes.calls)
        stage.advance()
        with one_core():
            measured = run_timed(plan, tables.sources)
            told = intake_timed(plan, tables.sources, _ROW_ENVIRONMENTS)
        stage.advance()
        costs = costs_of(measured, told, plan, tables.rows, call)
    records = [Record("machines.call", costs.call * 1e6, "us")]
    for name in ("survey", "merge", "know", "hash", "row"):
        records.append(Record(f"machines.{name}", getattr(costs, name) * 1e9, "ns"))
    for name, work in (("trial", TRIAL), ("country", COUNTRY)):
        sized = replace(
            work,
            matches=work.flags * measured.matches // max(1, measured.flags),
            flags_a_call=max(1, CIPHERTEXTS_A_CALL // plan.packing.blocks),
        )
        records += _simulated(name, costs, sized, sizes.cores)
    return records


def seconds_of_a_call(study: Study, calls: int) -> float:
    """Measure how long the driver takes for an empty task, its submission and its result.

    Args:
        study: any; the executor asks for one.
        calls: number of tasks.
    """
    cluster = Cluster(cpus=2, store_bytes=1 << 28)
    with session(cluster), RayExecutor(study, {}, {}, cluster) as executor:
        executor.get_all([executor.submit(_nothing) for _ in range(_IN_FLIGHT)])
        start = time.perf_counter()
        running = [executor.submit(_nothing) for _ in range(_IN_FLIGHT)]
        for _ in range(calls):
            ended, _ = executor.wait(running)
            running.remove(ended)
            running.append(executor.submit(_nothing))
        return (time.perf_counter() - start) / calls


def _nothing() -> None:
    """Do nothing, as a task."""


def costs_of(measured: Run, told: CallCosts, plan: Plan, rows: int, call: float) -> Costs:
    """Find the costs of a row, a flag, a match and a person.

    Args:
        measured: a run.
        told: costs of an intake by two environments of the row party.
        plan: its plan.
        rows: rows of its table.
        call: seconds of a call.
    """
    costs = measured.costs
    exchange = PARTS["exchange"][0]
    joins = costs.seconds("join", "join_whole", "merge", "bound")
    persons = max(1, costs.row_persons)
    hashed = told.seconds("row.hash_persons")
    # Each of two hands its survey in once: to be merged, and to be known by both.
    handed_in = told.seconds("row.hand_in") / 2
    taken = told.seconds("row.take_survey", "row.take_hashes") / 2
    return Costs(
        call=call,
        survey=(costs.seconds("row.intake") - hashed) / rows,
        merge=(handed_in + told.seconds("row.merge")) / persons,
        know=(handed_in + taken + told.seconds("row.put_keys")) / persons,
        hash=hashed / persons,
        row=costs.seconds("row.emit") / rows,
        flag=costs.seconds("column.emit") / max(1, measured.flags),
        match=joins / max(1, measured.matches),
        add=costs.seconds("add") / max(1, costs.by_name["add"].calls),
        person=costs.seconds(*exchange) / max(1, costs.persons),
        serial=plan.seconds(1 << 30),
    )


def _simulated(name: str, costs: Costs, work: Work, cores: Sequence[int]) -> list[Record]:
    """Simulate on each number of cores; efficiency is relative to the first."""
    records = []
    first: float | None = None
    for count in cores:
        layout, outcome = fastest(costs, work, count)
        spent = outcome.seconds * count
        first = first or spent
        start = f"machines.{name}.{count}"
        records += [
            Record(f"{start}.seconds", outcome.seconds, SECONDS),
            Record(f"{start}.efficiency", first / spent, ""),
            Record(f"{start}.row_environments", layout.row_environments, ""),
        ]
        records += [Record(f"{start}.busy.{who}", part, "") for who, part in outcome.busy.items()]
    return records


def fastest(costs: Costs, work: Work, cores: int) -> tuple[Layout, Outcome]:
    """Find the fastest layout: how many cores the row party, column party and pool have.

    Args:
        costs: what the parts cost.
        work: what is counted.
        cores: of all domains together; at least 3.
    """
    tried = [
        (layout, simulate(costs, work, layout, max(8, 2 * layout.pool_cores)))
        for layout in layouts(costs, work, cores)
    ]
    return min(tried, key=lambda pair: pair[1].seconds)


def layouts(costs: Costs, work: Work, cores: int) -> list[Layout]:
    """Ways to divide cores: environments of the row party, and the others by their work."""
    flags = work.flags * costs.flag
    joins = work.matches * costs.match + work.batches * costs.add
    of_row = [(1, 1), (1, 2), (1, 4), *((2**power, CORES_A_MACHINE) for power in range(10))]
    divided = []
    for environments, each in of_row:
        left = cores - environments * each
        if left >= 2:
            column = min(left - 1, max(1, round(left * flags / (flags + joins))))
            divided.append(Layout(environments, each, column, left - column))
    return divided
