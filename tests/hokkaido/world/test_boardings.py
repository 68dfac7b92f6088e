"""The table of boardings, and members who did not consent."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.hokkaido.world.conftest import Block
from xstat_ray.hokkaido.world.boardings import SCHEMA, boardings, no_consent
from xstat_ray.hokkaido.world.days import DAY
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.timetable import timetable
from xstat_ray.inputs.phone_numbers import to_e164


@pytest.fixture(scope="module")
def rows(block: Block) -> pa.Table:
    """Make the boardings of the block."""
    return boardings(block.world, block.people, block.paths)


def test_rows_are_flights_of_the_timetable(rows):
    assert rows.schema.equals(SCHEMA)
    table = timetable()
    airports = places().airports
    known = {
        (
            number,
            f"{airports[table.origin[route]]}-{airports[table.target[route]]}",
            int(departure),
            int(arrival),
        )
        for number, route, departure, arrival in zip(
            table.number, table.route, table.departure, table.arrival, strict=True
        )
    }
    for row in rows.to_pylist():
        minutes = [time.hour * 60 + time.minute for time in (row["departure"], row["arrival"])]
        assert (row["flight"], row["leg"], *minutes) in known
        assert row["leg"] == f"{row['departure_airport']}-{row['arrival_airport']}"
        assert row["season"] == (
            "W23" if row["departure"].date().isoformat() >= "2023-10-29" else "S23"
        )
        assert row["halfday"] == ("morning" if row["departure"].hour < 12 else "afternoon")


def test_rows_are_on_the_days_of_the_tables(block, rows):
    days = {time.date() for time in rows["departure"].to_pylist()}
    assert days == set(block.world.dates)


def test_passengers_are_those_who_fly_with_the_airline(block, rows):
    trips = block.paths.journeys
    booked = set(block.people.phones(np.unique(trips.person[trips.with_airline])).to_pylist())
    found = set(to_e164(rows["passenger"].combine_chunks(), "JP").to_pylist())
    assert found <= booked
    assert len(found) > 0.8 * len(booked)
    road = set(block.people.phones(np.unique(trips.person[~trips.by_air])).to_pylist())
    assert not found & (road - booked)
    spelled = [text.startswith("0") for text in rows["passenger"].to_pylist()]
    assert 0.2 < np.mean(spelled) < 0.4


def test_attributes_are_those_of_the_person(block, rows):
    person = dict(zip(block.people.phones().to_pylist(), range(len(block.people)), strict=True))
    edges = {
        "0-14": (0, 14),
        "15-29": (15, 29),
        "30-44": (30, 44),
        "45-59": (45, 59),
        "60-79": (60, 79),
        "80+": (80, 200),
    }
    phones = to_e164(rows["passenger"].combine_chunks(), "JP").to_pylist()
    for phone, row in zip(phones, rows.to_pylist(), strict=True):
        who = person[phone]
        youngest, oldest = edges[row["age_class"]]
        assert youngest <= block.people.age[who] <= oldest
        assert (row["sex"] == "male") == block.people.male[who]
        assert row["home_region"] == places().regions[block.people.home[who]]
        assert row["member"] == block.people.member[who]
        assert row["consent"] != block.people.refuses[who]


def test_who_did_not_consent_is_listed_whether_they_fly_or_not(block):
    assert (
        no_consent(block.people)["passenger"].to_pylist()
        == block.people.phones(block.people.refuses).to_pylist()
    )


def test_a_way_there_before_the_first_day_leaves_only_the_way_back(block, rows):
    trips = block.paths.journeys
    before = trips.with_airline & (trips.start < block.world.first_day.toordinal())
    assert before.any()
    departures = block.paths.flights[before, :, 0] // DAY
    assert (departures[:, 0] < block.world.first_day.toordinal()).all()
