"""Tag join: how fast flags are found among the rows of a shard, with the check of both orders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks.timing import Record, Work, peak_records, timing_record
from xstat_ray.crypto.tags import TAG_BYTES, sort_order
from xstat_ray.model.messages import Rows
from xstat_ray.roles.matching import match
from xstat_ray.runtime.progress import Progress

_DIGEST = bytes(32)


@dataclass(frozen=True)
class Sizes:
    """Rows and flags that are joined in a round."""

    rounds: int
    rows: int
    flags: int
    """Number of flags; half of them occur among the rows."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time the match of tags in memory and from an encoded message, and find its memory."""
    rng = np.random.default_rng(1)
    row_tags = _sorted(_random_tags(rng, sizes.rows))
    known = row_tags[rng.choice(sizes.rows, sizes.flags // 2, replace=False)]
    flag_tags = _sorted(np.concatenate([known, _random_tags(rng, sizes.flags - len(known))]))
    message = Rows("0" * 32, 0, row_tags, np.zeros(sizes.rows, np.uint32)).encode(_DIGEST)

    def cold() -> None:
        match(Rows.decode(message, _DIGEST).tags, flag_tags, 1)

    hot = Work(lambda: match(row_tags, flag_tags, 1), sizes.rows)
    peak = peak_records("join.peak_bytes", hot.run, progress)
    return [
        timing_record(
            "join.rows_per_s", "rows/s", hot, None, rounds=sizes.rounds, progress=progress
        ),
        timing_record(
            "join.cold.rows_per_s",
            "rows/s",
            Work(cold, sizes.rows),
            None,
            rounds=sizes.rounds,
            progress=progress,
        ),
        *peak,
    ]


def _random_tags(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (count, TAG_BYTES), np.uint8)


def _sorted(tags: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return tags[sort_order(tags, np.zeros(len(tags), np.uint32))]
