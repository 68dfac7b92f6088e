"""Throughput by shard count and worker count: the sharded stages of one study, cut in many ways on one and more cores.

The people are exchanged once for each number of workers; then the same tables are aggregated with
every number of shards, in turn, a few rounds long. A worker is a core: of the parties' threads and
of the pool's tasks together.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil, log
from statistics import median

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks.measure import SECONDS, Record, summarize
from xstat_ray.benchmarks.on_ray import in_own_process, on_cores, open_ray, release
from xstat_ray.benchmarks.processes import peak_of_all
from xstat_ray.benchmarks.region import Region, RegionSizes, studies
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import XstatError
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.roles import ColumnParty
from xstat_ray.roles.join import FAN_IN
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.object_store import stored_bytes
from xstat_ray.runtime.progress import Progress


@dataclass(frozen=True)
class Sizes(RegionSizes):
    """How the tables are cut."""

    shards: tuple[int, ...]
    workers: tuple[int, ...]
    window: int
    key_bits: int
    rounds: int


@dataclass(frozen=True)
class Round:
    """One aggregation."""

    seconds: float
    peak_memory: int
    stored: int
    """Bytes that Ray's object store took meanwhile."""
    noisy_seconds: float
    counts: NDArray[np.int64]


Rounds = dict[int, list[Round]]
"""By the number of shards that was asked for."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Aggregate with every cut on every number of workers.

    Raises:
        XstatError: two cuts give different counts.
    """
    with sizes.opened() as tables:
        study = tables.during(studies(sizes.days)["all"])
        plans = {
            shards: make_plan(study, key_bits=sizes.key_bits, shards=shards)
            for shards in sizes.shards
        }
        measured: dict[int, Rounds] = {}
        with progress.stage("shards", len(plans) * len(sizes.workers)) as stage:
            for workers in sizes.workers:
                measured[workers] = own = in_own_process(_measure, tables, plans, workers, sizes)
                # Of two equally long stays the operator draws one, by a seed that every process
                # makes anew.
                every = [one.counts for rounds in own.values() for one in rounds]
                if any((counts != every[0]).any() for counts in every):
                    raise XstatError("the counts depend on the cut: nothing is reported")
                stage.advance(len(plans))
        return _records(tables, measured, plans)


def _measure(tables: Region, plans: dict[int, Plan], workers: int, sizes: Sizes) -> Rounds:
    """Every cut in every round.

    One that comes first, and is not kept, starts the pool's processes.
    """
    first, *_ = plans.values()
    with on_cores(workers), open_ray(first, tables.sources, workers) as executor:
        public = Driver(executor, first, Progress(), sizes.window).de_identify()
        _aggregate(executor, first, public, sizes.window)
        rounds: Rounds = {asked: [] for asked in plans}
        for _ in range(sizes.rounds):
            for asked, plan in plans.items():
                rounds[asked].append(_aggregate(executor, plan, public, sizes.window))
    return rounds


def _aggregate(executor: Executor, plan: Plan, public: PublicKey, window: int) -> Round:
    driver = Driver(executor, plan, Progress(), window)
    before = stored_bytes()
    with peak_of_all() as peak:
        start = time.perf_counter()
        encrypted = driver.aggregate(public)
        seconds = time.perf_counter() - start
    stored = stored_bytes() - before
    counts = release(driver, public, encrypted, plan)
    return Round(seconds, peak.memory, stored, time.perf_counter() - start - seconds, counts)


def _records(tables: Region, measured: dict[int, Rounds], plans: dict[int, Plan]) -> list[Record]:
    fewest = next(iter(measured))
    alone = {asked: median(one.seconds for one in own) for asked, own in measured[fewest].items()}
    rows = tables.rows
    flags = _flags(tables, next(iter(plans.values())))
    matches = int(next(iter(measured[fewest].values()))[0].counts.sum())
    records = [Record("shards.rows", rows, "rows"), Record("shards.flags", flags, "flags")]
    records.append(Record("shards.matches", matches, "matches"))
    for workers, rounds in measured.items():
        for asked, own in rounds.items():
            name = f"shards.{asked}.workers.{workers}"
            took = [one.seconds for one in own]
            shards = len(plans[asked].grid.shards)
            records += [
                summarize(f"{name}.rows_per_s", "rows/s", [rows / one for one in took]),
                summarize(f"{name}.flags_per_s", "flags/s", [flags / one for one in took]),
                summarize(f"{name}.matches_per_s", "matches/s", [matches / one for one in took]),
                summarize(f"{name}.aggregate", SECONDS, took),
                summarize(f"{name}.noise_and_release", SECONDS, [one.noisy_seconds for one in own]),
                Record(f"{name}.efficiency", alone[asked] / median(took) / (workers / fewest), ""),
                Record(f"{name}.peak_memory_bytes", max(one.peak_memory for one in own), "B"),
                summarize(f"{name}.stored_bytes", "B", [one.stored for one in own]),
                Record(f"{name}.tree_depth", ceil(log(shards, FAN_IN)) if shards > 1 else 0, ""),
            ]
    return records


def _flags(tables: Region, plan: Plan) -> int:
    """Flags of the column party in this study, from its own intake."""
    party = ColumnParty(plan.study, tables.sources["column"])
    party.intake()
    return sum(party.prepare(plan.grid))
