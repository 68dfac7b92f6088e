from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.model.shards import ShardGrid


@given(st.integers(1, 50), st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 70))
def test_every_cell_and_period_lies_in_exactly_one_shard(cells, start, length, shards):
    grid = ShardGrid.plan(cells, range(start, start + length), shards)
    cell, period = (
        a.ravel() for a in np.meshgrid(np.arange(cells), np.arange(start, start + length))
    )
    period = period.astype(np.uint32)
    number = grid.places_of(cell, period, range(len(grid.batches)))
    for shard in grid.shards:
        in_shard = number == shard.number
        assert set(cell[in_shard]) <= set(shard.region) and set(period[in_shard]) <= set(
            grid.batches[shard.batch]
        )
        assert in_shard.sum() == len(shard.region) * len(grid.batches[shard.batch]) > 0
    assert sum(len(s.region) * len(grid.batches[s.batch]) for s in grid.shards) == cells * length
    assert len(grid.shards) >= min(shards, cells * length) / 2
    later = range(len(grid.batches) // 2, len(grid.batches))
    there = period >= grid.batches[later.start].start
    from_there = grid.places_of(cell[there], period[there], later)
    first = later.start * len(grid.regions)
    assert (from_there.astype(int) + first).tolist() == number[there].tolist()


@pytest.mark.parametrize(
    ("shards", "bits"), [(1, 8), (256, 8), (257, 16), (65_536, 16), (65_537, 64)]
)
def test_numbers_of_shards_have_as_few_bits_as_will_do(shards, bits):
    grid = ShardGrid.plan(shards, range(1), shards)
    numbers = grid.places_of(np.arange(shards), np.zeros(shards, np.uint32), range(1))
    assert len(grid.shards) == shards and 8 * numbers.dtype.itemsize == bits
    assert numbers.tolist() == list(range(shards))


@pytest.mark.parametrize("shards", [1, 3, 16])
def test_without_periods_only_the_region_is_cut(shards):
    grid = ShardGrid.plan(2415, range(0, 1), shards)
    assert len(grid.shards) == shards and len(grid.batches) == 1


def test_shards_of_one_batch_come_together():
    batches = [s.batch for s in ShardGrid.plan(10, range(3), 12).shards]
    assert batches == sorted(batches)


@pytest.mark.parametrize(
    ("shards", "hours"),
    [(1, 240), (2, 120), (3, 72), (10, 24), (11, 12), (60, 4), (100, 2), (999, 1)],
)
def test_batches_are_whole_days_or_whole_parts_of_a_day(shards, hours):
    batches = ShardGrid.plan(5, range(24, 264), shards, day=24).batches
    assert {len(batch) for batch in batches[:-1]} <= {hours} and len(batches[-1]) <= hours
    assert all(batch.start % 24 + min(hours, 24) <= 24 for batch in batches)
