"""Phone numbers of people: one to one, well formed, and of nobody."""

from __future__ import annotations

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from xstat_ray.hokkaido.world.numbers import CAPACITY, e164, national, phone_numbers
from xstat_ray.inputs.phone_numbers import to_e164


def test_no_two_people_share_a_number():
    numbers = phone_numbers(3, np.arange(200_000))
    assert len(np.unique(numbers)) == 200_000
    assert numbers.min() >= 0
    assert numbers.max() < CAPACITY
    assert (phone_numbers(3, np.array([5, 77])) == numbers[[5, 77]]).all()
    assert (phone_numbers(4, np.arange(1000)) != numbers[:1000]).mean() > 0.99


@pytest.mark.slow
def test_the_map_is_onto_its_whole_range():
    assert len(np.unique(phone_numbers(3, np.arange(CAPACITY)))) == CAPACITY


def test_numbers_belong_to_nobody_and_sort_as_they_count():
    texts = e164(np.array([0, 9_999_999, 10_000_000, CAPACITY - 1]))
    assert texts.to_pylist() == ["+817000000000", "+817009999999", "+818000000000", "+819009999999"]
    texts = e164(np.sort(phone_numbers(1, np.arange(5_000))))
    assert pc.array_sort_indices(texts).to_pylist() == list(range(5_000))
    for text in texts.to_pylist()[:50]:
        number = phonenumbers.parse(text)
        assert phonenumbers.is_possible_number(number)
        assert not phonenumbers.is_valid_number(number)


def test_national_spelling_means_the_same_number():
    texts = e164(phone_numbers(1, np.arange(300)))
    spelled = national(texts)
    assert pc.all(pc.match_substring_regex(spelled, r"^0[789]0-0\d{3}-\d{4}$")).as_py()
    assert to_e164(spelled, "JP").equals(texts)


def test_no_people_no_numbers():
    assert e164(np.array([], np.int64)).equals(pa.array([], pa.string()))
