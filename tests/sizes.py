"""The two sizes of the tests: `make test` leaves out what is marked `thorough`, `make test-all` does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

thorough = pytest.mark.thorough
"""More of what another test shows in short form, or too long for every run."""


def first(count: int, cases: Sequence[Any]) -> list[Any]:
    """Cases to parametrise with, tuples of several values or single ones: after `count` all are thorough."""
    rest = [case if isinstance(case, tuple) else (case,) for case in cases[count:]]
    return [*cases[:count], *(pytest.param(*case, marks=thorough) for case in rest)]
