"""Runs of equal neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.util.arrays import run_starts


@pytest.mark.parametrize(
    ("values", "starts"),
    [
        ([], []),
        ([5], [0]),
        ([5, 5, 5], [0]),
        ([5, 5, 6, 5, 7, 7], [0, 2, 3, 4]),
        (["a", "a", "b"], [0, 2]),
    ],
)
def test_a_run_starts_where_the_value_changes(values: list[object], starts: list[int]) -> None:
    assert run_starts(np.array(values)).tolist() == starts
