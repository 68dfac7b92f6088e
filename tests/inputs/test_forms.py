"""A form tells how something is written and nothing of what it says, in few characters."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.inputs.forms import FormCounts, forms_of, visible


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("9.01111E+09", "9.99999A+99"),
        ("Ann Lee", "Aaa Aaa"),
        ("090-1111-0002 / 011", "999-9999-9999 / 999"),
        ("山田 Ａ１", "aa A9"),
        ("a\u200b\x1b[31m", "a\\u200b\\x1b[99a"),
        (None, "(empty)"),
        ("x" * 1000, "a" * 40 + "..."),
    ],
)
def test_forms(text, form):
    assert visible(forms_of(pa.array([text], pa.string()))[0].as_py()) == form


# Later characters may be newer than the tables of one of the libraries.
@given(st.text(st.characters(max_codepoint=0x33FF)))
def test_a_form_has_no_letter_or_digit_of_its_text_and_is_short(text):
    form = forms_of(pa.array([text], pa.string()))[0].as_py()
    assert not {char for char in form if char.isalpha()} - {"a", "A"}
    assert not {char for char in form if char.isdigit()} - {"9"}
    shown = visible(form)
    assert shown.isprintable() and len(shown) <= 10 * 40 + 3
    assert all(left == right or right.isalnum() for left, right in zip(form, text, strict=False))


def test_the_commonest_forms_are_remembered_among_many():
    counts = FormCounts()
    for start in range(0, 3000, 100):
        numbers = range(start, start + 100)
        rare = ["-" * (n % 15) + "+" * (n // 15 % 15) + "*" * (n // 225) for n in numbers]
        counts.add(pa.array(["07", "ab", None, *rare]), np.array([3, 2, 1] + [1] * 100))
    assert [form for form, _ in counts.commonest()] == ["99", "aa", ""]
    assert counts.commonest()[0] == ("99", 90)


@given(st.lists(st.none() | st.text(st.characters(max_codepoint=127)), max_size=8))
def test_texts_of_ascii_have_the_forms_that_they_have_among_others(texts):
    forms = forms_of(pa.array(texts, pa.string()))
    assert forms.to_pylist() == forms_of(pa.array([*texts, "é"], pa.string())).to_pylist()[:-1]
    forms.validate(full=True)
