"""What one person moves at most follows from all bounds together.

That parties keep to it, and reach it, is tested in tests/statistical/test_bounds_reached.py.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.synthetic import make_study
from xstat_ray.model.period import Period
from xstat_ray.model.sensitivity import Sensitivity, most_at_once
from xstat_ray.model.study import Bounds

MANY = 10**6
BOUND = st.integers(1, 12)


@pytest.mark.parametrize("spread", [True, False])
@pytest.mark.parametrize(
    ("rows", "boardings", "per_column", "window"),
    [(1, 1, 1, 1), (1, 2, 1, 12), (3, 2, 2, 4), (2, 4, 2, 3), (8, 1, 1, 1)],
)
def test_where_all_bounds_bind_l1_is_their_product_and_m_that_of_one_column(
    rows, boardings, per_column, window, spread
):
    sensitivity = Sensitivity.of(
        rows=rows,
        boardings=boardings,
        per_column=per_column,
        columns=MANY,
        window=window,
        periods=MANY,
        spread=spread,
    )
    most = rows * min(boardings, per_column) * (1 if spread else window)
    assert sensitivity.l1 == rows * boardings * window
    assert sensitivity.column_units == most
    assert sensitivity.l2_squared == most * sensitivity.l1


@given(
    rows=BOUND,
    boardings=BOUND,
    per_column=BOUND,
    columns=BOUND,
    window=BOUND,
    periods=BOUND,
    spread=st.booleans(),
)
def test_no_bound_that_is_raised_lowers_anything(**bounds):
    sensitivity = Sensitivity.of(**bounds)
    assert 1 <= sensitivity.flags <= bounds["periods"]
    assert sensitivity.l1 <= sensitivity.l2_squared <= sensitivity.column_units * sensitivity.l1
    for name in ("rows", "boardings", "per_column", "columns", "window", "periods"):
        raised = Sensitivity.of(**bounds | {name: bounds[name] + 1})
        assert raised.l1 >= sensitivity.l1, name
        assert raised.column_units >= sensitivity.column_units, name
        assert raised.l2_squared >= sensitivity.l2_squared, name


def test_a_third_boarding_in_another_column_counts_once():
    sensitivity = Sensitivity.of(
        rows=1, boardings=3, per_column=2, columns=2, window=1, periods=9, spread=True
    )
    assert (sensitivity.l1, sensitivity.column_units, sensitivity.l2_squared) == (3, 2, 5)


def test_distances_that_do_not_fit_into_the_study_together_are_not_counted():
    assert most_at_once([0], 1) == 1
    assert most_at_once([-2, -1, 0, 1, 1], 2) == 2
    assert most_at_once([-2, -1, 0, 1], 4) == 4
    assert most_at_once([0, 10, 11, 12, 30], 3) == 3
    assert most_at_once([0, 10, 11, 12, 30], 30) == 4


def test_windows_around_one_anchor_share_their_periods():
    study = make_study()
    departure, arrival = study.column.windows
    again = replace(arrival, anchor="departure", offsets=(-7200, 3600))
    column = replace(study.column, windows=(departure, again))
    assert study.window_in_study == 4
    assert replace(study, column=column).window_in_study == 3
    hour = Period("hour", study.period.start, study.period.start + dt.timedelta(hours=1))
    assert replace(study, period=hour).window_in_study == 2
    assert replace(study, period=hour).person_units == 1


def test_a_bound_that_cannot_bind_costs_nothing():
    study = make_study()
    # Twelve areas, whose dwell times are added up; two routes; 36 hours.
    assert replace(study, bounds=Bounds(rows=40)).rows_per_flag == 12
    unweighted = replace(study, row=replace(study.row, weight=None))
    assert replace(unweighted, bounds=Bounds(rows=40)).rows_per_flag == 40
    assert replace(study, bounds=Bounds(boardings=9)).person_units == 2 * 4
    assert replace(study, bounds=Bounds(boardings=99, per_column=99)).person_units == 36
    assert replace(study, bounds=Bounds(boardings=2, per_column=99)).slot_units == 2
