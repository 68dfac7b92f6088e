"""The regional airline's table, and its codeshares with the big airline."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.world.conftest import Block
from xstat_ray.hokkaido.world.boardings import booked
from xstat_ray.hokkaido.world.regional import (
    BOOKED,
    SCHEMA,
    TABLES,
    boardings,
    passengers,
    passengers_table,
    refuses,
    regional,
)
from xstat_ray.hokkaido.world.timetable import timetable
from xstat_ray.inputs.phone_numbers import to_e164


@pytest.fixture(scope="module")
def rows(block: Block) -> pa.Table:
    """Make the boardings of the block."""
    return boardings(block.world, block.people, block.paths)


def flights(table: pa.Table) -> set[tuple[object, ...]]:
    """Name the persons and the flights of a table of boardings."""
    phones = to_e164(table["passenger"].combine_chunks(), "JP").to_pylist()
    parts = [table[name].to_pylist() for name in ("leg", "departure", "arrival")]
    return set(zip(phones, *parts, strict=True))


def test_it_flies_from_and_to_okadama_alone(rows):
    assert rows.schema.equals(SCHEMA)
    assert {"OKD" in leg.split("-") for leg in rows["leg"].to_pylist()} == {True}
    assert {name[:2] for name in rows["flight"].to_pylist()} == {"HC"}


def test_its_flights_are_named_in_the_timetable():
    names = regional().number
    assert len(set(names)) == len(names)
    for number, name, flies in zip(timetable().number, names, regional().flies, strict=True):
        assert name == ("HC" + number[2:] if flies else number)
    assert regional().flies.sum() == 30
    assert not (regional().codeshare & ~regional().flies).any()


def test_a_codeshare_is_the_same_flight_of_the_same_person_in_both_tables(built):
    big, small = (pq.read_table(built / of / "boardings.parquet") for of in ("airline", "regional"))
    shared = flights(big) & flights(small)
    assert shared == flights(small.filter(small["codeshare"]))
    assert 50 < len(shared) < small.num_rows


def test_passengers_of_the_big_airline_are_aboard_on_codeshares_alone(block, rows):
    row, leg = booked(block.world, block.paths)
    flight = block.paths.journeys.flight[row, leg]
    shared = int(regional().codeshare[flight].sum())
    assert sum(rows["codeshare"].to_pylist()) == shared
    assert shared < int(regional().flies[flight].sum())


def test_who_is_booked_with_nobody_else_is_with_it_as_often_as_planted(block, rows):
    trips = block.paths.journeys
    other = trips.by_air & ~trips.with_airline
    its = other[:, None] & regional().flies[trips.flight] & (trips.flight >= 0)
    days = block.paths.flights[:, :, 0] // 1440
    first, last = (day.toordinal() for day in (block.world.first_day, block.world.last_day))
    size = int((its & (days >= first) & (days <= last)).sum())
    found = rows.num_rows - sum(rows["codeshare"].to_pylist())
    # Both legs of a journey are booked together, so flights vary twice as much as coins would.
    assert abs(found - BOOKED * size) < 5 * np.sqrt(2 * size * BOOKED * (1 - BOOKED))


def test_people_refuse_each_airline_by_themselves(block):
    both = refuses(block.world, block.people) & block.people.refuses
    assert 0 < refuses(block.world, block.people).sum() < 30
    assert both.sum() < block.people.refuses.sum()


def test_sql_finds_the_flights_by_table_that_the_truth_tells(built: Path):
    phone = "CASE WHEN {0} LIKE '0%' THEN '+81' || replace({0}, '-', '')[2:] ELSE {0} END"
    found = duckdb.execute(f"""
        WITH flights AS (
            SELECT {phone.format("passenger")} AS id, leg, departure, of, {phone.format("passenger")}
                NOT IN (FROM '{built}/airline/no_consent.parquet') OR of = 1 AS big,
                {phone.format("passenger")}
                NOT IN (FROM '{built}/regional/no_consent.parquet') OR of = 0 AS small
            FROM (
                SELECT passenger, leg, departure, 0 AS of FROM '{built}/airline/boardings.parquet'
                UNION ALL
                SELECT passenger, leg, departure, 1 FROM '{built}/regional/boardings.parquet'
            )
        ),
        persons AS (
            SELECT id, leg, departure, list(of) AS tables, bool_or(big AND small) AS consents
            FROM flights GROUP BY ALL
        )
        SELECT leg, CASE WHEN len(tables) = 2 THEN 'both' WHEN tables[1] = 0 THEN 'airline'
            ELSE 'regional' END AS held, count(*), count(*) FILTER (
                consents AND id IN (SELECT subscriber FROM '{built}/operator/subscribers.parquet')
                AND id NOT IN (FROM '{built}/operator/opt_out.parquet')
                AND id NOT IN (SELECT subscriber FROM '{built}/operator/not_used.parquet')
            )
        FROM persons GROUP BY ALL
    """).fetchall()
    truth = pq.read_table(built / "truth/passengers.parquet")
    assert set(found) == set(zip(*(column.to_pylist() for column in truth.columns), strict=True))
    assert set(truth["tables"].to_pylist()) == set(TABLES)


def test_counts_of_a_block_are_a_table_of_what_is_not_zero(block):
    count = passengers(block.world, block.people, block.paths)
    table = passengers_table(count)
    assert sum(table["all"].to_pylist()) == count[..., 0].sum()
    assert 0 < sum(table["counted"].to_pylist()) < count[..., 0].sum()
