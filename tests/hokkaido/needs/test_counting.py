"""Counting in the clear equals the job on tables in which nothing is left to chance."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import KEY_BITS
from tests.hokkaido.needs.counting import count
from tests.hokkaido.needs.country import plan_of
from tests.sizes import thorough
from xstat_ray import Options, crosstab
from xstat_ray.geo import hokkaido
from xstat_ray.inputs.source import Source

PEOPLE = 60
DAYS = 3
QUARTERS = 96
FIRST = np.datetime64("2023-10-28T00:00:00", "s")
LARGE = (
    pytest.param(f"doto_movement_{name}", marks=pytest.mark.slow) for name in ("mesh", "people")
)
TWO = pytest.param("two_airlines", marks=pytest.mark.slow)
STUDIES = ("doto_movement", TWO, *LARGE, "catchment", "preboarding")
LEGS = ["CTS-KUH", "KUH-CTS", "OKD-SHB", "MMB-CTS", "HND-OBO", "CTS-MMB", "OKD-KUH", "SHB-OKD"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write quarter-hours of people, all of different length, and a boarding for most of them."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(11)
    for name in ("operator/presence", "airline", "regional"):
        (folder / name).mkdir(parents=True)
    ids = np.array([f"+8170{10000000 + 7 * number}" for number in range(PEOPLE)])
    meshes = hokkaido.cells()["mesh"].to_numpy()
    for day in range(DAYS):
        time = FIRST + np.timedelta64(day, "D") + 900 * np.arange(QUARTERS).astype("timedelta64[s]")
        dwell = np.argsort(rng.random((PEOPLE, 900)), axis=1)[:, :QUARTERS] + 1
        presence = {
            "subscriber": np.repeat(ids, QUARTERS),
            "time": np.tile(time, PEOPLE),
            "mesh": rng.choice(meshes, PEOPLE * QUARTERS).astype(np.int32),
            "zone": rng.choice(["home", "CTS", "KUH", "elsewhere", "HND"], PEOPLE * QUARTERS),
            "dwell": dwell.ravel().astype(np.int32),
        }
        date = FIRST.astype(dt.datetime).date() + dt.timedelta(days=day)
        partition = folder / "operator" / "presence" / f"date={date}"
        partition.mkdir()
        pq.write_table(pa.table(presence), partition / "part-0000.parquet")
    leaves = np.arange(PEOPLE) % 10 != 9
    legs = rng.choice(LEGS, PEOPLE)
    minutes = rng.integers(1440, 2 * 1440, PEOPLE)
    departure = FIRST + (60 * minutes).astype("timedelta64[s]")
    spelled = [f"0{i[3:5]}-{i[5:9]}-{i[9:]}" if number % 3 else i for number, i in enumerate(ids)]
    boardings = {
        "passenger": spelled,
        "leg": legs,
        "departure_airport": [leg[:3] for leg in legs],
        "arrival_airport": [leg[4:] for leg in legs],
        "departure": departure,
        "arrival": departure + np.timedelta64(2700, "s"),
        "season": np.where(departure < np.datetime64("2023-10-29"), "S23", "W23"),
        "halfday": np.where(minutes % 1440 < 720, "morning", "afternoon"),
        "sex": rng.choice(["female", "male"], PEOPLE),
        "age_class": rng.choice(["0-14", "15-29", "30-44", "45-59", "60-79", "80+"], PEOPLE),
    }
    passengers = pa.table(boardings)
    pq.write_table(passengers.filter(pa.array(leaves)), folder / "airline" / "boardings.parquet")
    pq.write_table(
        of_the_regional_airline(passengers, ~leaves), folder / "regional" / "boardings.parquet"
    )
    pq.write_table(pa.table({"subscriber": ids[:3]}), folder / "operator" / "opt_out.parquet")
    pq.write_table(pa.table({"subscriber": ids[3:5]}), folder / "operator" / "not_used.parquet")
    pq.write_table(pa.table({"passenger": spelled[5:8]}), folder / "airline" / "no_consent.parquet")
    pq.write_table(pa.table({"passenger": ids[7:9]}), folder / "regional" / "no_consent.parquet")
    return folder


def of_the_regional_airline(passengers: pa.Table, alone: np.ndarray) -> pa.Table:
    """Make the regional airline's table: codeshares, others at about that time, and who fly alone.

    Args:
        passengers: all passengers of both airlines.
        alone: (N,) whether they are no passengers of the big airline.
    """
    number = np.arange(len(passengers))
    earlier = passengers.filter(pa.array(~alone & (number % 4 == 1)))
    for name in ("departure", "arrival"):
        times = earlier[name].to_numpy() - np.timedelta64(2, "h")
        earlier = earlier.set_column(earlier.schema.get_field_index(name), name, pa.array(times))
    same = passengers.filter(pa.array(alone | (number % 4 == 0)))
    return pa.concat_tables([same, earlier.cast(same.schema)])


def folder_of(tables: Path, airline: str) -> Source:
    folder = tables / airline
    return Source(folder / "boardings.parquet", (folder / "no_consent.parquet",))


@thorough
@pytest.mark.parametrize("name", STUDIES)
def test_the_job_counts_the_same(tables, name, tmp_path):
    study = plan_of(name, "off").study
    counted = count(study, tables)
    operator = tables / "operator"
    columns = {
        terms.name: folder_of(tables, terms.name if study.column.parties else "airline")
        for terms in study.column_parties
    }
    release = crosstab(
        study,
        row=Source(
            operator / "presence", (operator / "opt_out.parquet", operator / "not_used.parquet")
        ),
        column=columns,
        options=Options(key_bits=KEY_BITS, shards=2, allow_no_noise=True),
    )
    assert counted.sum() > 50
    np.testing.assert_array_equal(
        release.statistics["noisy"].to_numpy().reshape(counted.shape), counted
    )
