"""The card company's table: landings of members, and the mean spend that is planted by town."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.world.conftest import Block
from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.world.card import (
    HIGHEST,
    MEAN,
    MEAN_IN,
    SCHEMA,
    card,
    landings,
    members,
    spend,
    spend_table,
    spent,
)
from xstat_ray.hokkaido.world.days import DAY
from xstat_ray.hokkaido.world.places import places
from xstat_ray.inputs.phone_numbers import to_e164


def test_rows_are_landings_of_members_on_the_way_there(block: Block):
    table = card(block.world, block.people, block.paths)
    assert table.schema.equals(SCHEMA)
    row = landings(block.world, block.people, block.paths)
    holders = members(block.world, block.people)
    who = block.paths.journeys.person[row]
    assert holders[who].all()
    assert (block.people.age[who] >= 18).all()
    assert 0.2 < holders.mean() < 0.4
    phones = to_e164(table["member"].combine_chunks(), "JP").to_pylist()
    assert phones == block.people.phones(who).to_pylist()
    minutes = [time.hour * 60 + time.minute for time in table["landed"].to_pylist()]
    assert minutes == (block.paths.flights[row, 0, 1] % DAY).tolist()


def test_members_fly_with_any_airline(block: Block):
    row = landings(block.world, block.people, block.paths)
    with_airline = block.paths.journeys.with_airline[row]
    assert with_airline.any()
    assert not with_airline.all()


@pytest.mark.parametrize("code", [*MEAN_IN, None])
def test_the_mean_spend_in_a_town_is_as_planted(block: Block, code: str | None):
    trips = block.paths.journeys
    town = list(places().codes).index(code or "01211")
    paths = replace(block.paths, journeys=replace(trips, aim=np.full(len(trips), town)))
    yen = spend(block.world, block.people, paths, np.arange(len(trips)))
    mean = MEAN_IN.get(code, MEAN) if code else MEAN
    # The standard deviation of Beta(2, 4) is 0.178, against a mean of 1/3.
    assert abs(yen.mean() / mean - 1) < 5 * 0.54 / np.sqrt(len(yen)) < 0.15
    assert 0 <= yen.min() <= yen.max() <= HIGHEST


def test_no_spend_exceeds_the_highest_anywhere():
    assert 3 * max(MEAN, *MEAN_IN.values()) <= HIGHEST


def test_sql_finds_the_truth_in_the_tables(built: Path):
    """The presence tables have the truth but for minutes, and for phones that were off."""
    found = _sql(built)
    truth = {
        row["municipality"]: row for row in pq.read_table(built / "truth/spend.parquet").to_pylist()
    }
    counted = {
        code: row["members_counted"] for code, row in truth.items() if row["members_counted"]
    }
    assert sum(counted.values()) > 30
    known = sum(min(n, found.get(code, (0, 0))[0]) for code, n in counted.items())
    assert known > 0.93 * sum(counted.values())
    assert abs(sum(n for n, _ in found.values()) / sum(counted.values()) - 1) < 0.05
    yen = sum(row["spend_counted"] for row in truth.values())
    assert abs(sum(of for _, of in found.values()) / yen - 1) < 0.05


def test_sums_of_a_block_are_a_table_of_what_is_not_zero(block: Block):
    count = spent(block.world, block.people, block.paths)
    table = spend_table(count)
    assert sum(table["members"].to_pylist()) == count[:, 0].sum()
    assert sum(table["spend"].to_pylist()) == count[:, 1].sum()
    assert (count[:, 2:] <= count[:, :2]).all()
    assert min(table["members"].to_pylist()) > 0


def _sql(tables: Path) -> dict[str, tuple[int, int]]:
    """Count landings of members, and sum up their spend, by where they were longest next day."""
    db = duckdb.connect()
    db.register("cells_arrow", hokkaido.cells())
    db.execute("CREATE TABLE cells AS SELECT mesh, municipality::VARCHAR AS code FROM cells_arrow")
    rows = db.execute(f"""
        WITH days AS (
            SELECT subscriber AS id, date::DATE AS day, code, sum(dwell) AS dwell
            FROM '{tables}/operator/presence/*/*.parquet' JOIN cells USING (mesh)
            WHERE subscriber NOT IN (FROM '{tables}/operator/opt_out.parquet') AND subscriber
                NOT IN (SELECT subscriber FROM '{tables}/operator/not_used.parquet')
            GROUP BY ALL
        ),
        longest AS (
            FROM days
            QUALIFY row_number() OVER (PARTITION BY id, day ORDER BY dwell DESC, code) = 1
        ),
        stays AS (
            SELECT CASE WHEN member LIKE '0%' THEN '+81' || replace(member, '-', '')[2:]
                ELSE member END AS id, landed::DATE + 1 AS day, spend
            FROM '{tables}/card/spend.parquet'
        )
        SELECT code, count(*), sum(spend)::BIGINT FROM stays JOIN longest USING (id, day) GROUP BY code
    """).fetchall()
    return {code: (number, yen) for code, number, yen in rows}


def test_the_page_tells_the_planted_means():
    page = (Path(__file__).parents[3] / "docs/world.md").read_text()
    page = page.split("| stay in |")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| ([A-Za-z ]+) \| ([\d,]+) \|$", page, re.MULTILINE))
    towns = hokkaido.municipalities()
    names = dict(zip(towns["code"].to_pylist(), towns["name_en"].to_pylist(), strict=True))
    planted = {names[code]: mean for code, mean in MEAN_IN.items()} | {"anywhere else": MEAN}
    assert {name: int(mean.replace(",", "")) for name, mean in rows.items()} == planted
