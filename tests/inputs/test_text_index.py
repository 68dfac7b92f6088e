"""Texts among sorted texts, and the numbers that stand for texts of digits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.inputs import text_index
from xstat_ray.inputs.text_index import TextIndex, digit_codes, to_bytes

digits = st.from_regex(r"\A\+?[0-9]{0,15}\Z")
near = st.from_regex(r"\A[+0-9:;/\x01\x10\x1fa ,é]{0,18}\Z")
"""Characters around the digits, and texts that are a little too long."""


def is_of_digits(text: str) -> bool:
    rest = text.removeprefix("+")
    return len(text) <= 16 and rest.isascii() and (not rest or rest.isdecimal())


@given(st.lists(digits | near, max_size=20))
def test_codes_have_the_order_of_texts_of_digits(texts):
    codes = digit_codes(to_bytes(pa.array(texts, pa.string())))
    assert codes.known.tolist() == [is_of_digits(text) for text in texts]
    known = [text.encode() for text in texts if is_of_digits(text)]
    numbers = codes.numbers[codes.known]
    assert [known[place] for place in np.argsort(numbers, kind="stable")] == sorted(known)
    assert len(np.unique(numbers)) == len(set(known))


@pytest.mark.parametrize("size", [1, 3])
def test_slices_do_not_change_the_codes(monkeypatch, size):
    texts = to_bytes(pa.array(["+81", "x", "12", "", "0", "+", "12345678901234567"]))
    whole = digit_codes(texts)
    monkeypatch.setattr(text_index, "_SLICE", size)
    assert digit_codes(texts).numbers.tolist() == whole.numbers.tolist()
    assert digit_codes(texts).known.tolist() == whole.known.tolist()


texts = st.lists(digits, max_size=20) | st.lists(digits | near | st.text("ab", max_size=3))


@given(texts, st.lists(st.none() | digits | near | st.text("ab\0", max_size=4), max_size=20))
def test_texts_are_found_by_their_number(among, wanted):
    among = sorted({text.encode() for text in among if text})
    index = TextIndex(np.array(among) if among else np.zeros(0, "S1"))
    expected = [
        among.index(text.encode()) if text and text.encode() in among else -1 for text in wanted
    ]
    ids = pa.array([*wanted, *(text.decode() for text in among)], pa.string())
    found = index.places_as_written(ids)
    assert found.tolist() == [*expected, *range(len(among)), -1]
    without_nul = pa.array(
        [None if text and "\0" in text else text for text in wanted], pa.string()
    )
    assert index.places(without_nul).tolist() == [*expected, -1]
