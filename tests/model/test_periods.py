from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.model.period import Period
from xstat_ray.model.periods import cover, to_periods


def period(grain, start, end, zone="Asia/Tokyo"):
    at = [dt.datetime.fromisoformat(edge).replace(tzinfo=ZoneInfo(zone)) for edge in (start, end)]
    return Period(grain, *at, zone)


def times(*texts, tz=None, unit="us"):
    return pa.array(
        [None if t is None else dt.datetime.fromisoformat(t) for t in texts], pa.timestamp(unit, tz)
    )


DAY = period("hour", "2023-08-28", "2023-08-29")
FIRST_HOUR = int(dt.datetime(2023, 8, 27, 15, tzinfo=dt.UTC).timestamp()) // 3600


def test_hours_are_counted_in_utc_and_the_span_is_half_open():
    at = times(
        "2023-08-27T23:59:59.999999",
        "2023-08-28T00:00",
        "2023-08-28T23:59:59",
        "2023-08-29T00:00",
        None,
    )
    numbers, inside = to_periods(at, DAY)
    assert (numbers.dtype, inside.dtype) == (np.uint32, np.bool_)
    assert inside.tolist() == [False, True, True, False, False]
    assert numbers.tolist() == [0, FIRST_HOUR, FIRST_HOUR + 23, 0, 0]
    assert DAY.span == range(FIRST_HOUR, FIRST_HOUR + 24)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_zoned_and_local_times_of_one_instant_agree(unit):
    local, _ = to_periods(times("2023-08-28T05:30", unit=unit), DAY)
    zoned, inside = to_periods(times("2023-08-27T20:30", tz="UTC", unit=unit), DAY)
    assert local.tolist() == zoned.tolist() == [FIRST_HOUR + 5]
    assert inside.all()


def test_quarter_hours():
    quarters = period("15min", "2023-08-28", "2023-08-28T02:00", "UTC")
    numbers, _ = to_periods(
        times("2023-08-28T00:14:59", "2023-08-28T00:15", "2023-08-28T01:59"), quarters
    )
    assert (numbers - quarters.span.start).tolist() == [0, 1, 7]
    assert len(quarters.span) == 8


def test_an_offset_moves_the_time_before_the_span_is_checked():
    numbers, inside = to_periods(times("2023-08-28T05:30", "2023-08-28T23:30"), DAY, 3600)
    assert inside.tolist() == [True, False]
    assert numbers[0] == FIRST_HOUR + 6
    numbers, inside = to_periods(times("2023-08-29T05:30", "2023-08-28T01:30"), DAY, -6 * 3600)
    assert inside.tolist() == [True, False]
    assert numbers[0] == FIRST_HOUR + 23


def test_dates_are_the_local_dates_of_the_study():
    days = period("date", "2023-08-28", "2023-09-01")
    zoned, inside = to_periods(times("2023-08-27T15:00", "2023-08-27T14:59", tz="UTC"), days)
    assert inside.tolist() == [True, False]
    local, _ = to_periods(times("2023-08-28T00:00"), days)
    date, _ = to_periods(pa.array([dt.date(2023, 8, 28)]), days)
    expected = (dt.date(2023, 8, 28) - dt.date(1970, 1, 1)).days
    assert zoned[0] == local[0] == date[0] == expected
    assert days.span == range(expected, expected + 4)


@pytest.mark.parametrize("midnight", ["2024-03-09", "2024-11-02"])
def test_a_day_later_is_the_next_date_where_clocks_change(midnight):
    days = period("date", "2024-01-01", "2025-01-01", "America/New_York")
    for clock in ("00:10", "23:50"):
        at = times(f"{midnight}T{clock}")
        numbers = [int(to_periods(at, days, offset * 86_400)[0][0]) for offset in range(3)]
        assert np.diff(numbers).tolist() == [1, 1]


def test_local_times_that_occur_twice_or_never():
    year = period("hour", "2024-01-01", "2025-01-01", "America/New_York")
    numbers, inside = to_periods(times("2024-11-03T01:30", "2024-03-10T02:30"), year)
    assert inside.all()
    first = dt.datetime(2024, 11, 3, 5, 30, tzinfo=dt.UTC)
    after_gap = dt.datetime(2024, 3, 10, 7, 0, tzinfo=dt.UTC)
    assert numbers.tolist() == [int(t.timestamp()) // 3600 for t in (first, after_gap)]


def test_without_a_grain_everything_meets():
    numbers, inside = to_periods(times("1900-01-01", None), Period())
    assert numbers.tolist() == [0, 0]
    assert inside.all()
    assert Period().span == range(1)


def test_a_span_that_cuts_periods_counts_them():
    cut = period("hour", "2023-08-28T00:30", "2023-08-28T02:30")
    assert len(cut.span) == 3
    _, inside = to_periods(times("2023-08-28T00:29", "2023-08-28T00:30", "2023-08-28T02:30"), cut)
    assert inside.tolist() == [False, True, False]


@given(
    seconds=st.integers(-(2**40), 2**40),
    offset=st.integers(-(10**6), 10**6),
    grain=st.sampled_from(["hour", "15min"]),
)
def test_numbers_are_floors_and_lie_in_the_span(seconds, offset, grain):
    study = period(grain, "1990-01-01", "2050-01-01", "UTC")
    numbers, inside = to_periods(pa.array([seconds], pa.timestamp("s", "UTC")), study, offset)
    at = seconds + offset
    assert inside[0] == (study.start.timestamp() <= at < study.end.timestamp())
    assert numbers[0] == (at // study.seconds if inside[0] else 0)
    assert not inside[0] or int(numbers[0]) in study.span


@given(
    st.integers(-50 * 3600, 80 * 3600),
    st.integers(0, 30 * 3600),
    st.sampled_from(["15min", "hour", "date"]),
)
def test_a_covered_range_holds_the_period_of_every_time_in_it(start, length, grain):
    study = period(grain, "2023-08-28", "2023-08-30")
    first = dt.datetime(2023, 8, 28) + dt.timedelta(seconds=start)
    at = [first + dt.timedelta(seconds=s) for s in range(0, length + 1, 600)] + [
        first + dt.timedelta(seconds=length)
    ]
    covered = cover(first, at[-1], study)
    numbers, inside = to_periods(pa.array(at, pa.timestamp("us")), study)
    assert set(numbers[inside].tolist()) <= set(covered)
    # Nothing more than the ends demand: both ends of the range are taken by some second of it.
    assert len(covered) <= length // study.seconds + 2 and set(covered) <= set(study.span)
    if not inside.any() and (
        at[-1] < study.start.replace(tzinfo=None) or first >= study.end.replace(tzinfo=None)
    ):
        assert not covered


@given(
    st.lists(
        st.datetimes(dt.datetime(2023, 1, 1), dt.datetime(2023, 12, 31)), min_size=1, max_size=20
    )
)
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/Paris", "Australia/Lord_Howe"])
def test_clocks_that_are_moved_are_seen_also_between_the_times(zone, times):
    period = Period(
        "15min", *(dt.datetime(year, 1, 1, tzinfo=ZoneInfo(zone)) for year in (2022, 2025)), zone
    )
    together, inside = to_periods(pa.array(times, pa.timestamp("us")), period)
    alone = [to_periods(pa.array([time], pa.timestamp("us")), period)[0][0] for time in times]
    assert inside.all() and together.tolist() == alone
    for time, number in zip(times, alone, strict=True):
        instant = time.replace(tzinfo=ZoneInfo(zone))
        exists = instant.astimezone(dt.UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == time
        assert not exists or number == instant.timestamp() // 900
