"""The year behind the tables: where people stayed how often, who flew there, who gave to a town."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.demand import (
    NOT_A_JOURNEY,
    NOT_BY_AIR,
    air_weights,
    airport_weights,
    road_weights,
)
from xstat_ray.hokkaido.world.journeys import YOUNGEST, Journeys
from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.streams import choose, stream
from xstat_ray.hokkaido.world.timetable import timetable

YEAR_DAYS = 365
"""Days of the year, the last of which is the last day of the tables."""
CLASSES = ("1", "2", "3-4", "5+")
"""Classes of the number of visits of a person to a place in the year."""
_CLASS_EDGES = (2, 3, 5)
AGAIN = 0.3
"""Chance that somebody who has stayed in a place stays there once more within the year."""
AGAIN_IN: Mapping[str, float] = {"01665": 0.7}
"""That chance in a town to which people come again far more often: Teshikaga."""
AGAIN_GIVEN = 0.65
"""That chance in the town to which somebody gave."""
VISITS_GIVEN = 0.3
"""Chance that somebody who gave to a town stays there for that reason."""
TOWNS: Mapping[str, float] = {
    "01219": 2,
    "01223": 2,
    "01633": 1,
    "01663": 1,
    "01668": 2,
    "01691": 3,
}
"""Towns to which people give, with weights."""
_GIVES = 0.35
_GIVER_AGES = (20, 75)
_MOST_VISITS = 40
_MOST_NIGHTS = 3
_MONTH = 6
"""The month whose attractions stand for those of the year."""
_FORTNIGHTS = YEAR_DAYS // 14
_SECOND = 0.3
"""Chance of a second place by air, and of a place by road, for those who travel in the year."""
_ROAD = 0.5


class Stays(NamedTuple):
    """S pairs of a person and a place of Hokkaido, and how often the person stayed there."""

    person: NDArray[np.int64]
    place: NDArray[np.int64]
    cell: NDArray[np.int32]
    """(S,) 500 m cells in which they stay overnight."""
    visits: NDArray[np.int64]
    nights: NDArray[np.int64]
    airport: NDArray[np.int64]
    """(S,) airports at which they landed with the airline on the way there; -1 otherwise."""


class Chosen(NamedTuple):
    """C people and a place of Hokkaido in which each of them stays."""

    person: NDArray[np.int64]
    place: NDArray[np.int64]
    by_air: NDArray[np.bool_]


@dataclass(frozen=True)
class Year:
    """What N people did in the year, and to which towns they gave in the year before it."""

    stays: Stays
    """One for each person and place, ascending."""
    airport: NDArray[np.int64]
    """(N,) airports of Hokkaido where people landed most often with the airline; -1 for nobody's
    customers."""
    landings: NDArray[np.int64]
    """(N,) landings with the airline on the way to places of Hokkaido."""
    gift: NDArray[np.int64]
    """(N,) places to which people gave; -1 for those who gave to none."""
    given: NDArray[np.int64]
    """(N,) days (ordinals) of the gifts, all of them before the year."""


def visit_class(visits: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) places in `CLASSES` of numbers of visits."""
    return np.searchsorted(_CLASS_EDGES, visits, side="right")


def make_year(world: World, people: People, trips: Journeys) -> Year:
    """Draw the year of a block. Journeys on the days of the tables are visits of the year, too.

    Args:
        world: the settings.
        people: the block.
        trips: the journeys of its people that are possible.
    """
    gift, given = _gifts(world, people)
    flies = 1 - (1 - world.air) ** _FORTNIGHTS
    drives = 1 - (1 - world.ground) ** _FORTNIGHTS
    parts = [
        _favourite(world, people, gift, "by air", flies),
        _favourite(world, people, gift, "by air again", flies * _SECOND),
        _favourite(world, people, gift, "by road", drives * _ROAD),
        _visits_to_gift(world, people, gift),
        _recent(world, people, gift, trips),
    ]
    every = Stays(*(np.concatenate(of) for of in zip(*parts, strict=True)))
    return Year(_each_place_once(every), *_landings(every, len(people)), gift, given)


def _gifts(world: World, people: People) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw to which town people gave, never that in which they live, and when."""
    where = places()
    size = len(people)
    draw = stream(world.seed, "gifts", people.block)
    u_gives, u_town = draw.random((2, size))
    ahead = draw.integers(1, YEAR_DAYS + 1, size)
    towns = np.array([list(where.codes).index(code) for code in TOWNS])
    weights = np.tile(np.array(list(TOWNS.values()), float), (size, 1))
    town = towns[choose(weights, u_town)]
    adult = (people.age >= _GIVER_AGES[0]) & (people.age < _GIVER_AGES[1])
    gives = adult & (u_gives < _GIVES) & (town != people.home)
    first = world.last_day.toordinal() + 1 - YEAR_DAYS
    return np.where(gives, town, -1), first - ahead


def _favourite(
    world: World, people: People, gift: NDArray[np.int64], purpose: str, chance: float
) -> Stays:
    """Draw a place for those who travel, by the gravity model of journeys by air or by road."""
    where = places()
    draw = stream(world.seed, purpose, people.block)
    u_goes, u_aim = draw.random((2, len(people)))
    by_air = purpose != "by road"
    goes = (people.age >= YOUNGEST) & (u_goes < chance)
    who = np.flatnonzero(goes & (by_air | (people.home < where.local)))
    weights = air_weights(_MONTH, 0, world.studied) if by_air else road_weights(_MONTH)
    aim = choose(weights[people.home[who]], u_aim[who])
    local = (aim >= 0) & (aim < where.local)
    chosen = Chosen(who[local], aim[local], np.full(int(local.sum()), by_air))
    return _stays(world, people, gift, chosen, draw)


def _visits_to_gift(world: World, people: People, gift: NDArray[np.int64]) -> Stays:
    """Draw who stays in the town to which they gave; by air where it is far."""
    where = places()
    draw = stream(world.seed, "visits to gifts", people.block)
    minutes = where.drive[people.home, gift]
    goes = (gift >= 0) & (draw.random(len(people)) < VISITS_GIVEN) & (minutes >= NOT_A_JOURNEY)
    who = np.flatnonzero(goes)
    chosen = Chosen(who, gift[who], minutes[who] >= NOT_BY_AIR)
    return _stays(world, people, gift, chosen, draw)


def _stays(
    world: World,
    people: People,
    gift: NDArray[np.int64],
    chosen: Chosen,
    draw: np.random.Generator,
) -> Stays:
    """Draw how often people stay in a place, where in it, and at which airport they land."""
    who, aim, by_air = chosen
    where = places()
    table = timetable()
    u_again, u_nights, u_cell, u_route, u_airline = draw.random((5, len(who)))
    visits = _visits(gift[who], aim, u_again)
    airport = np.full(len(who), -1)
    rows = np.flatnonzero(by_air & (u_airline < world.own))
    ways = airport_weights(people.home[who[rows]], aim[rows], 0, world.studied)
    route = choose(ways, u_route[rows])
    airport[rows] = np.where(route >= 0, table.target[route], -1)
    return Stays(
        person=who,
        place=aim,
        cell=where.cell(aim, u_cell, spread=0.3),
        visits=visits,
        nights=visits * (1 + (u_nights * _MOST_NIGHTS).astype(np.int64)),
        airport=airport,
    )


def _visits(
    gift: NDArray[np.int64], aim: NDArray[np.int64], u: NDArray[np.float64]
) -> NDArray[np.int64]:
    """(N,) numbers of visits to places: each visit is followed by another with the same chance."""
    chances = np.array([AGAIN_IN.get(code, AGAIN) for code in places().codes])
    again = np.where(aim == gift, AGAIN_GIVEN, chances[aim])
    return 1 + np.minimum(np.log1p(-u) / np.log(again), _MOST_VISITS - 1).astype(np.int64)


def _recent(world: World, people: People, gift: NDArray[np.int64], trips: Journeys) -> Stays:
    """List where journeys lead that start on days of the tables, with the visits before them."""
    where = places()
    table = timetable()
    last = world.last_day.toordinal()
    first = max(world.first_day.toordinal(), last + 1 - YEAR_DAYS)
    within = (first <= trips.start) & (trips.start <= last)
    trips = trips.where(within & (trips.aim < where.local))
    landed = table.target[table.route[trips.flight[:, 0]]]
    u = stream(world.seed, "visits before", people.block).random(len(trips))
    visits = _visits(gift[trips.person], trips.aim, u)
    return Stays(
        person=trips.person,
        place=trips.aim,
        cell=trips.base,
        visits=visits,
        nights=visits * (trips.end - trips.start),
        airport=np.where(trips.with_airline, landed, -1),
    )


def _each_place_once(every: Stays) -> Stays:
    """Add up the stays of a person in a place."""
    pair = every.person * len(places().codes) + every.place
    _, first, group = np.unique(pair, return_index=True, return_inverse=True)
    visits, nights = (
        np.bincount(group, of, len(first)).astype(np.int64) for of in (every.visits, every.nights)
    )
    return Stays(
        person=every.person[first],
        place=every.place[first],
        cell=every.cell[first],
        visits=visits,
        nights=nights,
        airport=every.airport[first],
    )


def _landings(every: Stays, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(size,) airports where people landed most often, the first of several, and all landings."""
    flown = every.airport >= 0
    count = np.zeros((size, len(places().airports)), np.int64)
    np.add.at(count, (every.person[flown], every.airport[flown]), every.visits[flown])
    landings = count.sum(axis=1)
    return np.where(landings > 0, count.argmax(axis=1), -1), landings
