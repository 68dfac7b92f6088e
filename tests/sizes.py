"""The sizes of the tests.

`make test` leaves out what is marked `thorough`; `make test-all` runs it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from _pytest.mark import ParameterSet

thorough = pytest.mark.thorough
"""Marks cases that show more of what another test shows in short form, or that take long."""
slow = pytest.mark.slow
"""Marks what `make test-slow` alone runs."""


def first(count: int, cases: Sequence[Any], mark: pytest.MarkDecorator = thorough) -> list[Any]:
    """Mark all but the first `count` cases of a parametrised test, as thorough by default.

    A case is a tuple of several values, a single value, or a `pytest.param`.
    """
    return [*cases[:count], *(_marked(case, mark) for case in cases[count:])]


def every_other(step: int, cases: Sequence[Any]) -> list[Any]:
    """Mark all cases but each `step`-th as thorough, where none shows more than its neighbours."""
    return [_marked(case, thorough) if i % step else case for i, case in enumerate(cases)]


def _marked(case: Any, mark: pytest.MarkDecorator) -> Any:
    if isinstance(case, ParameterSet):
        return pytest.param(*case.values, marks=[*case.marks, mark], id=case.id)
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=mark)
