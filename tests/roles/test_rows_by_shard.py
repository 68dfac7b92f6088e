"""Rows in the order of their shards: none is lost, none is changed, and few bytes hold them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.crypto.tags import with_copy
from xstat_ray.model.shards import ShardGrid
from xstat_ray.roles.bounds import Located, places
from xstat_ray.roles.narrow_rows import Listed, Narrow, NarrowRows, widened
from xstat_ray.roles.rows_by_shard import RowsByShard

FIRST = 470_000
PERIODS = range(FIRST, FIRST + 48)


def located(persons: int, cells: int, rows: int, seed: int = 1) -> Located:
    draw = np.random.default_rng(seed)
    return Located(
        draw.integers(0, persons, rows, np.int32),
        draw.integers(PERIODS.start, PERIODS.stop, rows, np.uint32),
        draw.integers(0, cells, rows, np.int32),
    )


def in_order(rows: Located) -> list[tuple[int, ...]]:
    return sorted(zip(*(column.tolist() for column in rows), strict=True))


@given(
    st.lists(st.integers(0, 2**32 - 1), max_size=9),
    st.sampled_from([np.uint32, np.uint64]),
)
def test_narrow_numbers_come_back(numbers: list[int], kind: type[np.unsignedinteger]) -> None:
    narrow = Narrow.of(np.array(numbers, kind))
    out = np.empty(len(numbers), np.uint32)
    narrow.write(out)
    assert out.tolist() == numbers


@given(st.lists(st.integers(0, 2**31 - 1), max_size=9), st.booleans())
def test_listed_numbers_come_back(numbers: list[int], in_order: bool) -> None:
    numbers = sorted(numbers) if in_order else numbers
    listed = Listed.of(np.array(numbers, np.int32))
    out = np.empty(len(numbers), np.int32)
    listed.write(out)
    assert out.tolist() == numbers


@pytest.mark.parametrize(("span", "size"), [(255, 1), (256, 2), (65_535, 2), (65_536, 4)])
def test_numbers_take_the_bytes_of_their_span(span: int, size: int) -> None:
    numbers = np.array([2_000_000_000 + span, 2_000_000_000], np.int32)
    assert Narrow.of(numbers).above.itemsize == size


@pytest.mark.parametrize(("cells", "shards"), [(1, 1), (180, 48), (180, 96), (70_000, 200)])
def test_every_row_is_in_its_shard_as_it_was(cells: int, shards: int) -> None:
    grid = ShardGrid.plan(cells, PERIODS, shards)
    parts = [located(90_000, cells, 5_000, seed) for seed in (1, 2)]
    batches = range(len(grid.batches))
    held = [RowsByShard.of(rows, grid, batches) for rows in parts]
    together = Located.join(parts)
    number = grid.places_of(together.cell, together.period, batches)
    found = 0
    for shard in range(len(grid.shards)):
        mine = widened([part.shard(shard) for part in held])
        assert [column.dtype for column in mine] == [column.dtype for column in together]
        assert in_order(mine) == in_order(together.take(number == shard))
        found += len(mine.cell)
    assert found == len(together.cell) == sum(part.number for part in held)


def test_rows_of_a_person_in_a_period_are_told_apart() -> None:
    rows = located(20, 3, 2_000)
    grid = ShardGrid.plan(3, PERIODS, 48)
    held = RowsByShard.of(rows, grid, range(len(grid.batches)))
    assert held.numbered(1) is held
    numbered = widened([held.numbered(200).rows])
    told_apart = with_copy(rows.period, places(rows))
    assert in_order(numbered) == in_order(rows._replace(period=told_apart))


def test_a_row_of_a_piece_of_a_table_takes_four_bytes_in_memory() -> None:
    """What `memory_need.HELD_ROW` counts on, for a day of hours in a few hundred cells."""
    rows = located(2_000_000, 200, 240_000)
    people = np.random.default_rng(2).choice(2_000_000, 10_000).astype(np.int32)
    rows = rows._replace(person=np.repeat(np.sort(people), 24))
    grid = ShardGrid.plan(200, PERIODS, 48)
    held = RowsByShard.of(rows, grid, range(len(grid.batches)))
    assert 4.0 < held.rows.nbytes / held.number < 4.2
    # Where nobody has two rows there is no list of persons.
    alone = NarrowRows.of(rows._replace(person=np.arange(240_000, dtype=np.int32)))
    assert alone.nbytes == 6 * alone.number


def test_nothing_is_nothing() -> None:
    nothing = located(1, 1, 0)
    grid = ShardGrid.plan(1, PERIODS, 2)
    held = RowsByShard.of(nothing, grid, range(2))
    assert (
        held.number == len(widened([held.shard(1), held.rows]).cell) == len(widened([]).cell) == 0
    )
