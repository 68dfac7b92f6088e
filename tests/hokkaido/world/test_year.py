"""The year behind the tables: stays, customers, gifts, and the truth about them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.world.conftest import Block
from tests.hokkaido.world.test_truth import NATIONAL
from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.world.people import People, people_of
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.year import (
    AGAIN,
    AGAIN_GIVEN,
    AGAIN_IN,
    CLASSES,
    TOWNS,
    YEAR_DAYS,
    Year,
    make_year,
    visit_class,
)
from xstat_ray.hokkaido.world.year_truth import year_truth
from xstat_ray.inputs.phone_numbers import to_e164


@pytest.fixture(scope="module")
def year(block: Block) -> Year:
    """Make the year of the block."""
    return make_year(block.world, block.people, block.paths.journeys)


def rows(built: Path, name: str) -> list[dict[str, Any]]:
    """Read a table."""
    return pq.read_table(built / f"{name}.parquet").to_pylist()


def phones(built: Path, name: str) -> list[str]:
    """Read the passengers of a table of the airline, in E.164."""
    spelled = pq.read_table(built / f"airline/{name}.parquet")["passenger"].combine_chunks()
    return to_e164(spelled, "JP").to_pylist()


def test_classes_of_visits():
    assert [CLASSES[at] for at in visit_class(np.array([1, 2, 3, 4, 5, 40]))] == [
        "1", "2", "3-4", "3-4", "5+", "5+",
    ]  # fmt: skip


def test_everybody_has_one_stay_in_a_place_and_none_at_home(block, year):
    stays = year.stays
    pairs = list(zip(stays.person.tolist(), stays.place.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert len(pairs) > len(block.people)
    assert (stays.place < places().local).all()
    assert (stays.place != block.people.home[stays.person]).all()
    assert (places().municipality(stays.cell) == stays.place).all()
    assert (stays.visits >= 1).all()
    assert (stays.nights >= stays.visits).all()


def test_journeys_on_the_days_of_the_tables_are_visits_of_the_year(block, year):
    trips = block.paths.journeys
    first = block.world.first_day.toordinal()
    within = (trips.start >= first) & (trips.start <= block.world.last_day.toordinal())
    local = within & (trips.aim < places().local)
    made = set(zip(trips.person[local].tolist(), trips.aim[local].tolist(), strict=True))
    assert made
    assert made <= set(zip(year.stays.person.tolist(), year.stays.place.tolist(), strict=True))
    flown = np.unique(trips.person[local & trips.with_airline])
    assert (year.landings[flown] > 0).all()


def test_customers_landed_in_hokkaido_with_the_airline(block, year):
    assert ((year.airport >= 0) == (year.landings > 0)).all()
    landed = year.airport[year.airport >= 0]
    where = places()
    assert np.isfinite(where.access[: where.local, landed]).any(axis=0).all()
    assert 0.3 < (year.landings > 0).mean() < 1


def test_gifts_are_of_adults_to_other_towns_before_the_year(block, year):
    gave = year.gift >= 0
    assert 0.15 < gave.mean() < 0.35
    assert {str(code) for code in places().codes[year.gift[gave]]} == set(TOWNS)
    assert (year.gift != block.people.home).all()
    assert (block.people.age[gave] >= 20).all()
    start = block.world.last_day.toordinal() - YEAR_DAYS
    assert ((start - YEAR_DAYS < year.given) & (year.given <= start)).all()


def test_the_tables_are_of_the_people_they_may_be_of(world, built):
    blocks = [people_of(world, number) for number in range(world.blocks)]
    lines = {phone for people in blocks for phone in people.phones(people.subscriber).to_pylist()}
    everybody = {phone for people in blocks for phone in people.phones().to_pylist()}
    assert {row["subscriber"] for row in rows(built, "operator/visits")} <= lines
    for name in ("customers", "donations"):
        found = phones(built, name)
        assert len(found) == len(set(found)) > 100
        assert set(found) <= everybody
        spelled = [row["passenger"].startswith("0") for row in rows(built, f"airline/{name}")]
        assert 0.2 < np.mean(spelled) < 0.4
    last = max(row["donated"] for row in rows(built, "airline/donations"))
    assert last <= world.last_day - dt.timedelta(days=YEAR_DAYS)


@pytest.fixture(scope="module")
def many(block: Block) -> tuple[World, People, Year]:
    """Make the year of many people, without journeys on the days of the tables."""
    world = World(seed=5, people=20_000, block=20_000)
    people = people_of(world, 0)
    none = block.journeys.where(np.zeros(len(block.journeys), bool))
    return world, people, make_year(world, people, none)


def test_people_come_again_as_often_as_planted(many):
    stays = many[2].stays
    given = stays.place == many[2].gift[stays.person]
    loved = stays.place == list(places().codes).index("01665")
    for chosen, chance in (
        (~given & ~loved, AGAIN),
        (loved & ~given, AGAIN_IN["01665"]),
        (given, AGAIN_GIVEN),
    ):
        assert chosen.sum() > 300
        # Somebody may draw one place twice, which adds to its visits.
        assert chance - 0.03 < (stays.visits[chosen] >= 2).mean() < chance + 0.06


def test_those_who_gave_stay_in_the_town_more_often_than_others(many):
    _, people, year = many
    stays = year.stays
    for code in TOWNS:
        town = list(places().codes).index(code)
        visitors = np.zeros(len(people), bool)
        visitors[stays.person[stays.place == town]] = True
        gave = year.gift == town
        assert visitors[gave].mean() > visitors[~gave].mean() + 0.15


def test_the_truth_is_in_the_tables(built):
    db = duckdb.connect()
    db.register("cells_arrow", hokkaido.cells())
    db.execute("CREATE TABLE cells AS SELECT mesh, municipality::VARCHAR AS place FROM cells_arrow")
    lists = [f"'{built}/operator/{name}.parquet'" for name in ("opt_out", "not_used")]
    out = " UNION ALL ".join(f"SELECT subscriber FROM {name}" for name in lists)
    for truth, table, column in (
        ("revisit", "customers", "airport"),
        ("donation", "donations", "town"),
    ):
        found = db.execute(f"""
            SELECT {column}::VARCHAR AS of, place, CASE WHEN visits >= 5 THEN '5+'
                WHEN visits >= 3 THEN '3-4' ELSE visits::VARCHAR END AS times, count(*)
            FROM (SELECT *, {NATIONAL} AS id FROM '{built}/airline/{table}.parquet') JOIN
                '{built}/operator/visits.parquet' ON subscriber = id JOIN cells USING (mesh)
            WHERE id NOT IN ({out}) AND id NOT IN
                (SELECT {NATIONAL} FROM '{built}/airline/no_consent.parquet') GROUP BY ALL
        """).fetchall()
        planted = {
            (row[column], row["municipality"], row["visits"]): row["counted"]
            for row in rows(built, f"truth/{truth}")
            if row["counted"]
        }
        assert {tuple(key): number for *key, number in found} == planted
        assert sum(planted.values()) > 100


def test_truths_of_blocks_add_up(block, year):
    single = year_truth(block.people, year)
    twice = single + single
    assert (twice.revisit == 2 * single.revisit).all()
    assert (twice.donation == 2 * single.donation).all()
    assert (single.donation[..., 1] <= single.donation[..., 0]).all()
