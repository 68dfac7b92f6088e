"""Weeks, months and years begin where the calendar of the study's zone has them begin."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.inputs.studies import TIMED, changed
from xstat_ray.errors import StudyError
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.period import Period
from xstat_ray.model.periods import cover, to_periods
from xstat_ray.planning.batching import BATCHES, periods_of

ZONES = ("Asia/Tokyo", "America/New_York", "UTC", "Pacific/Apia")
GRAINS = ("week", "month", "year")
_DAY = 86_400 * 10**6


def period(grain, start, end, zone="Asia/Tokyo"):
    at = [dt.datetime.fromisoformat(edge).replace(tzinfo=ZoneInfo(zone)) for edge in (start, end)]
    return Period(grain, *at, zone)


def random_times(number=2000):
    """Times of sixty years, among them the first and last moments of many days."""
    rng = np.random.default_rng(7)
    day = rng.integers(1, 60 * 365, number) * _DAY
    return day + rng.choice([0, -1, 1, *rng.integers(0, _DAY, 5)], number)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("grain", [*GRAINS, "date"])
@pytest.mark.parametrize("zoned", [True, False])
def test_periods_are_those_of_the_databases_calendar(grain, zone, zoned):
    whole = period(grain, "1970-01-02", "2031-01-01", zone)
    at = pa.array(random_times(), pa.timestamp("us", "UTC" if zoned else None))
    local = pc.local_timestamp(at.cast(pa.timestamp("us", zone))) if zoned else at
    numbers, inside = to_periods(at, whole)
    unit = "day" if grain == "date" else grain
    rows = pa.table({"row": range(len(at)), "local": local})
    trunc = duckdb.sql(
        f"SELECT epoch_us(date_trunc('{unit}', local)::TIMESTAMP) AS start, "
        "local >= '1970-01-02' AND local < '2031-01-01' AS inside FROM rows ORDER BY row"
    ).to_arrow_table()
    assert rows.num_rows == len(inside)
    assert inside.tolist() == trunc["inside"].to_pylist()
    start = trunc["start"].to_numpy()[inside]
    number = numbers[inside]
    pairs = np.unique(np.stack([start, number.astype(np.int64)]), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    assert (np.diff(pairs[1]) > 0).all()
    assert all(whole.number_of(int(at)) == n for at, n in pairs.T[:200])
    assert set(number.tolist()) <= set(whole.span)
    assert (numbers[~inside] == 0).all()


@pytest.mark.parametrize(
    ("grain", "start", "end", "periods"),
    [
        ("week", "2024-05-06", "2024-05-13", 1),  # Monday to Monday.
        ("week", "2024-05-05", "2024-05-14", 3),
        ("week", "2024-05-12T23:59:59", "2024-05-13T00:00:01", 2),
        ("month", "2024-02-01", "2024-03-01", 1),
        ("month", "2024-02-29", "2024-03-02", 2),
        ("month", "2023-08-28", "2024-04-01", 8),
        ("year", "2023-01-01", "2025-01-01", 2),
        ("year", "2023-12-31", "2025-01-02", 3),
    ],
)
def test_the_span_counts_periods_that_it_covers_in_part(grain, start, end, periods):
    cut = period(grain, start, end)
    assert len(cut.span) == periods
    edges = [dt.datetime.fromisoformat(edge) for edge in (start, end)]
    times = pa.array([edges[0] - dt.timedelta(0, 1), *edges], pa.timestamp("us"))
    assert to_periods(times, cut)[1].tolist() == [False, True, False]


@pytest.mark.parametrize("grain", GRAINS)
def test_a_file_covers_the_periods_of_its_rows(grain):
    year = period(grain, "2023-02-10", "2024-11-20")
    days = [dt.date(2022, 12, 1) + dt.timedelta(17 * step) for step in range(48)]
    for first in days[::5]:
        for last in (day for day in days if day >= first):
            numbers, inside = to_periods(pa.array([d for d in days if first <= d <= last]), year)
            covered = cover(first, last, year)
            assert set(numbers[inside].tolist()) <= set(covered)
            assert set(covered) <= set(year.span)


WINDOW = {"anchor": "t", "name": "w"}


def windowed(grain, start, end, **window):
    raw = changed(TIMED, "study.period", {"grain": grain, "start": start, "end": end})
    return parse(changed(raw, "study.column.windows", [{**WINDOW, **window}]), origin="x")


@pytest.mark.parametrize(
    ("grain", "start", "end", "window"),
    [
        ("week", "2024-01-01", "2024-02-12", {"unit": "week", "from": -2, "to": 3}),
        ("week", "2024-01-03", "2024-01-24", {"unit": "day", "offsets": [-14, -7, 0, 8]}),
        ("week", "2024-01-03", "2024-01-13", {"unit": "week", "from": -1, "to": 1}),
        ("month", "2024-01-01", "2024-05-01", {"unit": "month", "from": -3, "to": 3}),
        ("month", "2024-01-01", "2024-04-01", {"unit": "month", "offsets": [-2, 0, 3]}),
        ("month", "2022-01-01", "2024-01-01", {"unit": "year", "from": -1, "to": 1}),
        ("year", "2020-01-01", "2023-01-01", {"unit": "year", "from": -2, "to": 2}),
    ],
)
def test_the_window_in_the_study_is_the_most_that_any_anchor_reaches(grain, start, end, window):
    study = windowed(grain, start, end, **window)
    [made] = study.column.windows
    first, last = (edge // _DAY for edge in study.period.edges)
    days = np.arange(first - 1200, last + 1200) * _DAY
    anchors = pa.array(np.concatenate([days, days + _DAY - 1]), pa.timestamp("us"))
    counted = np.zeros(len(anchors), np.int64)
    reached: list[set[int]] = [set() for _ in range(len(anchors))]
    for offset in made.offsets:
        numbers, inside = to_periods(anchors, study.period, offset)
        counted += inside
        for place in np.flatnonzero(inside):
            reached[place].add(int(numbers[place]))
    assert counted.max() == study.window_in_study
    assert [len(periods) for periods in reached] == counted.tolist()
    assert set().union(*reached) <= set(study.period.span)


def test_offsets_of_months_are_whole_calendar_months():
    study = windowed("month", "2024-01-01", "2025-01-01", unit="month", **{"from": -1, "to": 1})
    assert study.column.windows[0].labels == ("w-1mo", "w+0mo", "w+1mo")
    at = pa.array([dt.datetime(2024, 3, 31, 23), dt.datetime(2024, 1, 1)], pa.timestamp("us"))
    for offset, months in ((-1, [2, None]), (0, [3, 1]), (1, [4, 2])):
        numbers, inside = to_periods(at, study.period, offset)
        first = study.period.span.start
        found = [int(n) - first + 1 if i else None for n, i in zip(numbers, inside, strict=True)]
        assert found == months


@pytest.mark.parametrize(
    ("grain", "window", "message"),
    [
        ("month", {}, "offsets in hours do not fit periods of grain month.*month or year"),
        ("month", {"unit": "day"}, "Use month or year"),
        ("month", {"unit": "week"}, "Use month or year"),
        ("year", {"unit": "month"}, "Use year"),
        ("week", {"unit": "day"}, "closer together than one period"),
        ("week", {"unit": "month"}, "Use minute or hour or day or week"),
        ("hour", {"unit": "year"}, "Use minute or hour or day or week"),
    ],
)
def test_units_that_do_not_fit_the_grain_are_refused(grain, window, message):
    with pytest.raises(StudyError, match=message):
        windowed(grain, "2024-01-01", "2025-01-01", **{"from": -1, "to": 1}, **window)


def test_windows_of_months_need_whole_months():
    with pytest.raises(StudyError, match=r"whole months.*begin and end with a month"):
        windowed("month", "2024-01-02", "2025-01-01", unit="month", offsets=[0])


@pytest.mark.parametrize("grain", GRAINS)
def test_batches_hold_at_least_a_period(grain):
    raw = changed(TIMED, "study.column.windows", ...)
    raw = changed(raw, "study.column.time", "t")
    study = parse(changed(raw, "study.period.grain", grain), origin="x")
    lengths = {batch: periods_of(study, batch) for batch in BATCHES}
    assert all(1 <= length <= len(study.period.span) for length in lengths.values())
    assert lengths["day"] == 1
    assert lengths["month"] == (4 if grain == "week" else 1)


def test_the_digests_of_studies_with_other_grains_stay():
    """Computed with the version before weeks, months and years."""
    study = parse(TIMED, origin="x")
    dates = replace(study, period=replace(study.period, grain="date"))
    assert [study.digest.hex()[:16], dates.digest.hex()[:16]] == DIGESTS


DIGESTS = ["f42ea47181d160cb", "33d8d3e9aa1cf174"]
