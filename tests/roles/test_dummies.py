"""What the parties send with padding on: dummies that look like everybody else, and add nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.roles.pair import exchanged_pair, private_key
from tests.sizes import thorough
from tests.synthetic import make_study
from xstat_ray.crypto.tags import is_sorted
from xstat_ray.errors import ProtocolError
from xstat_ray.model.study import Bounds
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import RowParty
from xstat_ray.roles.dummies import FlagDummies, RowDummies
from xstat_ray.roles.join import match
from xstat_ray.roles.row_table import Share

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


@pytest.fixture(scope="module")
def drawn():
    """Numbers of dummies that the parties of `pair` drew, by kind of dummies; filled by `pair`."""
    return {}


@pytest.fixture(scope="module")
def pair(padded, drawn):
    small, plan = padded
    row, column = exchanged_pair(small, SEEDS)
    column.generate_key(2048)

    def noted(kind, draw):
        def note(padding):
            drawn[kind] = draw(padding)
            return drawn[kind]

        return staticmethod(note)

    with pytest.MonkeyPatch.context() as patch:
        for kind in (RowDummies, FlagDummies):
            patch.setattr(kind, "draw", noted(kind, kind.draw))
        row.prepare(plan.grid, row.draw_dummies(plan.grid))
        return row, column, column.prepare(plan.grid, column.draw_dummies(plan.grid))


@pytest.fixture(scope="module")
def bare(padded):
    """Parties that make the choices of `pair` and pad nothing; the numbers of flags by batch."""
    small, plan = padded
    privacy = replace(small.study.privacy, padding="off")
    row, column = exchanged_pair(replace_study(small, replace(small.study, privacy=privacy)), SEEDS)
    row.prepare(plan.grid)
    return row, column.prepare(plan.grid)


def replace_study(small, study):
    return type(small)(**{**vars(small), "study": study})


def real(row, plan):
    """Real rows by (batch, cell), as a party sends them without dummies."""
    counts = np.zeros((len(plan.grid.batches), plan.study.cells), np.int64)
    for shard in plan.grid.shards:
        np.add.at(counts[shard.batch], row.emit(shard).cells, 1)
    return counts


def test_the_rows_of_a_shard_are_the_real_ones_and_the_drawn_dummies_in_order_of_tag(
    padded, pair, bare, drawn
):
    _, plan = padded
    row, _, _ = pair
    dummies = drawn[RowDummies].reshape(2, len(plan.grid.batches), -1)
    emitted = np.zeros_like(dummies[0])
    tags = []
    for shard in plan.grid.shards:
        rows = row.emit(shard)
        assert is_sorted(rows.tags) and set(rows.cells.tolist()) <= set(shard.region)
        np.add.at(emitted[shard.batch], rows.cells, 1)
        tags.append(rows.tags)
    assert (emitted == real(bare[0], plan) + dummies.sum(axis=0)).all()
    # With several rows of a person in an hour, too, no tag occurs twice.
    every = np.concatenate(tags)
    assert len(np.unique(every, axis=0)) == len(every)
    held = np.concatenate([cut.rows.period for cut in row._held])
    assert set((held >> 24).tolist()) == set(range(ROWS))


@thorough
def test_exactly_the_matched_dummies_meet_flags_that_encrypt_zero(padded, pair, bare, drawn):
    small, plan = padded
    row, column, sizes = pair
    key = private_key(column)
    matched, _ = drawn[RowDummies].reshape(2, len(plan.grid.batches), -1)
    for batch, (size, real_flags) in enumerate(zip(sizes, bare[1], strict=True)):
        assert size == real_flags * ROWS + plan.padding.reserve + drawn[FlagDummies][batch]
        flags = column.emit(batch, 0, range(size), plan.packing)
        assert len(flags.tags) == size and len(np.unique(flags.tags, axis=0)) == size
        plain = key.decrypt(flags.ciphertexts.reshape(-1, 512))
        zero = np.array([value == 0 for value in plain])
        assert zero.sum() == size - real_flags * ROWS
        for shard in (shard for shard in plan.grid.shards if shard.batch == batch):
            rows = row.emit(shard)
            met_row, met_flag = match(rows.tags, flags.tags)
            assert len(np.unique(met_row)) == len(met_row) and len(np.unique(met_flag)) == len(
                met_flag
            )
            dummies = np.bincount(rows.cells[met_row[zero[met_flag]]], minlength=small.study.cells)
            expected = np.zeros(small.study.cells, np.int64)
            expected[shard.region.start : shard.region.stop] = matched[
                batch, shard.region.start : shard.region.stop
            ]
            assert (dummies == expected).all()


def test_a_repeated_emission_gives_the_same_bytes_and_nothing_is_drawn_twice(padded, pair):
    small, plan = padded
    row, column, sizes = pair
    digest = small.study.digest
    grid = plan.grid
    first = [row.emit(shard).encode(digest) for shard in grid.shards]
    assert row.draw_dummies(grid) == row.draw_dummies(grid) and column.draw_dummies(
        grid
    ) == column.draw_dummies(grid)
    row.prepare(grid, row.draw_dummies(grid))
    assert [row.emit(shard).encode(digest) for shard in grid.shards] == first
    assert column.prepare(grid, column.draw_dummies(grid)) == sizes


def test_the_size_of_a_message_is_a_function_of_its_number_of_rows(padded, pair):
    small, plan = padded
    row, column, _ = pair
    digest = small.study.digest
    shard = plan.grid.shards[0]
    rows = row.emit(shard)
    # The same number of rows with other tags and all in one cell.
    other = replace(
        rows, tags=np.sort(rows.tags, axis=0)[::-1].copy(), cells=np.zeros_like(rows.cells)
    )
    assert len(other.encode(digest)) == len(rows.encode(digest))
    flags = column.emit(0, 0, range(10), plan.packing)
    plain = replace(flags, ciphertexts=np.zeros_like(flags.ciphertexts))
    assert len(plain.encode(digest)) == len(flags.encode(digest))


def test_environments_that_divide_the_persons_send_together_what_one_sends(padded):
    small, plan = padded
    whole, column = exchanged_pair(small)
    drawn = whole.draw_dummies(plan.grid)
    whole.prepare(plan.grid, drawn)
    halves = []
    for number in range(2):
        half = RowParty(small.study, small.row)
        half.accept(whole.hand_over(half.offer()))
        own = range(half.intake(Share(number, 2)))
        half.finalize([column.evaluate(half.blind(own), own)], [own])
        half.prepare(plan.grid, drawn)
        halves.append(half)
    for shard in plan.grid.shards:
        sender = halves[shard.number % 2]
        other = halves[1 - shard.number % 2]
        rows = sender.emit(shard, other.contribute(shard))
        expected = whole.emit(shard)
        assert (rows.tags == expected.tags).all() and (rows.cells == expected.cells).all()
        with pytest.raises(ProtocolError, match="every environment"):
            sender.emit(shard)
        with pytest.raises(ProtocolError, match="altered"):
            sender.emit(shard, other.contribute(plan.grid.shards[shard.number - 1]))


def test_a_padded_study_is_not_sent_unpadded_nor_with_draws_for_another_cut(padded):
    small, plan = padded
    row, column = exchanged_pair(small)
    other = make_plan(small.study, key_bits=2048, shards=1, batch="release").grid
    for party in (row, column):
        with pytest.raises(ProtocolError, match="was not drawn"):
            party.prepare(plan.grid)
        with pytest.raises(ProtocolError, match="altered"):
            party.prepare(plan.grid, party.draw_dummies(other))
