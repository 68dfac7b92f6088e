"""The two sizes of the tests.

`make test` leaves out what is marked `thorough`; `make test-all` runs it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

thorough = pytest.mark.thorough
"""Marks cases that show more of what another test shows in short form, or that take long."""


def first(count: int, cases: Sequence[Any]) -> list[Any]:
    """Mark all but the first `count` cases of a parametrised test as thorough.

    A case is a tuple of several values, or a single one.
    """
    rest = [case if isinstance(case, tuple) else (case,) for case in cases[count:]]
    return [*cases[:count], *(pytest.param(*case, marks=thorough) for case in rest)]
