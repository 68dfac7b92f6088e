"""The order of the row party's files: equal rows, sorted by id as they should be, and by time.

The two tables are read in turn, in one process on one core; times are processor seconds. Each file
keeps its rows and the size of its row groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq

from xstat_ray.benchmarks.region import Region, RegionSizes, studies
from xstat_ray.benchmarks.timed import Run, run_timed
from xstat_ray.benchmarks.timing import Record, one_core, summarize
from xstat_ray.errors import XstatError
from xstat_ray.inputs.source import Source
from xstat_ray.planning.plan import make_plan
from xstat_ray.runtime.progress import Progress

INTAKE = ("row.intake",)
EMIT = ("row.prepare", "row.emit")
PARTS = {"intake": INTAKE, "emit": EMIT, "all": (*INTAKE, *EMIT)}
"""Calls of the row party that read its table: for the people in it, for rows to join, and both."""


@dataclass(frozen=True)
class Sizes(RegionSizes):
    """Sizes of the tables, and how often they are read."""

    batches_a_day: int
    rounds: int
    key_bits: int


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Run a study over the sorted and over the unsorted table; the rates are of the row party.

    Raises:
        XstatError: the two tables give different counts.
    """
    with (
        sizes.opened() as tables,
        _by_time(tables) as shuffled,
        progress.stage("order", 2 * sizes.rounds) as stage,
        one_core(),
    ):
        rows = tables.rows
        study = tables.during(studies(sizes.days)["all"])
        orders = {"sorted": tables.sources, "unsorted": shuffled}
        plan = make_plan(
            study, key_bits=sizes.key_bits, shards=max(2, sizes.days * sizes.batches_a_day)
        )
        runs: dict[str, list[Run]] = {order: [] for order in orders}
        for _ in range(sizes.rounds):
            for order, sources in orders.items():
                runs[order].append(run_timed(plan, sources))
                stage.advance()
    # Each run draws anew which of two equally long stays counts; how many count does not change.
    if len({done.matches for rounds in runs.values() for done in rounds}) > 1:
        raise XstatError("the counts depend on the order: nothing is reported")
    return _records(rows, runs)


def _records(rows: int, runs: dict[str, list[Run]]) -> list[Record]:
    """Compare rows a second of the sorted table with the unsorted one, part by part."""
    records = [Record("order.rows", rows, "rows")]
    for part, calls in PARTS.items():
        ours, others = (
            [rows / run.costs.seconds(*calls) for run in runs[order]]
            for order in ("sorted", "unsorted")
        )
        records.append(summarize(f"order.{part}.rows_per_s", "rows/s", ours, others))
    return records


@contextmanager
def _by_time(tables: Region) -> Iterator[dict[str, Source]]:
    """Copy the row party's files sorted by time, and by nothing within a time."""
    rng = np.random.default_rng(1)
    with TemporaryDirectory() as name:
        for path in tables.presence:
            copy = Path(name) / path.parent.name / path.name
            file = pq.ParquetFile(path)
            copy.parent.mkdir(exist_ok=True)
            table = file.read()
            table = table.take(rng.permutation(len(table))).sort_by("time")
            pq.write_table(table, copy, row_group_size=file.metadata.row_group(0).num_rows)
        yield tables.sources | {"row": replace(tables.sources["row"], table=Path(name))}
