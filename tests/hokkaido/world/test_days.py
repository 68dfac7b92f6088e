"""Ordinary days: when people go, how long they stay, how long the way takes."""

from __future__ import annotations

import datetime as dt

import numpy as np

from xstat_ray.hokkaido.world.days import DAY, ordinary_day, way_minutes


def test_times_of_a_day_rise_and_lie_within_it(block):
    for day in (dt.date(2023, 10, 27), dt.date(2023, 10, 28)):
        times = ordinary_day(block.world, block.people, day.toordinal())
        assert (np.diff(times, axis=1) >= 0).all()
        assert times.min() > 0
        assert times.max() < DAY


def test_workers_work_on_weekdays_and_others_go_out_later(block):
    people = block.people
    friday, saturday = (
        ordinary_day(block.world, people, dt.date(2023, 10, d).toordinal()) for d in (27, 28)
    )
    stay = friday[:, 2] - friday[:, 1]
    assert (stay[people.worker] > 300).mean() > 0.95
    assert np.median(friday[people.worker, 1]) < 9 * 60 < np.median(saturday[people.worker, 1])
    at_home = (saturday == DAY // 2).all(axis=1)
    assert 0.2 < at_home.mean() < 0.4
    assert not (friday[people.worker] == DAY // 2).all(axis=1).any()


def test_ways_take_the_time_of_the_road(block):
    friday = ordinary_day(block.world, block.people, dt.date(2023, 10, 27).toordinal())
    out = ~(friday == DAY // 2).all(axis=1)
    way = way_minutes(block.people)
    assert (friday[out, 1] - friday[out, 0] == way[out]).all()
    assert (friday[out, 3] - friday[out, 2] == way[out]).all()
    assert way.min() >= 5
