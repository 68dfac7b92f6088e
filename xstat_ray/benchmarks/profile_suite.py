"""Where the time goes: all calls of the protocol over a region, and the slowest functions.

Calls follow each other in one process on one core; times are processor seconds. The profiler, in a
second run, makes small functions look slower than they are.
"""

from __future__ import annotations

import cProfile
import pstats
import re
from dataclasses import dataclass
from pathlib import Path

from xstat_ray.benchmarks.region import Region, RegionSizes, studies
from xstat_ray.benchmarks.timed import Run, run_timed
from xstat_ray.benchmarks.timing import SECONDS, Record, one_core
from xstat_ray.planning.plan import make_plan
from xstat_ray.runtime.progress import Progress

_BUILT_IN = re.compile(r"<(?:method|built-in method) '?([\w.]+)'?(?: of '([\w.]+)' objects)?>")
_LONGEST = 24
"""Most letters of a function's name."""
_LEAST = 1e-3
"""Share of the whole below which a call is not named."""


@dataclass(frozen=True)
class Sizes(RegionSizes):
    """Sizes of the tables, and how much is shown."""

    batches_a_day: int
    functions: int
    """Number of slowest functions that are named."""
    key_bits: int


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Run once with a clock on all calls, and once under the profiler."""
    profile = cProfile.Profile()
    with (
        sizes.opened() as tables,
        progress.stage("profile", 2) as stage,
        one_core(),
    ):
        rows = tables.rows
        timed = _run(sizes, tables)
        stage.advance()
        profile.runcall(_run, sizes, tables)
        stage.advance()
    total = sum(spent.seconds for spent in timed.costs.by_name.values())
    records = [Record("profile.rows", rows, "rows"), Record("profile.flags", timed.flags, "flags")]
    slowest = sorted(timed.costs.by_name.items(), key=lambda pair: -pair[1].seconds)
    for name, spent in [
        (name, spent) for name, spent in slowest if spent.seconds >= _LEAST * total
    ]:
        records.append(Record(f"profile.{name}", spent.seconds, SECONDS))
        records.append(Record(f"profile.{name}.share", spent.seconds / total, ""))
    return records + _functions(profile, sizes.functions)


def _run(sizes: Sizes, tables: Region) -> Run:
    study = tables.during(studies(sizes.days)["all"])
    plan = make_plan(
        study, key_bits=sizes.key_bits, shards=max(2, sizes.days * sizes.batches_a_day)
    )
    return run_timed(plan, tables.sources)


def _functions(profile: cProfile.Profile, most: int) -> list[Record]:
    """Find the functions that take most seconds without what they call, by file and name."""
    by_function: dict[str, float] = {}
    for (file, _, function), (_, _, seconds, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        name = f"{Path(file).stem}.{function}" if file != "~" else _BUILT_IN.sub(r"\2.\1", function)
        short = name[:_LONGEST]
        by_function[short] = by_function.get(short, 0.0) + seconds
    slowest = sorted(by_function.items(), key=lambda pair: -pair[1])[:most]
    return [Record(f"profile.own.{name}", seconds, SECONDS) for name, seconds in slowest]
