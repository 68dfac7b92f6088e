"""What members spend by town is found as planted, by the study without noise and by SQL."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import KEY_BITS
from tests.hokkaido.needs.counting import count_spend
from tests.hokkaido.world.test_year_studies import shipped
from tests.sizes import thorough
from xstat_ray import Options, crosstab
from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.card import MEAN, MEAN_IN
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs.source import Source

MANY = World(
    seed=9,
    first_day=dt.date(2023, 10, 30),
    days=4,
    people=12_000,
    block=4_000,
    share=0.95,
    air=1,
    ground=0,
    studied=200,
)
"""Many who land and have a line of the operator."""
OPTED_OUT = ("operator/opt_out.parquet", "operator/not_used.parquet")
LEAST = 10
"""Members of a town whose mean spend is looked at."""
SPREAD = 0.54
"""Standard deviation of a spend, in its mean: that of Beta(2, 4), in 1/3."""


class Figures(NamedTuple):
    """Members of a town, what they spent, and its mean."""

    members: int
    spend: int
    mean: float


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world in which no two municipalities have the same dwell of a person on a day."""
    out = tmp_path_factory.mktemp("spend") / "tables"
    build(MANY, out, map, lambda _: None)
    for path in sorted((out / "operator" / "presence").rglob("*.parquet")):
        rows = pq.read_table(path, partitioning=None)
        dwell = 10_000 * rows["dwell"].to_numpy().astype(np.int64) + np.arange(len(rows)) % 9_973
        place = rows.schema.get_field_index("dwell")
        pq.write_table(rows.set_column(place, "dwell", pa.array(dwell)), path)
    return out


def by_sql(tables: Path) -> dict[str, Figures]:
    """Find the figures in the clear, by the code of the municipality."""
    db = duckdb.connect()
    db.register("towns", hokkaido.cells())
    rows = db.execute(f"""
        WITH days AS (
            SELECT subscriber AS id, date::DATE AS day, municipality::VARCHAR AS code,
                sum(dwell) AS dwell
            FROM '{tables}/operator/presence/*/*.parquet' JOIN towns USING (mesh)
            WHERE subscriber NOT IN (FROM '{tables}/{OPTED_OUT[0]}')
                AND subscriber NOT IN (SELECT subscriber FROM '{tables}/{OPTED_OUT[1]}')
            GROUP BY ALL
        ),
        longest AS (
            FROM days QUALIFY row_number() OVER (PARTITION BY id, day ORDER BY dwell DESC) = 1
        ),
        stays AS (
            SELECT CASE WHEN member LIKE '0%' THEN '+81' || replace(member, '-', '')[2:]
                ELSE member END AS id, landed::DATE + 1 AS day, spend
            FROM '{tables}/card/spend.parquet'
        )
        SELECT code, count(*), sum(spend)::BIGINT, avg(spend)
        FROM stays JOIN longest USING (id, day) GROUP BY code
    """).fetchall()
    return {code: Figures(*figures) for code, *figures in rows}


def by_study(tables: Path) -> dict[str, Figures]:
    """Find them by the shipped study, without noise, over all airports."""
    release = crosstab(
        shipped("spend"),
        row=Source(
            tables / "operator/presence", exclude=tuple(tables / name for name in OPTED_OUT)
        ),
        column=Source(tables / "card/spend.parquet"),
        options=Options(key_bits=KEY_BITS, shards=2, allow_no_noise=True),
    )
    summed = release.statistics.group_by("municipality").aggregate(
        [("noisy", "sum"), ("spend_sum", "sum")]
    )
    towns = hokkaido.municipalities()
    codes = dict(zip(towns["name_en"].to_pylist(), towns["code"].to_pylist(), strict=True))
    return {
        codes[name]: Figures(members, int(spend), spend / members)
        for name, members, spend in zip(*(c.to_pylist() for c in summed.columns), strict=True)
        if members
    }


def as_planted(figures: dict[str, Figures]) -> None:
    """Look for the planted means: in each of the towns, and in all others together."""
    towns = [(mean, [figures[code]]) for code, mean in MEAN_IN.items() if code in figures]
    towns = [(mean, found) for mean, found in towns if found[0].members >= LEAST]
    assert len(towns) >= 3
    others = [figures[code] for code in figures if code not in MEAN_IN]
    for planted, found in (*towns, (MEAN, others)):
        members = sum(of.members for of in found)
        mean = sum(of.spend for of in found) / members
        # One member in ten, at most, spent the stay elsewhere than where they are that day.
        assert abs(mean / planted - 1) < 5 * SPREAD / np.sqrt(members) + 0.1


@thorough
def test_sql_finds_the_planted_means(tables: Path):
    as_planted(by_sql(tables))


@thorough
def test_the_study_without_noise_finds_exactly_what_sql_finds(tables: Path):
    found = by_study(tables)
    expected = by_sql(tables)
    assert found.keys() == expected.keys()
    for code, figures in expected.items():
        assert found[code] == pytest.approx(figures), code
    as_planted(found)
    assert sum(of.members for of in found.values()) > 400


def test_a_mean_that_is_not_planted_is_found_to_differ():
    with pytest.raises(AssertionError):
        as_planted({code: Figures(400, 400 * MEAN, MEAN) for code in (*MEAN_IN, "01211")})


@thorough
def test_counting_in_the_clear_finds_the_same(tables: Path):
    study = shipped("spend")
    counted = count_spend(study, tables)
    members = counted[:, : study.slots].sum(axis=1)
    (measure,) = study.column.measures
    spend = counted[:, study.slots :].sum(axis=1) + measure.mid * members
    towns = hokkaido.municipalities()
    codes = dict(zip(towns["name_en"].to_pylist(), towns["code"].to_pylist(), strict=True))
    found = {
        codes[name]: (number, yen)
        for name, number, yen in zip(
            study.row.dimensions[0].labels, members.tolist(), spend.tolist(), strict=True
        )
        if number
    }
    expected = {code: (of.members, of.spend) for code, of in by_sql(tables).items()}
    assert found == expected
