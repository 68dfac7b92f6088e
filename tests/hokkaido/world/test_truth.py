"""The truth, which comes from plans, agrees with what can be seen in the tables."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.presence import presence
from xstat_ray.hokkaido.world.truth import BEFORE, truth

NATIONAL = (
    "CASE WHEN passenger LIKE '0%' THEN '+81' || replace(passenger, '-', '')[2:] ELSE passenger END"
)


@pytest.fixture(scope="module")
def db(built: Path) -> duckdb.DuckDBPyConnection:
    """Open the tables of the small world, with the boardings that can be counted in `seen`."""
    db = duckdb.connect()
    land = hokkaido.cells()
    db.register("cells_arrow", land)
    db.execute(
        "CREATE TABLE cells AS SELECT mesh, municipality::VARCHAR AS municipality FROM cells_arrow"
    )
    files = f"{built}/operator/presence/**/*.parquet"
    db.execute(f"CREATE VIEW presence AS FROM read_parquet('{files}', hive_partitioning = false)")
    for name in ("opt_out", "not_used", "subscribers"):
        db.execute(f"CREATE VIEW {name} AS FROM '{built}/operator/{name}.parquet'")
    db.execute(f"""
        CREATE TABLE seen AS SELECT *, {NATIONAL} AS id FROM '{built}/airline/boardings.parquet'
        WHERE consent AND id IN (SELECT subscriber FROM subscribers)
        AND id NOT IN (SELECT subscriber FROM opt_out UNION SELECT subscriber FROM not_used)
    """)
    return db


def rows(built: Path, name: str) -> list[dict[str, Any]]:
    """Read a table of the truth."""
    return pq.read_table(built / "truth" / f"{name}.parquet").to_pylist()


def test_the_watershed_of_those_counted_is_in_the_tables(built, db):
    last = "(SELECT max(departure)::DATE FROM seen)"
    found = db.execute(f"""
        WITH days AS (
            SELECT row_number() OVER () AS trip, id, arrival_airport, season,
                arrival::DATE + after AS day
            FROM seen, (VALUES (0), (1)) AS v(after) WHERE arrival::DATE + after <= {last}
        ),
        spent AS (
            SELECT trip, arrival_airport AS airport, season, municipality, sum(dwell) AS dwell
            FROM days JOIN presence ON subscriber = id AND time::DATE = day
            JOIN cells USING (mesh) GROUP BY ALL
        )
        SELECT airport::VARCHAR, season::VARCHAR, municipality, count(*) FROM (
            FROM spent QUALIFY row_number() OVER (PARTITION BY trip ORDER BY dwell DESC) = 1
        ) GROUP BY ALL
    """).fetchall()
    table = {(airport, season, place): number for airport, season, place, number in found}
    planted = {
        (r["airport"], r["season"], r["municipality"]): r["counted"]
        for r in rows(built, "watershed")
        if r["counted"]
    }
    total = sum(planted.values())
    assert total > 300
    # Plans are looked at every five minutes, the table has quarters of an hour: near ties may
    # differ.
    apart = sum(abs(table.get(key, 0) - planted.get(key, 0)) for key in table | planted)
    assert apart <= 0.05 * total


def test_states_of_those_counted_are_in_the_tables(built, db):
    for before in BEFORE:
        found = db.execute(f"""
            SELECT departure_airport::VARCHAR, halfday::VARCHAR,
            CASE WHEN zone = 'home' THEN 'near home'
                WHEN zone = departure_airport THEN 'near airport' ELSE 'elsewhere' END,
            count(*) FROM seen JOIN presence ON subscriber = id
            AND time <= departure - INTERVAL '{before} minutes'
            AND departure - INTERVAL '{before} minutes' < time + to_seconds(dwell) GROUP BY ALL
        """).fetchall()
        table = {tuple(key): number for *key, number in found}
        planted = {
            (r["airport"], r["halfday"], r["state"]): r["counted"]
            for r in rows(built, "states")
            if r["before"] == f"{before} min" and r["counted"]
        }
        total = sum(planted.values())
        # A quarter of an hour has a single cell, and there are no rows of the day before the first.
        missing = total - sum(table.values())
        assert 0 <= missing <= (0.3 if before == 1440 else 0.03) * total
        if before < 1440:
            assert (
                sum(abs(table.get(key, 0) - planted.get(key, 0)) for key in table | planted)
                <= 0.15 * total
            )


def test_everybody_is_more_than_those_counted(built):
    for name in ("watershed", "states"):
        table = rows(built, name)
        assert all(0 <= row["counted"] <= row["all"] and row["all"] > 0 for row in table)
        share = sum(row["counted"] for row in table) / sum(row["all"] for row in table)
        assert share == pytest.approx(0.42 * 0.93 * 0.9, abs=0.06)


def test_every_passenger_is_in_one_state_at_a_time(built):
    boardings: Counter[str] = Counter(
        pq.read_table(built / "airline" / "boardings.parquet")["departure_airport"].to_pylist()
    )
    for before in BEFORE:
        found: Counter[str] = Counter()
        for row in rows(built, "states"):
            if row["before"] == f"{before} min":
                found[row["airport"]] += row["all"]
        assert found == boardings


def test_visitors_are_in_the_tables(world, block):
    people = block.people
    paths = block.paths
    steady = people.subscriber & ~people.unsteady & (people.age >= 15) & (people.age <= 79)
    # All others are made too young to count.
    counted = truth(
        world, dataclasses.replace(people, age=np.where(steady, people.age, 5)), paths
    ).areas[:, 0]
    found = np.zeros_like(counted)
    person = {phone: who for who, phone in enumerate(people.phones().to_pylist())}
    for date in world.dates:
        table = presence(world, people, paths, date.toordinal())
        who = np.array([person[phone] for phone in table["subscriber"].to_pylist()])
        place = places().municipality(table["mesh"].to_numpy())
        away = np.isin(who, paths.journeys.person[paths.on(date.toordinal())]) & steady[who]
        visiting = away & (place >= 0) & (place != people.home[who])
        np.add.at(found, place[visiting], table["dwell"].to_numpy()[visiting] // 60)
    assert counted.sum() > 100_000
    assert (found == counted).all()


def test_landings_go_where_the_passengers_of_the_east_go(built, world):
    areas = rows(built, "areas")
    assert len(areas) == places().local
    passengers = sum(row["passengers"] for row in areas)
    airports = pq.read_table(built / "airline" / "boardings.parquet")["arrival_airport"].to_pylist()
    east = sum(airport in ("KUH", "MMB", "SHB", "OBO") for airport in airports)
    assert 0.9 * east <= passengers <= east
    for row in areas:
        if row["passengers"]:
            assert 15 <= row["landing_minutes"] / row["passengers"] <= 600


def test_truths_of_blocks_add_up(world, block):
    single = truth(world, block.people, block.paths)
    twice = single + single
    assert (twice.watershed == 2 * single.watershed).all()
    assert (twice.areas == 2 * single.areas).all()
