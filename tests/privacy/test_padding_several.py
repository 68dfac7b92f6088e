"""Padding of several column parties: what one person changes, and what dummies make of that."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.synthetic import make_study
from xstat_ray.model.parties import ColumnTerms, total_bounds
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Bounds, Privacy, Study
from xstat_ray.privacy.padding import DummyCount, Padding, truncation_delta

PERIODS = 6
R = 2
WINDOW = 2


def padded(*boardings: int, rows: int = R) -> Study:
    """Make a padded study of so many boardings of each party, without weights."""
    study = make_study()
    parties = tuple(ColumnTerms(f"p{n}", f"d{n}", f, f, 50) for n, f in enumerate(boardings))
    return replace(
        study,
        row=replace(study.row, weight=None),
        column=replace(study.column, parties=parties),
        bounds=Bounds(rows=rows, **total_bounds(parties)),
        privacy=Privacy(noise="off", padding="dp"),
    )


def padding_of(study: Study, batches: int = 2) -> Padding:
    """The dummies of a study with so many batches."""
    length = len(study.period.span) // batches
    padding = Padding.of_study(study, ShardGrid.plan(study.cells, study.period.span, 2, 1, length))
    assert padding is not None
    return padding


def test_every_combination_of_parties_has_dummies() -> None:
    padding = padding_of(padded(1, 2, 1))
    assert sorted(map(tuple, padding.meets.tolist())) == sorted(product((False, True), repeat=3))
    assert not padding.meets[-1].any()
    drawn = padding.draw_rows()
    assert drawn.shape == (8, padding.batches, padding.cells)
    of_parties = np.einsum("kp,kbc->pb", padding.meets.astype(int), drawn)
    assert (of_parties <= padding.reserve).all()
    assert abs(drawn[:-1].mean() - padding.matched.shift) < padding.matched.shift / 4
    each = 7 * padding.matched.shift + padding.unmatched.shift
    assert padding.rows_added == padding.batches * padding.cells * each
    assert padding.flags_added == 3 * padding.batches * (padding.reserve + padding.flags.shift)


def test_with_two_parties_of_half_the_bounds_one_person_changes_as_much() -> None:
    one = padding_of(replace(padded(2), column=make_study().column))
    two = padding_of(padded(1, 1))
    assert one.parties == 1 and one.meets.tolist() == [[True], [False]]
    for kind in ("matched", "unmatched", "flags"):
        assert getattr(one, kind).l1 == getattr(two, kind).l1


def test_a_batch_is_drawn_again_until_it_fits_the_reserve_of_every_party() -> None:
    padding = padding_of(padded(1, 1))
    # The mean does not fit half of the time.
    tight = replace(padding, reserve=2 * padding.cells * padding.matched.shift)
    drawn = tight.draw_rows()
    assert (np.einsum("kp,kbc->pb", tight.meets.astype(int), drawn) <= tight.reserve).all()


flags_of_party = st.sets(st.integers(0, PERIODS - 1), max_size=2 * WINDOW)


@settings(max_examples=200)
@given(
    st.lists(flags_of_party, min_size=2, max_size=3),
    st.lists(st.integers(0, R), min_size=PERIODS, max_size=PERIODS),
    st.data(),
)
def test_a_person_in_all_tables_or_left_out_of_some_changes_no_more_than_is_covered(
    flags: list[set[int]], rows: list[int], data: st.DataObject
) -> None:
    """A party of F boardings and W periods has F*W flags of a person, who is in one cell here."""
    left = data.draw(st.sets(st.integers(0, len(flags) - 1)))
    row_left = data.draw(st.booleans())
    fewer = [set[int]() if number in left else held for number, held in enumerate(flags)]
    before = numbers(flags, rows)
    after = numbers(fewer, [0] * PERIODS if row_left else rows)
    moved = [int(np.abs(a - b).sum()) for a, b in zip(before, after, strict=True)]
    l1 = R * sum(map(len, flags))
    assert moved[0] <= l1 and moved[1] <= R * PERIODS and moved[2] <= l1
    # Which the study's bounds cover, whatever the flags are.
    study = padded(*[2] * len(flags))
    assert R * len(flags) * 2 * WINDOW <= study.person_units


def numbers(
    flags: list[set[int]], rows: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows by combination of parties, those that meet none, and flags of each party."""
    found = np.zeros(1 << len(flags), np.int64)
    for period, number in enumerate(rows):
        found[sum((period in held) << party for party, held in enumerate(flags))] += number
    return found[1:], found[:1], R * np.array([len(held) for held in flags])


@pytest.mark.parametrize("overlap", [False, True])
def test_what_is_covered_is_reached(overlap: bool) -> None:
    """By who joins all tables with flags apart, and by who joins the second of two with the same."""
    first = {0, 1}
    second = {0, 1} if overlap else {2, 3}
    before = numbers([first, second], [R] * PERIODS)
    after = numbers([first, set()] if overlap else [set(), set()], [R] * PERIODS)
    moved = np.abs(before[0] - after[0]).sum()
    assert moved == R * 2 * WINDOW


def mass(kind: DummyCount) -> NDArray[np.float64]:
    """Exact probabilities of 0 ... 2 * shift dummies."""
    weight = np.exp(-np.abs(np.arange(-kind.shift, kind.shift + 1)) / kind.scale)
    return weight / weight.sum()


def conditioned(kind: DummyCount, reserve: int) -> NDArray[np.float64]:
    """Joint probabilities of the dummies of one cell: of the first, the second, and both parties."""
    one = mass(kind)
    joint = one[:, None, None] * one[None, :, None] * one[None, None, :]
    first, second, both = np.indices(joint.shape)
    joint[(first + both > reserve) | (second + both > reserve)] = 0
    return joint / joint.sum()


def least_reserve(kind: DummyCount, beta: float) -> int:
    """What the dummies of one party exceed, less what a person changes, with probability beta."""
    tail = 1 - np.cumsum(np.convolve(mass(kind), mass(kind)))
    return int(np.argmax(tail <= beta)) + kind.l1


def loss(kind: DummyCount, reserve: int, change: tuple[int, int, int]) -> float:
    """Exact delta at the kind's epsilon: the hockey-stick divergence, the larger of both ways."""
    joint = conditioned(kind, reserve)
    most = kind.l1
    ours = np.pad(joint, most)
    moved = [slice(most + step, most + step + len(mass(kind))) for step in change]
    other = np.zeros_like(ours)
    other[tuple(moved)] = joint
    limit = math.exp(float(kind.epsilon) * (1 + 1e-9))
    return max(np.maximum(a - limit * b, 0).sum() for a, b in ((ours, other), (other, ours)))


CHANGES = [(2, 0, 0), (0, 0, 2), (1, 1, 0), (1, 0, 1), (-1, 0, 1), (0, -1, 1)]


@pytest.mark.parametrize("change", CHANGES)
def test_dummies_drawn_again_lose_no_more_than_their_deltas(change: tuple[int, int, int]) -> None:
    kind = DummyCount.of(2, Fraction(1), Fraction(1, 50))
    beta = 0.002
    reserve = least_reserve(kind, beta)
    assert reserve < 4 * kind.shift
    # Of the two parties, each reserve costs beta, likelier by what is drawn again.
    assert loss(kind, reserve, change) <= truncation_delta(2, kind.scale, kind.shift) + 4 * beta


def test_reserves_that_are_filled_or_dummies_of_half_the_scale_lose_more() -> None:
    kind = DummyCount.of(2, Fraction(1), Fraction(1, 50))
    allowed = truncation_delta(2, kind.scale, kind.shift) + 4 * 0.002
    assert loss(kind, 2 * kind.shift, (0, 0, 2)) > 2 * allowed
    half = replace(kind, scale=kind.scale / 2)
    assert loss(half, least_reserve(kind, 0.002), (1, 0, 1)) > 2 * allowed
