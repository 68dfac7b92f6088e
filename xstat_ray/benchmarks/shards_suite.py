"""Throughput by number of shards and workers: the sharded stages of a study, cut in many ways.

The people are exchanged once for each number of workers; then the tables are aggregated with each
number of shards, in turn, a few rounds long. A worker is a core, which the threads of the parties
and the tasks of the pool share.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil, log
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks.on_ray import in_own_process, on_cores, open_ray
from xstat_ray.benchmarks.processes import peak_of_all
from xstat_ray.benchmarks.region import Region, RegionSizes, studies
from xstat_ray.benchmarks.timing import SECONDS, Record, summarize
from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import XstatError
from xstat_ray.model.messages import Partial
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.join import FAN_IN
from xstat_ray.roles.session import SECRETS
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.object_store import stored_bytes
from xstat_ray.runtime.progress import Progress


@dataclass(frozen=True)
class Sizes(RegionSizes):
    """Sizes of the tables, and how they are cut."""

    shards: tuple[int, ...]
    workers: tuple[int, ...]
    window: int
    key_bits: int
    rounds: int


@dataclass(frozen=True)
class Round:
    """An aggregation."""

    seconds: float
    """Seconds of the aggregation."""
    peak_memory: int
    """Most bytes of all processes."""
    stored: int
    """Bytes that Ray's object store took meanwhile."""
    counts: NDArray[np.int64]
    """(cells, slots) counts of the encrypted table, cells in the row party's secret order."""


Rounds = dict[int, list[Round]]
"""Rounds by the number of shards that was asked for."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Aggregate with each cut on each number of workers.

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
                by_cut = in_own_process(_measure, tables, plans, workers, sizes)
                measured[workers] = by_cut
                # The operator draws between two equally long stays, by a seed that each process
                # makes anew, so counts of different processes may differ.
                counted = [done.counts for rounds in by_cut.values() for done in rounds]
                if any((counts != counted[0]).any() for counts in counted):
                    raise XstatError("the counts depend on the cut: nothing is reported")
                stage.advance(len(plans))
        return _records(tables, measured, plans)


def _measure(tables: Region, plans: dict[int, Plan], workers: int, sizes: Sizes) -> Rounds:
    """Aggregate with each cut in each round.

    An aggregation that comes first, and is not kept, starts the processes of the pool. A session
    opens one table, so the tables are opened with the key, which the column party has saved. The
    masks are made beside the joins and need the noise, though it is off.
    """
    first, *_ = plans.values()
    with (
        on_cores(workers),
        open_ray(first, tables.sources, workers) as executor,
        TemporaryDirectory() as kept,
    ):
        driver = Driver(executor, first, Progress(), sizes.window)
        driver.de_identify({"column": Path(kept)})
        driver.draw_noise()
        secrets = unpack_fields((Path(kept) / SECRETS).read_bytes())
        key = PrivateKey.from_bytes(secrets["paillier"])
        _aggregate(executor, first, key, sizes.window)
        rounds: Rounds = {asked: [] for asked in plans}
        for _ in range(sizes.rounds):
            for asked, plan in plans.items():
                rounds[asked].append(_aggregate(executor, plan, key, sizes.window))
    return rounds


def _aggregate(executor: Executor, plan: Plan, key: PrivateKey, window: int) -> Round:
    driver = Driver(executor, plan, Progress(), window)
    before = stored_bytes()
    with peak_of_all() as peak:
        start = time.perf_counter()
        (encrypted,) = driver.aggregate([key.public])
        seconds = time.perf_counter() - start
    stored = stored_bytes() - before
    return Round(seconds, peak.memory, stored, _counts(key, plan, encrypted))


def _counts(key: PrivateKey, plan: Plan, encrypted: Partial) -> NDArray[np.int64]:
    rows = encrypted.ciphertexts.reshape(-1, key.public.width)
    counts = np.zeros((plan.study.cells, plan.study.slots), np.int64)
    counts[encrypted.cells] = plan.packing.unpack_signed(key.decrypt(rows), key.public.n)
    return counts


def _records(tables: Region, measured: dict[int, Rounds], plans: dict[int, Plan]) -> list[Record]:
    fewest = next(iter(measured))
    alone = {
        asked: median(done.seconds for done in rounds) for asked, rounds in measured[fewest].items()
    }
    rows = tables.rows
    flags = _flags(tables, next(iter(plans.values())))
    matches = int(next(iter(measured[fewest].values()))[0].counts.sum())
    records = [Record("shards.rows", rows, "rows"), Record("shards.flags", flags, "flags")]
    records.append(Record("shards.matches", matches, "matches"))
    for workers, by_cut in measured.items():
        for asked, rounds in by_cut.items():
            name = f"shards.{asked}.workers.{workers}"
            took = [done.seconds for done in rounds]
            shards = len(plans[asked].grid.shards)
            records += [
                summarize(f"{name}.rows_per_s", "rows/s", [rows / s for s in took]),
                summarize(f"{name}.flags_per_s", "flags/s", [flags / s for s in took]),
                summarize(f"{name}.matches_per_s", "matches/s", [matches / s for s in took]),
                summarize(f"{name}.aggregate", SECONDS, took),
                Record(f"{name}.efficiency", alone[asked] / median(took) / (workers / fewest), ""),
                Record(f"{name}.peak_memory_bytes", max(done.peak_memory for done in rounds), "B"),
                summarize(f"{name}.stored_bytes", "B", [done.stored for done in rounds]),
                Record(f"{name}.tree_depth", ceil(log(shards, FAN_IN)) if shards > 1 else 0, ""),
            ]
    return records


def _flags(tables: Region, plan: Plan) -> int:
    """Count the flags of the column party in a study, by an intake of its table."""
    party = ColumnParty(plan.study, tables.sources["column"])
    party.agree(RowParty(plan.study, tables.sources["row"]).hello())
    party.intake()
    return sum(party.prepare(plan.grid))
