"""What the parties send with padding on: dummies that look like everybody else, and add nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.roles.pair import exchanged_pair, private_key, row_tags
from tests.sizes import slow
from tests.synthetic import make_study
from xstat_ray.crypto.tags import is_sorted
from xstat_ray.errors import ProtocolError
from xstat_ray.model.study import Bounds
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles.dummies import FlagDummies, RowDummies
from xstat_ray.roles.matching import match

ROWS = 2
SEEDS = {"row": bytes(range(32)), "column": bytes(range(32, 64))}


@pytest.fixture(scope="module")
def padded(small):
    """The small study with padding, and with two rows of a person in an hour."""
    study = make_study()
    privacy = replace(study.privacy, padding="dp")
    small = replace_study(
        small, replace(study, bounds=Bounds(rows=ROWS, boardings=2, persons=100), privacy=privacy)
    )
    return small, make_plan(small.study, key_bits=2048, shards=4, batch="day")


def replace_study(small, study):
    return type(small)(**{**vars(small), "study": study})


def noting(draw: Callable, drawn: list) -> Callable:
    """Wrap `draw`, so that it keeps what it gives."""

    def noted(padding):
        drawn.append(draw(padding))
        return drawn[-1]

    return noted


@pytest.fixture(scope="module")
def pair(padded):
    """Two parties that are ready to emit, and what they drew."""
    small, plan = padded
    row, column = exchanged_pair(small, SEEDS)
    column.generate_key(2048)
    rows = []
    flags = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RowDummies, "draw", noting(RowDummies.draw, rows))
        patch.setattr(FlagDummies, "draw", noting(FlagDummies.draw, flags))
        row.prepare(plan.grid, row.draw_dummies(plan.grid))
        sizes = column.prepare(plan.grid, column.draw_dummies(plan.grid))
    return SimpleNamespace(row=row, column=column, sizes=sizes, rows=rows[0], flags=flags[0][0])


@pytest.fixture(scope="module")
def unpadded(padded):
    """Parties of the same study without padding, which draw from the same seed."""
    small, _ = padded
    study = replace(small.study, privacy=replace(small.study.privacy, padding="off"))
    return exchanged_pair(replace_study(small, study), SEEDS)


def real(row, grid):
    """Number of rows by (batch, cell) that a party without padding emits."""
    row.prepare(grid)
    counts = np.zeros((len(grid.batches), grid.regions[-1].stop), np.int64)
    for shard in grid.shards:
        np.add.at(counts[shard.batch], row.emit(shard).cells, 1)
    return counts


def test_the_rows_of_a_shard_are_the_real_ones_and_the_drawn_dummies_in_order_of_tag(
    padded, pair, unpadded
):
    _, plan = padded
    emitted = np.zeros_like(pair.rows[0])
    tags = []
    for shard in plan.grid.shards:
        rows = pair.row.emit(shard)
        assert is_sorted(rows.tags) and set(rows.cells.tolist()) <= set(shard.region)
        np.add.at(emitted[shard.batch], rows.cells, 1)
        tags.append(rows.tags)
    assert (emitted == real(unpadded[0], plan.grid) + pair.rows.sum(axis=0)).all()
    # Some persons have several rows in an hour, and yet no tag occurs twice.
    without = row_tags(unpadded[0], plan.grid)
    assert len(np.unique(without, axis=0)) < len(without)
    together = np.concatenate(tags)
    assert len(np.unique(together, axis=0)) == len(together)


@slow
def test_exactly_the_matched_dummies_meet_flags_that_encrypt_zero(padded, pair, unpadded):
    small, plan = padded
    key = private_key(pair.column)
    real_flags = unpadded[1].prepare(plan.grid)
    for batch, size in enumerate(pair.sizes):
        assert size == real_flags[batch] * ROWS + plan.padding.reserve + pair.flags[batch]
        flags = pair.column.emit(batch, 0, range(size), plan.packing)
        assert len(flags.tags) == size and len(np.unique(flags.tags, axis=0)) == size
        plain = key.decrypt(flags.ciphertexts.reshape(-1, 512))
        zero = np.array([value == 0 for value in plain])
        assert zero.sum() == size - real_flags[batch] * ROWS
        for shard in (shard for shard in plan.grid.shards if shard.batch == batch):
            rows = pair.row.emit(shard)
            met_row, met_flag, _ = match(rows.tags, flags.tags, len(rows.tags))
            assert len(np.unique(met_row)) == len(met_row)
            assert len(np.unique(met_flag)) == len(met_flag)
            dummies = np.bincount(rows.cells[met_row[zero[met_flag]]], minlength=small.study.cells)
            expected = np.zeros(small.study.cells, np.int64)
            region = slice(shard.region.start, shard.region.stop)
            expected[region] = pair.rows[0, batch, region]
            assert (dummies == expected).all()


def test_a_repeated_emission_gives_the_same_bytes_and_nothing_is_drawn_twice(padded, pair):
    small, plan = padded
    row = pair.row
    column = pair.column
    digest = small.study.digest
    grid = plan.grid
    first = [row.emit(shard).encode(digest) for shard in grid.shards]
    assert row.draw_dummies(grid) == row.draw_dummies(grid)
    assert column.draw_dummies(grid) == column.draw_dummies(grid)
    row.prepare(grid, row.draw_dummies(grid))
    assert [row.emit(shard).encode(digest) for shard in grid.shards] == first
    assert column.prepare(grid, column.draw_dummies(grid)) == pair.sizes


def test_the_size_of_a_message_is_a_function_of_its_number_of_rows(padded, pair):
    small, plan = padded
    digest = small.study.digest
    shard = plan.grid.shards[0]
    rows = pair.row.emit(shard)
    # The same number of rows with other tags and all in one cell.
    other = replace(
        rows, tags=np.sort(rows.tags, axis=0)[::-1].copy(), cells=np.zeros_like(rows.cells)
    )
    assert len(other.encode(digest)) == len(rows.encode(digest))
    flags = pair.column.emit(0, 0, range(10), plan.packing)
    plain = replace(flags, ciphertexts=np.zeros_like(flags.ciphertexts))
    assert len(plain.encode(digest)) == len(flags.encode(digest))


def test_a_padded_study_is_not_sent_unpadded_nor_with_draws_for_another_cut(padded):
    small, plan = padded
    row, column = exchanged_pair(small)
    other = make_plan(small.study, key_bits=2048, shards=1, batch="release").grid
    for party in (row, column):
        with pytest.raises(ProtocolError, match="was not drawn"):
            party.prepare(plan.grid)
        with pytest.raises(ProtocolError, match="altered"):
            party.prepare(plan.grid, party.draw_dummies(other))
