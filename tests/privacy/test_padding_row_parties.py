"""Padding of several row parties: what one person changes of all, and what dummies make of that."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.privacy.test_padding_several import PERIODS, WINDOW, least_reserve, mass
from tests.privacy.test_padding_several import padded as padded_columns
from tests.sizes import thorough
from xstat_ray.errors import PlanError
from xstat_ray.model.parties import RowTerms
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy.padding import DummyCount, Padding, truncation_delta


def padded(*rows: int, boardings: tuple[int, ...] = (2,)) -> Study:
    """Make a padded study of row parties with so many rows of a person in a period."""
    study = padded_columns(*boardings, rows=sum(rows))
    parties = tuple(RowTerms(f"r{n}", f"d{n}", most) for n, most in enumerate(rows))
    return replace(study, row=replace(study.row, parties=parties))


def padding_of(study: Study, batches: int = 2) -> Padding:
    """The dummies of a study with so many batches."""
    length = len(study.period.span) // batches
    padding = Padding.of_study(study, ShardGrid.plan(study.cells, study.period.span, 2, 1, length))
    assert padding is not None
    return padding


def test_row_parties_share_the_scale_that_one_party_of_their_rows_would_have() -> None:
    united = padded(2, 1)
    two = padding_of(united)
    one = padding_of(replace(united, row=replace(united.row, parties=())))
    for kind in ("matched", "unmatched", "flags"):
        assert getattr(two, kind) == getattr(one, kind)
    assert two.matched.l1 == two.flags.l1 == united.person_units
    assert two.unmatched.l1 == 3 * len(united.period.span)
    assert (two.rows, one.rows) == ((2, 1), (3,)) and two.copies == one.copies == 3
    # Each sends all kinds, and each may overflow its reserve.
    assert two.rows_added == 2 * one.rows_added
    assert two.reserve >= one.reserve
    assert two.flags_added == 2 * two.batches * (two.reserve + two.flags.shift)
    assert two.draw_rows().shape == one.draw_rows().shape
    assert two.draw_flags().shape == (2, two.batches)


def test_rows_of_each_party_alone_must_be_told_apart() -> None:
    assert padding_of(padded(200, 200, boardings=(1,)), 1).copies == 400
    with pytest.raises(PlanError, match="at most 255") as caught:
        padding_of(padded(256, 1))
    assert caught.value.key == "study.row.parties"


flags_of_party = st.sets(st.integers(0, PERIODS - 1), max_size=2 * WINDOW)
bounds = st.lists(st.integers(1, 3), min_size=2, max_size=3)


def numbers(
    flags: list[set[int]], rows: list[list[int]], most: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What is seen of each row party: matched rows by kind, others, and flags.

    Args:
        flags: periods in which each column party has a flag of the person.
        rows: rows of the person in every period, of each row party.
        most: R of each row party.
    """
    found = np.zeros((len(rows), 1 << len(flags)), np.int64)
    for of_row, held_rows in zip(found, rows, strict=True):
        for period, number in enumerate(held_rows):
            of_row[sum((period in held) << party for party, held in enumerate(flags))] += number
    sizes = np.array([len(held) for held in flags])
    return found[:, 1:], found[:, :1], np.outer(most, sizes)


@thorough
@settings(max_examples=100)
@given(bounds, st.lists(flags_of_party, min_size=1, max_size=3), st.data())
def test_a_person_in_all_tables_or_left_out_of_some_changes_no_more_than_is_covered(
    most: list[int], flags: list[set[int]], data: st.DataObject
) -> None:
    rows = [
        data.draw(st.lists(st.integers(0, r), min_size=PERIODS, max_size=PERIODS)) for r in most
    ]
    out_columns = data.draw(st.sets(st.integers(0, len(flags) - 1)))
    out_rows = data.draw(st.sets(st.integers(0, len(most) - 1)))
    fewer = [set[int]() if n in out_columns else held for n, held in enumerate(flags)]
    left = [[0] * PERIODS if n in out_rows else held for n, held in enumerate(rows)]
    before = numbers(flags, rows, most)
    after = numbers(fewer, left, most)
    moved = [int(np.abs(a - b).sum()) for a, b in zip(before, after, strict=True)]
    l1 = sum(most) * sum(map(len, flags))
    assert moved[0] <= l1 and moved[1] <= sum(most) * PERIODS and moved[2] <= l1
    # Which the study's bounds cover, whatever the flags are.
    study = padded(*most, boardings=(2,) * len(flags))
    assert l1 <= study.person_units and study.sensitivity.rows == sum(most)


def test_who_joins_all_tables_reaches_what_is_covered() -> None:
    most = [2, 1]
    there = [[r] * PERIODS for r in most]
    here = numbers([{0, 1, 2}], there, most)
    gone = numbers([set()], [[0] * PERIODS] * 2, most)
    moved = [int(np.abs(a - b).sum()) for a, b in zip(here, gone, strict=True)]
    assert moved == [9, 3 * PERIODS - 9, 9]
    only_rows = numbers([set()], there, most)
    assert int(only_rows[1].sum()) == 3 * PERIODS


def loss(kind: DummyCount, changes: tuple[int, ...], reserve: int) -> float:
    """Exact delta at `EPSILON` of the counts of all row parties: the larger hockey-stick divergence.

    Each has two cells, in one of which the person is.

    Args:
        kind: how the dummies of each cell are drawn, independently.
        changes: what the person changes in the count of each party.
        reserve: those of both cells are drawn again if they exceed it.
    """
    two = np.outer(mass(kind), mass(kind))
    cells = np.indices(two.shape)
    two[cells.sum(axis=0) > reserve] = 0
    two /= two.sum()
    ours = np.ones(1)
    other = np.ones(1)
    for change in changes:
        ours = np.multiply.outer(ours, np.pad(two, ((change, 0), (0, 0)))).ravel()
        other = np.multiply.outer(other, np.pad(two, ((0, change), (0, 0)))).ravel()
    limit = math.exp(float(EPSILON) * (1 + 1e-9))
    return max(np.maximum(a - limit * b, 0).sum() for a, b in ((ours, other), (other, ours)))


EPSILON = Fraction(1)
DELTA = Fraction(1, 50)


@pytest.mark.parametrize("changes", [(3, 0), (2, 1), (0, 3), (1, 2)])
def test_the_counts_of_all_row_parties_together_lose_no_more_than_declared(
    changes: tuple[int, int],
) -> None:
    kind = DummyCount.of(3, EPSILON, DELTA)
    everything = 4 * kind.shift
    assert loss(kind, changes, everything) <= float(DELTA) * (1 + 1e-6)
    beta = 0.002
    reserve = least_reserve(kind, beta)
    assert reserve < everything
    # Of the two row parties each reserve costs beta, likelier by what is drawn again.
    assert loss(kind, changes, reserve) <= truncation_delta(3, kind.scale, kind.shift) + 4 * beta
    assert loss(kind, changes, 2 * kind.shift) > 2 * float(DELTA)


def test_dummies_that_each_party_draws_as_if_it_were_alone_lose_more() -> None:
    # Of rows that each may have, 2 and 1, each takes its own for what a person changes.
    alone = DummyCount.of(2, EPSILON, DELTA)
    assert loss(alone, (2, 0), 4 * alone.shift) <= float(DELTA) * (1 + 1e-6)
    assert loss(alone, (2, 1), 4 * alone.shift) > 2 * float(DELTA)
    assert loss(alone, (2, 2), 4 * alone.shift) > 4 * float(DELTA)


def test_a_reserve_is_no_smaller_where_more_of_them_could_overflow() -> None:
    # The Chernoff bound of many cells, which is below the most that they can draw.
    kind = DummyCount.of(4, EPSILON, DELTA)
    assert least_reserve(kind, 0.001) > least_reserve(kind, 0.01)
    study = padded(1, 1, boardings=(1,))
    area = replace(study.row.dimensions[1], labels=tuple(map(str, range(500))), members=((),) * 500)
    wide = replace(study, row=replace(study.row, dimensions=(area,)))
    alone = replace(wide, row=replace(wide.row, parties=()))
    assert padding_of(wide).reserve > padding_of(alone).reserve
