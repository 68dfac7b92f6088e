"""A small world over the opening of the route, which is made once for all tests."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import pytest

from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.journeys import Journeys, journeys
from xstat_ray.hokkaido.world.paths import Paths, make_paths
from xstat_ray.hokkaido.world.people import People, people_of
from xstat_ray.hokkaido.world.settings import World

SMALL = World(
    seed=7,
    first_day=dt.date(2023, 10, 27),
    days=5,
    people=2_500,
    block=1_000,
    air=0.5,
    unsteady=0.05,
)


class Block(NamedTuple):
    """A block of the small world."""

    world: World
    people: People
    journeys: Journeys
    paths: Paths


@pytest.fixture(scope="session")
def world() -> World:
    return SMALL


@pytest.fixture(scope="session")
def block(world: World) -> Block:
    """Make the first block."""
    people = people_of(world, 0)
    trips = journeys(world, people, world.first_day.toordinal(), world.last_day.toordinal())
    return Block(world, people, trips, make_paths(world, people, trips))


@pytest.fixture(scope="session")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the tables of the small world into a folder."""
    out = tmp_path_factory.mktemp("world") / "tables"
    build(world, out, map, lambda _: None)
    return out
