"""Periods are cut into batches of a declared length, or of one that memory allows."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from tests.synthetic import make_study
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import Study
from xstat_ray.planning.batching import BATCH_BYTES, cut, idle_sentence, periods_of

HOURS = make_study()  # 36 of them


def padded(study: Study) -> Study:
    return replace(study, privacy=replace(study.privacy, padding="dp"))


def dates(days: int) -> Study:
    """A study of so many days, with dates as periods."""
    start = dt.date(2024, 1, 1)
    end = start + dt.timedelta(days=days)
    raw = {
        "name": "dates",
        "period": {"grain": "date", "start": start, "end": end},
        "row": {"id": "id", "time": "t", "dimensions": [{"name": "area", "range": [1, 9]}]},
        "column": {"id": "id", "time": "t", "dimensions": [{"name": "kind", "range": [1, 2]}]},
    }
    return parse({"study": raw}, origin="dates")


@pytest.mark.parametrize(
    ("length", "number"), [("release", 1), ("month", 1), ("week", 1), ("day", 2)]
)
def test_batches_are_the_fewest_that_are_no_longer(length, number):
    grid = cut(HOURS, 4, length, 0)
    assert len(grid.batches) == number and len(grid.regions) == 4 // number
    assert len(grid.batches[0]) == periods_of(HOURS, length) == (24 if length == "day" else 36)


@pytest.mark.parametrize(("length", "number"), [("month", 3), ("week", 9), ("day", 61)])
def test_dates_are_cut_like_hours(length, number):
    study = dates(61)
    assert len(study.period.span) == 61 and len(cut(study, 4, length, 0).batches) == number


def test_without_periods_there_is_one_batch():
    study = parse(
        {
            "study": {
                "name": "plain",
                "row": {"id": "id", "dimensions": [{"name": "area", "range": [1, 9]}]},
                "column": {"id": "id", "dimensions": [{"name": "kind", "range": [1, 2]}]},
            }
        },
        origin="plain",
    )
    assert [len(cut(study, 4, length, 0).batches) for length in ("release", "week", "day")] == [
        1,
        1,
        1,
    ]


def test_auto_cuts_time_first_without_padding_and_as_little_as_memory_allows_with_it():
    assert len(cut(HOURS, 6, "auto", 0).batches) == 6
    study = padded(dates(61))
    sizes = [
        len(cut(study, 4, "auto", share * BATCH_BYTES).batches)
        for share in (1, 2, 3, 8, 9, 61, 1000)
    ]
    assert sizes == [1, 3, 9, 9, 61, 61, 61]


def test_environments_without_a_batch_are_told():
    assert idle_sentence(3, 3) is None and idle_sentence(3, 1) is None
    assert "4 environments for 3 batches: 1 of them" in str(idle_sentence(3, 4))
    assert "4 environments for 1 batch: 3 of them" in str(idle_sentence(1, 4))
