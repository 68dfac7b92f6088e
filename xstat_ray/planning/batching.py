"""Batches: how many periods are joined at a time.

Public figures only, so that both parties cut alike.
"""

from __future__ import annotations

from typing import Literal

from xstat_ray.model.periods import span
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study

Batch = Literal["auto", "release", "month", "week", "day"]
BATCHES: tuple[Batch, ...] = ("auto", "release", "month", "week", "day")
DAYS: dict[Batch, int] = {"month": 30, "week": 7, "day": 1}
BATCH_BYTES = 256 << 20
"""Flags of one batch that are held together, when the planner chooses a length for padding."""


def cut(study: Study, shards: int, batch: Batch, flag_bytes: int) -> ShardGrid:
    """The study's cells and periods in about `shards` shards.

    Without padding `auto` cuts time first, into as many batches as shards. With padding every batch
    costs dummies: then it takes the longest of the lengths whose flags, spread evenly, fill at most
    `BATCH_BYTES`, or days if none does.

    Args:
        study: the cross-tab.
        shards: units of join work to aim for.
        batch: the length of a batch.
        flag_bytes: most bytes of all flags of the release.
    """
    whole = span(study.period)
    length = None if batch == "auto" else periods_of(study, batch)
    if batch == "auto" and study.privacy.padding == "dp":
        lengths = [periods_of(study, own) for own in BATCHES if own != "auto"]
        length = next(
            (own for own in lengths if flag_bytes * own <= BATCH_BYTES * len(whole)), lengths[-1]
        )
    return ShardGrid.plan(study.cells, whole, shards, study.period.of_a_day, length)


def periods_of(study: Study, batch: Batch) -> int:
    """Periods of a batch of this length, a month being 30 days; no more than the study has."""
    whole = len(span(study.period))
    return min(DAYS[batch] * study.period.of_a_day, whole) if batch in DAYS else whole
