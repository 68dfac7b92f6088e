"""The column party: its flags, its bounds, the order of its steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests import oracle
from tests.roles.pair import agreed_pair, exchanged_pair, private_key
from tests.synthetic import make_study
from xstat_ray.crypto.tags import is_sorted
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.model.study import Bounds
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import column_party


@pytest.fixture(scope="module")
def plan(small):
    return make_plan(small.study, key_bits=2048, shards=6)


SEED = bytes(range(32))
SEEDS = {"row": SEED, "column": SEED}


@pytest.fixture(scope="module")
def column(small):
    _, column = exchanged_pair(small, SEEDS)
    column.generate_key(2048)
    return column


@pytest.fixture(scope="module")
def key(column):
    return private_key(column)


def test_the_flags_of_a_batch_are_sorted_one_hot_and_complete(small, plan, column, key):
    sizes = column.prepare(plan.grid)
    expected = oracle.kept_flags(small.study, small.flags, SEED)
    assert len(sizes) == 6 and sum(sizes) == len(expected) > 0
    for batch, size in enumerate(sizes):
        parts = [
            column.emit(batch, number, rows, plan.packing)
            for number, rows in enumerate((range(size // 3), range(size // 3, size)))
        ]
        tags = np.concatenate([part.tags for part in parts])
        ciphertexts = np.concatenate([part.ciphertexts for part in parts])
        assert len(tags) == size and is_sorted(tags) and len(np.unique(tags, axis=0)) == size
        opened = key.decrypt(ciphertexts.reshape(-1, 512))
        values = plan.packing.unpack(opened) + plan.packing.offset
        assert (values.sum(axis=1) == 1).all() and (values.max(axis=1) == 1).all()
        slots = [slot for _, period, slot in expected if period in plan.grid.batches[batch]]
        assert values.sum(axis=0).tolist() == np.bincount(slots, minlength=8).tolist()


def test_a_repeated_emission_has_the_same_tags_and_contents_and_other_bytes(plan, column, key):
    sizes = column.prepare(plan.grid)
    first, second = (column.emit(2, 0, range(sizes[2]), plan.packing) for _ in range(2))
    assert (first.tags == second.tags).all()
    assert not (first.ciphertexts == second.ciphertexts).all(axis=-1).any()
    opened = [key.decrypt(flags.ciphertexts.reshape(-1, 512)) for flags in (first, second)]
    assert opened[0] == opened[1]


def test_nobody_has_more_boardings_than_the_bound_nor_two_flags_in_a_period(small, column):
    pairs = list(zip(column._person.tolist(), column._period.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    _, per_person = np.unique(column._person, return_counts=True)
    assert per_person.max() <= small.study.bounds.boardings * small.study.window_periods
    check_counts(column, small)


def check_counts(column, small):
    """Check that each boarding is counted once, and for each reason as many as the oracle finds."""
    counts = column.counts
    put_aside = (
        counts.invalid_id
        + counts.excluded
        + counts.outside_domain
        + counts.outside_span
        + counts.over_column_bound
        + counts.over_bound
        + counts.without_flag
    )
    assert counts.rows == len(small.flags) == put_aside + counts.kept
    dropped = oracle.dropped_boardings(column._study, small.flags, SEED)
    assert dropped == {
        "over_column_bound": counts.over_column_bound,
        "over_bound": counts.over_bound,
        "without_flag": counts.without_flag,
    }


@pytest.mark.parametrize(("boardings", "per_column"), [(1, 1), (2, 2), (3, 1), (3, 2), (50, 50)])
@pytest.mark.parametrize("offset_dimension", [True, False])
def test_the_flags_that_are_kept_are_those_of_the_oracle(
    small, boardings, per_column, offset_dimension
):
    study = replace(
        make_study(offset_dimension=offset_dimension),
        bounds=Bounds(boardings=boardings, per_column=per_column, persons=100),
    )
    _, column = agreed_pair(study, small.row, small.column, SEEDS)
    column.intake()
    expected = oracle.kept_flags(study, small.flags, SEED)
    found = zip(column._period.tolist(), column._slot.tolist(), strict=True)
    assert sorted(found) == sorted((period, slot) for _, period, slot in expected)
    check_counts(column, small)


def test_the_choice_of_boardings_depends_neither_on_their_order_nor_on_other_people(
    small, tmp_path, monkeypatch
):
    taken = []
    hashes = column_party.item_hashes
    monkeypatch.setattr(
        column_party, "item_hashes", lambda salt, ids: taken.append(ids) or hashes(salt, ids)
    )

    def flags_of(table, rows_of_a_file):
        folder = tmp_path / str(rows_of_a_file)
        folder.mkdir()
        for first in range(0, len(table), rows_of_a_file):
            pq.write_table(table.slice(first, rows_of_a_file), folder / f"{first}.parquet")
        _, column = agreed_pair(small.study, small.row, folder, SEEDS)
        column.intake()
        people = taken[-1][column._person].tolist()
        return set(zip(people, column._period.tolist(), column._slot.tolist(), strict=True))

    whole = flags_of(small.flags, 10_000)
    order = np.random.default_rng(1).permutation(len(small.flags))
    assert flags_of(small.flags.take(order), 70) == whole
    ids = small.flags[small.study.column.id]
    gone = next(iter(whole))[0].decode()
    left = flags_of(small.flags.filter(pc.not_equal(ids, gone)), 50)
    assert left == {flag for flag in whole if flag[0].decode() != gone} != whole


def test_more_persons_than_the_public_bound_are_refused(small):
    study = replace(make_study(), bounds=Bounds(persons=10))
    _, column = agreed_pair(study, small.row, small.column)
    with pytest.raises(InputError, match="more persons") as caught:
        column.intake()
    assert caught.value.key == "study.bounds.persons" and caught.value.file == str(small.column)


def test_steps_out_of_order_are_refused(small, plan):
    _, column = exchanged_pair(small)
    with pytest.raises(ProtocolError, match="before the batches"):
        column.emit(0, 0, range(1), plan.packing)
    column.prepare(plan.grid)
    with pytest.raises(ProtocolError, match="no key yet"):
        column.emit(0, 0, range(1), plan.packing)
