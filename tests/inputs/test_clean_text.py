"""Spellings of one text agree, and a number that has lost digits is no number."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.inputs.clean_text import is_suspect, tidy, unmarked, whole_numbers


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("123.0", "123"),
        ("-5.000", "-5"),
        ("0123.0", "0123"),
        ("1.23E+02", "123"),
        ("9.011110001E+09", "9011110001"),
        ("9.0111100010e+09", "9011110001"),
        ("9.01111E+09", None),
        ("9E+09", None),
        ("9.011110001E9", "9011110001"),
        ("1.5E7", None),
        ("9007199254740991.0", "9007199254740991"),
        ("9007199254740993.0", None),
        ("-9007199254740992.0", None),
        ("0009007199254740.0", "0009007199254740"),
        ("1.2345678901234568e+16", None),
        ("12345678901234567", "12345678901234567"),
        ("1.5E+00", None),
        ("1E5", "1E5"),
        ("3e-12", "3e-12"),
        ("123.50", "123.50"),
        ("1.2.0", "1.2.0"),
        (".0", ".0"),
        ("1.0 ", "1.0 "),
        ("", ""),
        (None, None),
    ],
)
def test_whole_numbers(written, read):
    assert whole_numbers(pa.array([written], pa.string())).to_pylist() == [read]


@given(st.integers(0, 2**53 - 1), st.integers(0, 20))
def test_a_number_with_an_exponent_is_read_only_if_it_has_all_its_digits(number, places):
    written = f"{Decimal(number):.{places}E}"
    if number and len(str(number)) < 100:
        head, power = written.split("E")
        written = f"{head}E+{int(power):02}"
    (read,) = whole_numbers(pa.array([written])).to_pylist()
    assert read in (None, str(number)) or number == 0
    assert (read is not None) == (places >= len(str(number)) - 1)


@given(st.lists(st.text(max_size=8)))
def test_what_is_not_suspect_is_tidy(texts):
    values = pa.array(texts, pa.string())
    suspect = is_suspect(values).to_pylist()
    for text, changed, as_meant in zip(texts, suspect, tidy(values).to_pylist(), strict=True):
        assert changed or as_meant == text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("'0123", "0123"),
        ("'+81", "+81"),
        ('="0123"', "0123"),
        ('="\'0123"', "0123"),
        ("'123'", "'123'"),
        ("'abc", "'abc"),
        ('="a b"', '="a b"'),
        ("''1", "''1"),
    ],
)
def test_the_marks_of_spreadsheets(written, read):
    values = pa.array([written])
    assert unmarked(values).to_pylist() == [read]
    assert unmarked(unmarked(values)).to_pylist() == [read]


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad", "\u200f", "\u2060", "\ufe0f"])
def test_what_nobody_sees_is_left_out(unseen):
    assert tidy(pa.array([f"{unseen}a{unseen} b\u00a0"])).to_pylist() == ["a b"]
