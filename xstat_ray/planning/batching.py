"""Cuts the study's periods into batches, which are joined one at a time.

The length of a batch follows from public figures alone, so that both parties cut alike.
"""

from __future__ import annotations

from typing import Literal

from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design

Batch = Literal["auto", "release", "month", "week", "day"]
"""Length of a batch; `release` is the whole study, `auto` leaves it to the planner."""
BATCHES: tuple[Batch, ...] = ("auto", "release", "month", "week", "day")
DAYS: dict[Batch, int] = {"month": 30, "week": 7, "day": 1}
BATCH_BYTES = 256 << 20
"""Most bytes of the flags of one batch, where the planner chooses its length for padding."""


def cut(study: Study, shards: int, batch: Batch, flag_bytes: int) -> ShardGrid:
    """Cut the study's cells and periods into about `shards` shards.

    Without padding `auto` cuts time first, into as many batches as shards. With padding each batch
    costs dummies, so `auto` takes the longest length whose flags, spread evenly, fill at most
    `BATCH_BYTES`, or days if none does.

    Args:
        study: the cross-tab.
        shards: units of join work to aim for.
        batch: length of a batch.
        flag_bytes: most bytes of all flags of the release.
    """
    whole = study.period.span
    length = None if batch == "auto" else periods_of(study, batch)
    if batch == "auto" and study.privacy.padding == "dp":
        lengths = [periods_of(study, choice) for choice in BATCHES if choice != "auto"]
        fitting = (n for n in lengths if flag_bytes * n <= BATCH_BYTES * len(whole))
        length = next(fitting, lengths[-1])
    return ShardGrid.plan(
        Design.of_study(study).cells, whole, shards, study.period.of_a_day, length
    )


def periods_of(study: Study, batch: Batch) -> int:
    """Periods in a batch of this length, at most those of the study; a month has 30 days."""
    whole = len(study.period.span)
    return min(study.period.of_days(DAYS[batch]), whole) if batch in DAYS else whole


def idle_sentence(batches: int, environments: int) -> str | None:
    """Tell that environments of the row party have no batch to emit; None where each has one.

    More batches are not cut for them: both parties cut alike, and only one knows how many
    environments it has.
    """
    if environments <= batches:
        return None
    return (
        f"The row party has {environments} environments for {batches} "
        f"{'batch' if batches == 1 else 'batches'}: {environments - batches} of them only take "
        "part in the survey of ids, the ID exchange and the masks. More shards give them rows "
        "(shards=NUMBER, which all parties set alike)."
    )
