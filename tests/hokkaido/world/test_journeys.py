"""Journeys: at most one at a time, flights there and back, and who travels how."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from xstat_ray.hokkaido.world.journeys import Journeys, journeys
from xstat_ray.hokkaido.world.people import People, people_of
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.timetable import timetable


@pytest.fixture(scope="module")
def month() -> tuple[People, Journeys]:
    """Make a month of journeys of 4,000 people."""
    world = World(people=4_000, block=4_000, days=30)
    people = people_of(world, 0)
    return people, journeys(world, people, world.first_day.toordinal(), world.last_day.toordinal())


def test_nobody_is_on_two_journeys_at_a_time(month):
    _, trips = month
    order = np.lexsort((trips.start, trips.person))
    of_one_person = np.diff(trips.person[order]) == 0
    assert of_one_person.any()
    # A path covers the day before and the day after, too.
    assert (trips.start[order][1:] - 1 > trips.end[order][:-1] + 1)[of_one_person].all()


def test_days_that_two_spans_share_have_the_same_journeys(month):
    people, trips = month
    world = World(people=4_000, block=4_000, days=30)
    first = world.first_day.toordinal() + 10
    part = journeys(world, people, first, first + 3)
    inside = trips.where((trips.start - 1 <= first + 3) & (trips.end + 1 >= first))
    for field in dataclasses.fields(part):
        assert np.array_equal(getattr(part, field.name), getattr(inside, field.name)), field.name


def test_flights_lead_there_and_back_on_days_on_which_they_fly(month):
    _, trips = month
    table = timetable()
    air = trips.where(trips.by_air)
    there, back = table.route[air.flight].T
    assert (table.back[there] == back).all()
    for leg, day in enumerate((air.start, air.end)):
        assert table.flies[(day - 1) % 7, air.flight[:, leg]].all()
    assert (air.end > air.start).all()
    assert air.lead.min() >= 15


def test_who_travels_how(month):
    people, trips = month
    road = trips.where(~trips.by_air)
    air = trips.where(trips.by_air)
    assert len(road) > 100
    assert (people.home[road.person] < places().local).all()
    assert (road.aim < places().local).all()
    assert not road.with_airline.any()
    assert people.age[air.person].min() >= 10
    assert air.with_airline.mean() == pytest.approx(World().own, abs=0.05)
    assert (trips.aim != people.home[trips.person]).all()


def test_morning_flights_are_caught_in_haste(month):
    _, trips = month
    air = trips.where(trips.by_air)
    for airport in ("CTS", "HND"):
        table = timetable()
        from_airport = table.origin[table.route[air.flight]] == places().airports.index(airport)
        morning = table.departure[air.flight] < 720
        early = air.lead[from_airport & morning]
        assert np.median(early) < np.median(air.lead[from_airport & ~morning])
