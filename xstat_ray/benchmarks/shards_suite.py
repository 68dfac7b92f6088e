"""Throughput by shard count and worker count: the sharded stages of one study, cut in many ways on one and more cores.

The people are exchanged once for each number of workers; then the same tables are aggregated with every number of
shards. A worker is a core: of the parties' threads and of the pool's tasks together.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks.measure import Record
from xstat_ray.benchmarks.on_ray import in_own_process, on_cores, open_ray, release
from xstat_ray.benchmarks.processes import peak_of_all
from xstat_ray.benchmarks.region import Region, RegionSizes, studies
from xstat_ray.errors import XstatError
from xstat_ray.join import FAN_IN
from xstat_ray.plan import Plan, make_plan
from xstat_ray.roles import ColumnParty
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.object_store import stored_bytes
from xstat_ray.runtime.progress import Progress


@dataclass(frozen=True)
class Sizes(RegionSizes):
    """How the tables are cut."""

    shards: tuple[int, ...]
    workers: tuple[int, ...]
    window: int
    key_bits: int


@dataclass(frozen=True)
class Point:
    """One cut on some workers."""

    workers: int
    shards: int
    """As they came out."""
    asked: int
    seconds: float
    peak_memory: int
    stored: int
    """Bytes that Ray's object store took meanwhile."""
    noisy_seconds: float
    counts: NDArray[np.int64]


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Aggregate with every cut on every number of workers.

    Raises:
        XstatError: two cuts give different counts.
    """
    with sizes.opened() as tables:
        study = tables.during(studies(sizes.days)["all"])
        plans = {shards: make_plan(study, key_bits=sizes.key_bits, shards=shards) for shards in sizes.shards}
        points: list[Point] = []
        with progress.stage("shards", len(plans) * len(sizes.workers)) as stage:
            for workers in sizes.workers:
                own = in_own_process(_measure, tables, plans, workers, sizes.window)
                # Of two equally long stays the operator draws one, by a seed that every process makes anew.
                if any((point.counts != own[0].counts).any() for point in own):
                    raise XstatError("the counts depend on the cut: nothing is reported")
                points += own
                stage.advance(len(own))
        return _records(tables, points, plans)


def _measure(tables: Region, plans: dict[int, Plan], workers: int, window: int) -> list[Point]:
    first, points = next(iter(plans.values())), []
    with on_cores(workers), open_ray(first, tables.sources, workers) as executor:
        public = Driver(executor, first, Progress(), window).de_identify()
        for asked, plan in plans.items():
            driver = Driver(executor, plan, Progress(), window)
            before = stored_bytes()
            with peak_of_all() as peak:
                start = time.perf_counter()
                encrypted = driver.aggregate(public)
                seconds = time.perf_counter() - start
            stored = stored_bytes() - before
            counts = release(driver, public, encrypted, plan)
            rest = time.perf_counter() - start - seconds
            points.append(Point(workers, len(plan.grid.shards), asked, seconds, peak.memory, stored, rest, counts))
    return points


def _records(tables: Region, points: list[Point], plans: dict[int, Plan]) -> list[Record]:
    rows, matches = tables.rows, int(points[0].counts.sum())
    flags = _flags(tables, next(iter(plans.values())))
    records = [Record("shards.rows", rows, "rows"), Record("shards.flags", flags, "flags")]
    records.append(Record("shards.matches", matches, "matches"))
    alone = {point.asked: point.seconds for point in points if point.workers == points[0].workers}
    for point in points:
        name = f"shards.{point.asked}.workers.{point.workers}"
        times = point.workers / points[0].workers
        records += [
            Record(f"{name}.rows_per_s", rows / point.seconds, "rows/s"),
            Record(f"{name}.flags_per_s", flags / point.seconds, "flags/s"),
            Record(f"{name}.matches_per_s", matches / point.seconds, "matches/s"),
            Record(f"{name}.aggregate", point.seconds, "s"),
            Record(f"{name}.noise_and_release", point.noisy_seconds, "s"),
            Record(f"{name}.efficiency", alone[point.asked] / point.seconds / times, ""),
            Record(f"{name}.peak_memory_bytes", point.peak_memory, "B"),
            Record(f"{name}.stored_bytes", point.stored, "B"),
            Record(f"{name}.tree_depth", ceil(log(point.shards, FAN_IN)) if point.shards > 1 else 0, ""),
        ]
    return records


def _flags(tables: Region, plan: Plan) -> int:
    """Flags of the column party in this study, from its own intake."""
    source = tables.sources["column"]
    party = ColumnParty(plan.study, source.table, source.excludes)
    party.intake()
    return sum(party.prepare(plan.grid))
