"""The files of a population release, day by day; whole or absent, the statistics last."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from xstat_ray.hokkaido.population.plan import PopulationPlan
from xstat_ray.hokkaido.population.publish import (
    AREAS_SCHEMA,
    DELIVERED_SCHEMA,
    STATISTICS_SCHEMA,
    publish,
)
from xstat_ray.hokkaido.population.shards import Work, load_noisy
from xstat_ray.publication.publish import STAMP
from xstat_ray.publication.release import AREAS, MANIFEST, PLAN, STATISTICS
from xstat_ray.util.files import unwritable, write_whole

Writer = pq.ParquetWriter | pa_csv.CSVWriter


def delivered_name(breakdown: str) -> str:
    """Name of the file in the delivered layout."""
    return f"population_{breakdown}.csv"


def write_release(
    plan: PopulationPlan,
    work: Work,
    facts: Mapping[str, Any],
    folder: Path,
    done: Callable[[], None],
) -> tuple[int, int]:
    """Write all files from the stored noisy sums; the same sums give the same bytes.

    Args:
        plan: the release.
        work: where the sums lie.
        facts: the manifest.
        folder: the output folder.
        done: called after every day.

    Returns:
        How many figures were published, and how many of them were withheld from the delivered
        files.

    Raises:
        InputError: the disk is full, or the folder cannot be written to; no statistics file
            remains.
    """
    stamp = STAMP if plan.budget.noise == "off" else None
    withheld = 0
    try:
        write_whole(folder / PLAN, _json(plan.as_dict()))
        write_whole(folder / MANIFEST, _json(facts))
        with ExitStack() as stack:
            # Left in the reverse order: the statistics come into place last.
            statistics = stack.enter_context(
                _parquet(folder / STATISTICS, STATISTICS_SCHEMA.with_metadata(stamp))
            )
            areas = stack.enter_context(_parquet(folder / AREAS, AREAS_SCHEMA.with_metadata(stamp)))
            names = [delivered_name(table.layout.breakdown.name) for table in plan.tables]
            delivered = [stack.enter_context(_csv(folder / name, stamp)) for name in names]
            for day in range(plan.declaration.days):
                for table, noisy, csv in zip(
                    plan.tables, load_noisy(work, day), delivered, strict=True
                ):
                    made = publish(plan, table, day, noisy)
                    statistics.write_table(made.statistics.replace_schema_metadata(stamp))
                    areas.write_table(made.areas.replace_schema_metadata(stamp))
                    csv.write_table(made.delivered)
                    withheld += len(made.statistics) - len(made.delivered)
                done()
    except OSError as error:
        (folder / MANIFEST).unlink(missing_ok=True)
        raise unwritable(folder, error) from None
    return plan.published, withheld


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name to write under; the file comes to its own name at the end, or is gone."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    with _whole(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        yield writer


@contextmanager
def _csv(path: Path, stamp: Mapping[str, str] | None) -> Iterator[pa_csv.CSVWriter]:
    options = pa_csv.WriteOptions(include_header=False, quoting_style="none")
    with _whole(path) as partial, partial.open("wb") as file:
        for name, value in (stamp or {}).items():
            file.write(f"# {name}: {value}\n".encode())
        file.write(",".join(DELIVERED_SCHEMA.names).encode() + b"\n")
        with pa_csv.CSVWriter(file, DELIVERED_SCHEMA, write_options=options) as writer:
            yield writer


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
