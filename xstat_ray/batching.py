"""Batches: how many periods are joined at a time. Public figures only, so that both parties cut alike."""

from __future__ import annotations

from typing import Literal

from xstat_ray.inputs.periods import span
from xstat_ray.shards import ShardGrid
from xstat_ray.study import Study

Batch = Literal["auto", "release", "month", "week", "day"]
BATCHES: tuple[Batch, ...] = ("auto", "release", "month", "week", "day")
DAYS: dict[Batch, int] = {"month": 30, "week": 7, "day": 1}
BATCH_BYTES = 256 << 20
"""Flags of one batch that are held together, when the planner chooses a length for padding."""


def cut(study: Study, shards: int, batch: Batch, flag_bytes: int) -> ShardGrid:
    """The study's cells and periods in about `shards` shards.

    Without padding `auto` cuts time first, into as many batches as shards. With padding every batch costs dummies: then
    it takes the longest of the lengths whose flags, spread evenly, fill at most `BATCH_BYTES`, or days if none does.

    Args:
        study: the cross-tab.
        shards: units of join work to aim for.
        batch: the length of a batch.
        flag_bytes: most bytes of all flags of the release.
    """
    number = None
    if batch != "auto":
        number = batches(study, batch)
    elif study.privacy.padding == "dp":
        lengths = [length for length in BATCHES if length != "auto"]
        number = next((b for b in (batches(study, x) for x in lengths) if flag_bytes <= b * BATCH_BYTES), None)
        number = number or batches(study, "day")
    return ShardGrid.plan(study.cells, span(study.period), shards, number)


def batches(study: Study, length: Batch) -> int:
    """The fewest batches of equal size that are no longer than `length`, a month being 30 days."""
    if length not in DAYS or not study.period.seconds:
        return 1
    periods = max(1, DAYS[length] * 86_400 // study.period.seconds)
    return -(-len(span(study.period)) // periods)
