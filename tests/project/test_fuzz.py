"""The short form of `make fuzz`, with a fixed seed."""

from __future__ import annotations

import pytest

from tests.fuzz import PARSERS, fuzz
from tests.sizes import thorough


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=[thorough] * (what == "study")) for what in PARSERS]
)
def test_no_mutation_raises_anything_but_the_typed_errors(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried, refused = fuzz(what, 2, 20260101)
    assert refused > 10 and tried > 10
    assert list(tmp_path.iterdir()) == []


def test_another_error_is_not_taken_for_a_refusal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        PARSERS, "broken", lambda folder: [(lambda data: data.decode("ascii"), [b"abc" * 10])]
    )
    with pytest.raises(UnicodeDecodeError):
        fuzz("broken", 5, 1)
    assert (tmp_path / "fuzz-failure.bin").exists()
