"""The totals that a person is shown at the end of a run."""

from __future__ import annotations

import numpy as np
import pytest

from tests.publication.small import plan, tables
from xstat_ray.publication.release import Release
from xstat_ray.publication.summary import summary

TREE = [[100, 3], [200, 1], [300, -2], [404, 0], [190, 1], [640, 2]]
"""Of the cells a, b, 東京; then of east (a, 東京) and west, and of the total."""


def listed(made, noisy, count=3, **changes):
    release = Release(*tables(made, noisy), {}, made.as_dict() | changes)
    return {total.what: total for total in summary(release, count)}


def test_totals_are_of_columns_then_of_areas_from_coarse_to_fine():
    made = plan(coast=True, mechanism="tree")
    found = listed(made, TREE)
    # The second kind is noise throughout, and no total of it is shown.
    assert list(found) == [
        "kind: x", "coast: east", "coast: west", "area: 東京, 区", "area: b", "area: a"
    ]  # fmt: skip
    areas = tables(made, TREE).areas.to_pylist()
    (whole,) = (row for row in areas if (row["level"], row["kind"]) == ("total", "x"))
    assert found["kind: x"].value == round(whole["unbiased"])
    # Of cells, which have no total of their own, it is the sum of noisy counts.
    assert found["area: a"].value == 103


def test_the_largest_of_each_dimension_are_listed():
    assert list(listed(plan(coast=True, mechanism="tree"), TREE, count=1)) == [
        "kind: x", "coast: east", "area: 東京, 区"
    ]  # fmt: skip


def test_without_a_total_columns_are_sums_of_cells():
    made = plan(report=["cell"], coast=True, mechanism="tree")
    found = listed(made, TREE[:3])
    assert (found["kind: x"].value, found["area: b"].value) == (600, 201)
    assert "kind: y" not in found


def test_an_interval_holds_its_total_and_has_the_width_of_its_noise():
    made = plan()
    stderr = tables(made).cells["stderr"][0].as_py()
    total = listed(made, [[1000, 0], [0, 0], [0, 0]], count=1)["kind: x"]
    assert total.low < total.value == 1000 < total.high
    # The Laplace noise of three cells, at 2 % on either side.
    half = -np.log(0.04) / np.sqrt(2) * stderr * np.sqrt(3)
    assert (total.high - total.low) / 2 == pytest.approx(half, abs=1.01)


def test_nothing_is_listed_where_nothing_stands_out_or_is_large_enough():
    assert listed(plan(), [[3, -2], [1, 4], [-6, 0]]) == {}
    assert listed(plan(suppress_below=5000), TREE[:3]) == {}


def test_without_noise_totals_are_exact():
    found = listed(plan("off", 0), [[100, 0], [9, 2], [4, 30]])
    assert found["kind: x"][1:] == (113, 113, 113)
    assert found["area: a"][1:] == (100, 100, 100)
