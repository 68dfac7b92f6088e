"""Weights, and how far one person can move the sums, by search for the worst case."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xstat_ray.hokkaido.population.expansion import PARTS, SECONDS, UNITS, Expansion
from xstat_ray.hokkaido.population.register import Register


def expansion(residents: list[int], cap: Fraction | int = 3, least: int = 1) -> Expansion:
    """Expand one home with these residents by age, with as many women as men."""
    table = np.zeros((1, 2, 13), np.int64)
    table[0, :, : len(residents)] = residents
    return Expansion.of_register(Register(("01100",), table), least, Fraction(cap))


def test_lines_together_weigh_what_the_register_says():
    made = expansion([10, 0, 7])
    weights = made.weights(np.array([0] * 6 + [2] * 7))
    assert weights[0] == 10 * PARTS // 6
    assert weights[2] == PARTS
    assert abs(6 * weights[0] / PARTS - 10) < 1e-5


def test_weights_end_at_one_and_at_the_cap():
    made = expansion([100], cap=4)
    assert [made.weights(np.zeros(n, int))[0] / PARTS for n in (1, 25, 50, 200)] == [4, 4, 2, 1]


def sums(made: Expansion, classes: NDArray[np.int64], shares: NDArray[np.int64]) -> NDArray:
    """(areas,) weighted sums of subscribers with these classes and (subscribers, areas) seconds."""
    return (made.weights(classes)[classes][:, None] * shares).sum(axis=0)


def deal(rng: np.random.Generator, subscribers: int, areas: int) -> NDArray[np.int64]:
    """(subscribers, areas) seconds of an hour, at most 3,600 a subscriber; often in one place."""
    share = (
        rng.dirichlet(np.full(areas, rng.choice([0.01, 1, 20])), subscribers)
        if rng.random() < 0.8
        else np.zeros((subscribers, areas))
    )
    if rng.random() < 0.4:
        share = np.zeros((subscribers, areas))
        share[:, 0] = 1
    return np.floor(SECONDS * share).astype(np.int64)


@settings(max_examples=300)
@given(
    seed=st.integers(0, 2**32),
    residents=st.lists(st.integers(0, 40), min_size=1, max_size=13).filter(any),
    cap=st.fractions(1, 20, max_denominator=8),
    subscribers=st.integers(0, 60),
)
def test_one_person_never_moves_more_than_the_bound(seed, residents, cap, subscribers):
    rng = np.random.default_rng(seed)
    made = expansion(residents, cap)
    classes = rng.integers(0, len(residents) if rng.random() < 0.5 else 1, subscribers + 1)
    seconds = deal(rng, subscribers + 1, int(rng.integers(1, 30)))
    if rng.random() < 0.5:
        # The worst case: where everybody else is, the new subscriber is not.
        seconds[-1] = np.roll(SECONDS * (np.arange(seconds.shape[1]) == 0), 1)
    with_one = sums(made, classes, seconds)
    without = sums(made, classes[:-1], seconds[:-1])
    moved = (with_one - without).astype(object)
    l1, l2_squared = made.moved
    assert sum(abs(moved)) <= l1
    assert (moved**2).sum() <= l2_squared


@pytest.mark.parametrize("cap", [2, 3, 10])
def test_the_bound_is_nearly_reached(cap):
    """The cap just stops to bind: the new subscriber counts in full, the others move as much."""
    made = expansion([1000 * cap], cap)
    seconds = np.zeros((1001, 2), np.int64)
    seconds[:-1, 0] = seconds[-1, 1] = SECONDS
    classes = np.zeros(1001, int)
    moved = (sums(made, classes, seconds) - sums(made, classes[:-1], seconds[:-1])) / UNITS
    l1, l2_squared = made.moved
    assert abs(moved).sum() > 0.99 * l1 / UNITS
    assert (moved**2).sum() > 0.98 * l2_squared / UNITS**2
