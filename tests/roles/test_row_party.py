"""The row party: its shards, its choice of rows, its blinding of cells."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.roles.pair import TAG_BYTES, agreed_pair, exchange, exchanged_pair, secrets_of
from tests.sizes import thorough
from tests.synthetic import make_study
from xstat_ray.crypto.tags import is_sorted
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.shards import ShardGrid
from xstat_ray.privacy.design import shown_tree
from xstat_ray.roles import RowParty
from xstat_ray.roles.blinding import Blinding

SEEDS = {"row": bytes(32), "column": bytes(32)}


@pytest.fixture(scope="module")
def pair(small):
    return exchanged_pair(small)


def make_grid(study, shards):
    return ShardGrid.plan(study.cells, study.period.span, shards)


@pytest.mark.parametrize("shards", [1, 7, 80])
def test_the_shards_together_hold_every_row_once_and_each_in_its_region(small, pair, shards):
    row, _ = pair
    grid = make_grid(small.study, shards)
    row.prepare(grid)
    emitted = [row.emit(shard) for shard in grid.shards]
    for shard, rows in zip(grid.shards, emitted, strict=True):
        assert rows.shard == shard.number and rows.tags.shape == (len(rows.cells), TAG_BYTES)
        assert is_sorted(rows.tags)
        assert set(rows.cells.tolist()) <= set(shard.region)
    assert sum(len(rows.cells) for rows in emitted) == row.counts.kept
    # At most R = 1 cell of a person in a period: no tag occurs twice.
    tags = np.concatenate([rows.tags for rows in emitted])
    assert len(np.unique(tags, axis=0)) == len(tags)


def test_a_repeated_emission_gives_the_same_bytes(small, pair):
    row, _ = pair
    grid = make_grid(small.study, 5)
    digest = small.study.digest
    row.prepare(grid)
    first = [row.emit(shard).encode(digest) for shard in grid.shards]
    row.prepare(grid)
    assert [row.emit(shard).encode(digest) for shard in grid.shards] == first
    assert [row.emit(shard).encode(digest) for shard in grid.shards] == first


def test_a_batch_that_is_read_again_counts_once_and_prepare_starts_anew(small, pair):
    row, _ = pair
    grid = make_grid(small.study, 80)
    row.prepare(grid)
    assert row.counts.kept == row.counts.over_bound == 0
    emitted = sum(len(row.emit(shard).cells) for shard in grid.shards)
    counts = row.counts
    assert counts.kept == emitted > 0 and counts.over_bound > 0 and counts.outside_domain > 0
    for shard in grid.shards[::-7]:
        row.emit(shard)
    assert row.counts == counts


@thorough
def test_the_choice_of_rows_does_not_depend_on_the_pieces_they_lie_in(small, tmp_path, monkeypatch):
    """Pieces hold everybody, one person or all rows; or two sorted files have persons in common."""
    rows = small.rows.sort_by([("person", "ascending")])
    kept = []
    ways = {}
    for way in ("_piece_by_piece", "_all_together"):
        monkeypatch.setattr(RowParty, way, noting(getattr(RowParty, way), way, ways))
    for size in (len(rows), 50, 7):
        pq.write_table(rows, tmp_path / f"{size}.parquet", row_group_size=size)
    pq.write_table(small.rows, tmp_path / "unsorted.parquet", row_group_size=40)
    (tmp_path / "halves").mkdir()
    for half in (0, 1):
        pq.write_table(
            rows.take(list(range(half, len(rows), 2))), tmp_path / "halves" / f"{half}.parquet"
        )
    for path in sorted(tmp_path.iterdir()):
        ways["of"] = ways[path.name] = []
        row, column = agreed_pair(small.study, path, small.column, SEEDS)
        row.intake()
        column.intake()
        exchange(row, column)
        grid = make_grid(small.study, 3)
        row.prepare(grid)
        tagged = [row.emit(shard) for shard in grid.shards]
        kept.append([sorted(rows.cells.tolist()) for rows in tagged])
        assert row.counts.kept == sum(len(rows.cells) for rows in tagged)
    assert all(cells == kept[0] for cells in kept)
    sorted_files = [ways[f"{size}.parquet"] for size in (len(rows), 50, 7)]
    assert all(set(taken) == {"_piece_by_piece"} for taken in sorted_files)
    assert (ways["halves"], ways["unsorted.parquet"]) == (
        ["_piece_by_piece", "_all_together"],
        ["_all_together"],
    )


def noting(method, name, ways):
    """Wrap a method, so that it appends its name to the list `of` of `ways` before it runs."""

    def noted(*args):
        ways["of"].append(name)
        return method(*args)

    return noted


def test_cells_are_blinded_and_unblinding_undoes_it(small, pair):
    row, _ = pair
    study = small.study
    truth = np.arange(study.cells * study.slots).reshape(study.cells, study.slots)
    forward = Blinding(shown_tree(study), secrets_of(row)["seed"]).forward
    blinded = np.empty_like(truth)
    blinded[forward] = truth
    halves = [(0, blinded[:5]), (5, blinded[5:])]
    parts = [Coefficients("0" * 32, *half) for half in halves]
    for order in (parts, parts[::-1]):
        assert (row.put_in_order(order).values == truth).all()
    for incomplete in (parts[:1], parts[1:], [*parts, parts[0]]):
        with pytest.raises(ProtocolError, match="not the whole"):
            row.put_in_order(incomplete)


def test_coefficients_of_two_releases_are_not_mixed(small, pair):
    row, _ = pair
    study = small.study
    values = np.zeros((study.cells, study.slots), np.int64)
    parts = [
        Coefficients(release, first, part)
        for release, first, part in (("a" * 32, 0, values[:5]), ("b" * 32, 5, values[5:]))
    ]
    with pytest.raises(ProtocolError, match="not the whole"):
        row.put_in_order(parts)


def test_rows_before_the_shards_are_prepared_are_refused(small):
    row, _ = exchanged_pair(small)
    with pytest.raises(ProtocolError, match="before the shards"):
        row.emit(make_grid(small.study, 1).shards[0])


def test_intake_counts_every_row_once(small, pair):
    row, _ = pair
    grid = make_grid(small.study, 3)
    row.prepare(grid)
    for shard in grid.shards:
        row.emit(shard)
    counts = row.counts
    put_aside = (
        counts.invalid_id
        + counts.excluded
        + counts.outside_domain
        + counts.outside_span
        + counts.merged
        + counts.over_bound
    )
    assert counts.rows == len(small.rows) == put_aside + counts.kept
    assert (
        min(
            counts.invalid_id,
            counts.outside_domain,
            counts.outside_span,
            counts.merged,
            counts.over_bound,
            counts.kept,
        )
        > 0
    )


def test_a_table_of_which_nothing_is_usable_is_refused(small, tmp_path):
    zone = pa.array(["nowhere"] * len(small.rows))
    pq.write_table(
        small.rows.set_column(small.rows.column_names.index("zone"), "zone", zone),
        tmp_path / "rows.parquet",
    )
    row, _ = agreed_pair(make_study(), tmp_path / "rows.parquet", small.column)
    assert isinstance(row, RowParty)
    with pytest.raises(InputError, match="inside the study"):
        row.intake()
