"""Paths: where travellers are at any minute of a journey."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.hokkaido.world.conftest import Block
from xstat_ray.geo import hokkaido, mesh
from xstat_ray.hokkaido.world.days import DAY
from xstat_ray.hokkaido.world.paths import between
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.timetable import timetable


def gates(block: Block, leg: int, end: str) -> NDArray[np.int64]:
    """Find the 500 m cells of the airports at an end of the flights of a leg."""
    table = timetable()
    airports = hokkaido.airports()
    cells = mesh.encode(airports["lat"].to_numpy(), airports["lon"].to_numpy(), "500m")
    return cells[getattr(table, end)[table.route[block.paths.journeys.flight[:, leg]]]]


@pytest.fixture(scope="module")
def flown(block: Block) -> NDArray[np.int64]:
    """Find the journeys by air."""
    return np.flatnonzero(block.paths.journeys.by_air)


def test_nobody_has_to_hurry(block):
    assert (np.diff(block.paths.times, axis=1) >= 0).all()
    assert 0.9 * len(block.journeys) < len(block.paths) <= len(block.journeys)


def test_paths_begin_and_end_at_home_around_the_journey(block):
    home = block.people.cell[block.paths.journeys.person]
    trips = block.paths.journeys
    assert (block.paths.cells[:, [0, -1]] == home[:, None]).all()
    assert (block.paths.times[:, 0] == (trips.start - 1) * DAY).all()
    assert (block.paths.times[:, -1] == (trips.end + 2) * DAY).all()


@pytest.mark.parametrize("leg", [0, 1])
def test_passengers_are_at_the_airports_before_and_after_the_flight_and_off_in_between(
    block, flown, leg
):
    departure, arrival = block.paths.flights[flown, leg].T
    assert (block.paths.at(flown, departure - 1) == gates(block, leg, "origin")[flown]).all()
    assert (block.paths.at(flown, departure - 15) == gates(block, leg, "origin")[flown]).all()
    assert (block.paths.at(flown, arrival) == gates(block, leg, "target")[flown]).all()
    for aboard in (departure, arrival - 1):
        assert not block.paths.at(flown, aboard).any()


def test_people_sleep_where_they_stay(block):
    trips = block.paths.journeys
    rows = np.arange(len(block.paths))
    assert (block.paths.at(rows, trips.end * DAY + 3 * 60) == trips.base).mean() > 0.98
    assert (
        block.paths.at(rows, (trips.end + 1) * DAY + 23 * 60 + 59)
        == block.people.cell[trips.person]
    ).mean() > 0.98


def test_people_are_at_the_points_of_their_path_at_their_times(block):
    rng = np.random.default_rng(3)
    row = rng.integers(0, len(block.paths), 500)
    point = rng.integers(1, block.paths.times.shape[1] - 1, 500)
    minute = block.paths.times[row, point]
    alone = (block.paths.times[row] == minute[:, None]).sum(axis=1) == 1
    aboard = block.paths.at(row, minute) == 0
    chosen = alone & ~aboard
    assert chosen.sum() > 100
    assert (block.paths.at(row, minute) == block.paths.cells[row, point])[chosen].all()


def test_people_move_on_a_straight_line_over_land():
    where = places()
    kushiro, kitami = (
        where.cell(np.array([list(where.codes).index(c)]), np.zeros(1)) for c in ("01206", "01208")
    )
    shares = np.linspace(0, 1, 11)
    cells = between(kushiro.repeat(11), kitami.repeat(11), shares)
    assert cells[0] == kushiro
    assert cells[-1] == kitami
    lat, _ = mesh.centre(cells, "500m")
    assert (np.diff(lat) > 0).all()
    # The straight line from Wakkanai to Kushiro crosses water near the coast; cells are on land.
    wakkanai = where.cell(np.array([list(where.codes).index("01214")]), np.zeros(1))
    assert (
        where.municipality(between(wakkanai.repeat(50), kushiro.repeat(50), np.linspace(0, 1, 50)))
        >= 0
    ).all()


def test_a_day_has_at_most_one_path_of_anybody(block):
    for date in block.world.dates:
        travelling = block.paths.on(date.toordinal())
        person = block.paths.journeys.person[travelling]
        assert len(np.unique(person)) == len(person)
