"""Tags: how fast a party turns (person, period) into tags, and puts a shard into their order."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks.timing import Record, Work, peak_records, timing_record
from xstat_ray.crypto.oprf import PERSON_KEY_BYTES
from xstat_ray.crypto.tags import sort_order, tags
from xstat_ray.runtime.progress import Progress


@dataclass(frozen=True)
class Sizes:
    """Rows that are tagged in a round."""

    rounds: int
    rows: int
    persons: int
    slice_rows: int
    """Rows that are tagged at once, which bound the memory beside the input."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time tagging, and tagging with sorting, and find the memory of both."""
    rng = np.random.default_rng(1)
    key = os.urandom(16)
    person_keys = rng.integers(0, 256, (sizes.persons, PERSON_KEY_BYTES), np.uint8)
    person = rng.integers(0, sizes.persons, sizes.rows, np.int32)
    period = rng.integers(0, 24 * 365, sizes.rows, np.uint32)
    cell = rng.integers(0, 100_000, sizes.rows, np.uint32)

    def tag(rows: slice) -> NDArray[np.uint8]:
        return tags(key, person_keys, person[rows], period[rows])

    def tag_and_sort(rows: slice) -> None:
        tagged = tag(rows)
        order = sort_order(tagged, cell[rows])
        tagged[order], cell[rows][order]

    def by_slices(work: Callable[[slice], object]) -> None:
        for start in range(0, sizes.rows, sizes.slice_rows):
            work(slice(start, start + sizes.slice_rows))

    peak = peak_records("tags.peak_bytes", partial(by_slices, tag_and_sort), progress)
    rates = []
    for metric, work in (("tags.rows_per_s", tag), ("tags.sort.rows_per_s", tag_and_sort)):
        whole = Work(partial(by_slices, work), sizes.rows)
        rates.append(
            timing_record(metric, "rows/s", whole, None, rounds=sizes.rounds, progress=progress)
        )
    return [*rates, *peak]
