"""The presence table: rows within hours, phones that are off, ordinary days and journeys."""

from __future__ import annotations

import datetime as dt

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from tests.hokkaido.world.conftest import Block
from xstat_ray.hokkaido.world.days import DAY
from xstat_ray.hokkaido.world.presence import SCHEMA, ordinary_stays, presence, travel_stays


@pytest.fixture(scope="module")
def days(block: Block) -> dict[dt.date, pa.Table]:
    """Make the presence of the block on all days."""
    return {
        date: presence(block.world, block.people, block.paths, date.toordinal())
        for date in block.world.dates
    }


def query(rows: pa.Table, sql: str) -> list[tuple]:
    """Query a table by the name of rows."""
    return duckdb.connect().register("rows", rows).sql(sql).fetchall()


def test_rows_are_sorted_and_of_subscribers_on_the_day(block, days):
    phones = set(block.people.phones(block.people.subscriber).to_pylist())
    for date, table in days.items():
        assert table.schema.equals(SCHEMA)
        assert set(table["subscriber"].to_pylist()) <= phones
        assert query(table, "SELECT DISTINCT time::DATE FROM rows") == [(date,)]
        keys = list(zip(table["subscriber"].to_pylist(), table["time"].to_pylist(), strict=True))
        assert keys == sorted(keys)


def test_no_row_crosses_an_hour_and_no_hour_is_longer_than_an_hour(days):
    for table in days.values():
        assert query(
            table, "SELECT count(*) FROM rows WHERE dwell <= 0 OR minute(time) * 60 + dwell > 3600"
        ) == [(0,)]
        per_hour = (
            "SELECT subscriber, hour(time) AS hour, sum(dwell) AS dwell FROM rows GROUP BY ALL"
        )
        assert query(table, f"SELECT max(dwell) FROM ({per_hour})") == [(3600,)]
        following = "lead(time) OVER (PARTITION BY subscriber ORDER BY time)"
        overlap = f"SELECT time + to_seconds(dwell) AS ends, {following} AS next FROM rows"
        assert query(table, f"SELECT count(*) FROM ({overlap}) WHERE ends > next") == [(0,)]


def test_phones_are_on_unless_aboard_or_unsteady(block, days):
    for date, table in days.items():
        seconds = dict(query(table, "SELECT subscriber, sum(dwell) FROM rows GROUP BY 1"))
        phones = np.array(block.people.phones().to_pylist(), object)
        aboard = np.zeros(len(phones), bool)
        today = (block.paths.flights[:, :, 0] // DAY == date.toordinal()).any(axis=1)
        aboard[block.paths.journeys.person[today & block.paths.journeys.by_air]] = True
        steady = block.people.subscriber & ~aboard & ~block.people.unsteady
        assert {seconds[phone] for phone in phones[steady]} == {86_400}
        flying = [
            seconds[phone]
            for phone in phones[block.people.subscriber & aboard & ~block.people.unsteady]
        ]
        assert flying
        assert max(flying) < 86_400 - 30 * 60
    assert any(seconds.get(phone, 0) < 86_400 for phone in phones[block.people.unsteady])


def test_travellers_have_rows_of_quarters_of_an_hour_around_their_flights(block):
    trips = block.paths.journeys
    row = np.flatnonzero(trips.by_air)[:50]
    for day, exact in (
        (trips.start[row] - 1, True),
        (trips.start[row], True),
        (trips.end[row] + 1, True),
    ):
        for journey, date in zip(row, day, strict=True):
            stays = travel_stays(block.paths, np.array([journey]), int(date))
            assert (set(stays.minutes) == {15}) == exact


def test_quiet_days_of_a_journey_have_a_row_an_hour(block):
    trips = block.paths.journeys
    long = np.flatnonzero(trips.by_air & (trips.end - trips.start >= 4))[:20]
    assert len(long)
    for journey in long:
        stays = travel_stays(block.paths, np.array([journey]), int(trips.start[journey] + 2))
        assert stays.minutes.sum() == DAY
        assert len(stays.minute) < 60
        assert (stays.minute // 60 == (stays.minute + stays.minutes - 1) // 60).all()


def test_an_ordinary_day_is_cut_at_hours_and_moves(block):
    times = np.array([[430, 470, 1015, 1055]])
    stays = ordinary_stays(block.people, np.array([3]), times)
    assert stays.minutes.sum() == DAY
    cuts = set(range(0, DAY, 60)) | set(times[0].tolist())
    assert set(stays.minute) == cuts
    at = dict(zip(stays.minute.tolist(), stays.cell.tolist(), strict=True))
    assert at[0] == at[1055] == at[1380] == block.people.cell[3]
    assert at[470] == at[1015 - 55] == block.people.away[3]


def test_home_is_near_home(block, days):
    phones = block.people.phones().to_pylist()
    homes = dict(zip(phones, block.people.cell.tolist(), strict=True))
    table = next(iter(days.values()))
    zones = table["zone"].to_pylist()
    cells = table["mesh"].to_pylist()
    airports = {zone for zone in zones if zone not in ("home", "elsewhere")}
    assert airports
    for phone, zone, cell in zip(table["subscriber"].to_pylist(), zones, cells, strict=True):
        if zone in ("home", "elsewhere"):
            assert (zone == "home") == (cell // 10 == homes[phone] // 10)
