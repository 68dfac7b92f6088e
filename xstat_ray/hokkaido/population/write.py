"""The files of a population release, written day by day: whole or absent, the statistics last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.hokkaido.population.expansion import UNITS
from xstat_ray.hokkaido.population.plan import PopulationPlan
from xstat_ray.hokkaido.population.publish import (
    AREAS_SCHEMA,
    DELIVERED_SCHEMA,
    STATISTICS_SCHEMA,
    publish,
    publish_mean_day,
)
from xstat_ray.hokkaido.population.shards import TaskContext, load_noisy
from xstat_ray.publication.publish import STAMP
from xstat_ray.publication.release import AREAS, MANIFEST, PLAN, STATISTICS, json_bytes
from xstat_ray.util.files import unwritable, whole_file, write_whole


def delivered_name(breakdown: str) -> str:
    """Name the file of a breakdown in the delivered layout."""
    return f"population_{breakdown}.csv"


def mean_day_name(breakdown: str) -> str:
    """Name the file of a breakdown's mean day in the delivered layout."""
    return f"mean_day_{breakdown}.csv"


def write_release(
    plan: PopulationPlan,
    context: TaskContext,
    facts: Mapping[str, Any],
    folder: Path,
    done: Callable[[], None],
) -> int:
    """Write all files from the stored noisy sums; equal sums give equal bytes.

    Args:
        plan: the release.
        context: where the sums lie.
        facts: the manifest.
        folder: the output folder.
        done: called after every day.

    Returns:
        How many rows of the statistics are withheld from the delivered files.

    Raises:
        InputError: the disk is full, or the folder cannot be written to; no statistics file
            remains.
    """
    try:
        write_whole(folder / PLAN, json_bytes(plan.as_dict()))
        write_whole(folder / MANIFEST, json_bytes(facts))
        return _write_tables(plan, context, folder, done)
    except OSError as error:
        (folder / MANIFEST).unlink(missing_ok=True)
        raise unwritable(folder, error) from None


def _write_tables(
    plan: PopulationPlan, context: TaskContext, folder: Path, done: Callable[[], None]
) -> int:
    """Write the tables of all days, and count the rows that are not delivered."""
    stamp = STAMP if plan.budget.noise == "off" else None
    withheld = 0
    names = [breakdown.layout.breakdown.name for breakdown in plan.breakdowns]
    with ExitStack() as stack:
        # The stack closes in the reverse order, so that the statistics come into place last.
        statistics = stack.enter_context(
            _parquet(folder / STATISTICS, STATISTICS_SCHEMA.with_metadata(stamp))
        )
        areas = stack.enter_context(_parquet(folder / AREAS, AREAS_SCHEMA.with_metadata(stamp)))
        single = [stack.enter_context(_csv(folder / delivered_name(n), stamp)) for n in names]
        mean = [stack.enter_context(_csv(folder / mean_day_name(n), stamp)) for n in names]
        sums = [SumOfDays() for _ in names]
        for day in range(plan.declaration.days):
            noisy = load_noisy(context, day)
            for number, breakdown in enumerate(plan.breakdowns):
                made = publish(plan, breakdown, day, noisy[number])
                sums[number].add(noisy[number])
                statistics.write_table(made.statistics.replace_schema_metadata(stamp))
                areas.write_table(made.areas.replace_schema_metadata(stamp))
                single[number].write_table(made.delivered)
                withheld += len(made.statistics) - len(made.delivered)
            done()
        for breakdown, total, csv in zip(plan.breakdowns, sums, mean, strict=True):
            csv.write_table(publish_mean_day(plan, breakdown, total.people))
    return withheld


class SumOfDays:
    """People of a breakdown, added up over the days as floats, in which no sum overflows."""

    def __init__(self) -> None:
        self.people: dict[int, NDArray[np.float64]] = {}
        """By measured level, (nodes, columns)."""

    def add(self, noisy: Mapping[int, NDArray[np.int64]]) -> None:
        """Add a day's noisy sums, in units."""
        for level, values in noisy.items():
            self.people[level] = self.people.get(level, 0.0) + values / UNITS


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    with whole_file(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer


@contextmanager
def _csv(path: Path, stamp: Mapping[str, str] | None) -> Iterator[pa_csv.CSVWriter]:
    options = pa_csv.WriteOptions(include_header=False, quoting_style="none")
    with whole_file(path) as file:
        for name, value in (stamp or {}).items():
            file.write(f"# {name}: {value}\n".encode())
        file.write(",".join(DELIVERED_SCHEMA.names).encode() + b"\n")
        with pa_csv.CSVWriter(file, DELIVERED_SCHEMA, write_options=options) as writer:
            yield writer
