"""Random streams, mixing, and choices by weight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from xstat_ray.hokkaido.world.streams import choose, mix, stream, uniform


def test_a_stream_belongs_to_its_purpose_and_numbers():
    first = stream(1, "people", 3).random(4)
    assert (stream(1, "people", 3).random(4) == first).all()
    for other in (
        stream(2, "people", 3),
        stream(1, "day", 3),
        stream(1, "people", 4),
        stream(1, "people", 3, 0),
    ):
        assert (other.random(4) != first).all()


def test_splitmix64_known_answer():
    # The reference code of Steele, Lea and Flood prints these first outputs of SplitMix64 for the
    # seed 0.
    golden = 0x9E3779B97F4A7C15
    states = np.array([golden, 2 * golden % 2**64, 3 * golden % 2**64], np.uint64)
    assert [hex(x) for x in mix(states, 0)] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]
    assert (mix(states[:2], 1) == mix(states[1:], 0)).all()


@given(
    st.lists(st.sampled_from([0.0, 0.0, 1e-300, 0.5, 3.0, 1e12]), min_size=1, max_size=6),
    st.floats(0, 1, exclude_max=True),
)
def test_what_is_chosen_has_a_weight(weights, u):
    (column,) = choose(np.array([weights]), np.array([u]))
    assert (column == -1) == (sum(weights) == 0)
    if column >= 0:
        assert weights[column] > 0


def test_choices_are_in_proportion_to_the_weights():
    weights = np.array([0, 1, 3, 0, 4.0])
    u = np.random.default_rng(1).random(40_000)
    count = np.bincount(choose(np.tile(weights, (len(u), 1)), u), minlength=5)
    assert count[0] == count[3] == 0
    shares = weights[[1, 2, 4]] / weights.sum()
    assert chisquare(count[[1, 2, 4]], shares * len(u)).pvalue > 1e-4
    assert chisquare(count[[1, 2, 4]], shares[::-1] * len(u)).pvalue < 1e-4


@pytest.mark.parametrize("u", [0.0, np.nextafter(1, 0)])
def test_the_ends_of_the_unit_interval(u):
    assert choose(np.array([[0.0, 2.0, 1.0, 0.0]]), np.array([u])) == (1 if u == 0 else 2)


def test_numbers_of_an_occasion_are_uniform_and_its_alone():
    people = np.arange(20_000)
    u = uniform(1, "test", people, people % 7)
    assert 0 <= u.min() <= u.max() < 1
    # The mean of 20,000 uniform numbers has the standard error 0.002.
    assert abs(u.mean() - 0.5) < 5 * 0.002
    assert len(np.unique(u)) == len(u)
    np.testing.assert_array_equal(u[::-1], uniform(1, "test", people[::-1], people[::-1] % 7))
    for other in (
        uniform(2, "test", people, people % 7),
        uniform(1, "other", people, people % 7),
        uniform(1, "test", people, people % 7 + 1),
        uniform(1, "test", people),
    ):
        assert abs(np.corrcoef(u, other)[0, 1]) < 0.035
