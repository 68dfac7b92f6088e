"""Visitors from a published population."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.needs.country import DAYS, make_country, population_of
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.needs.access import areas
from xstat_ray.hokkaido.needs.visitors import Visitors, read_visitors

NEMURO = "01223"
KUSHIRO = "01206"
NEMURO_MESH = 654510741
"""A 500 m cell in Nemuro."""


def read(folder: Path) -> Visitors:
    """Read the visitors of a release."""
    return read_visitors(folder, key="releases.population", remedy="Make one")


def population(
    folder: Path, rows: list[tuple], breakdown: str = "residence", **manifest: Any
) -> Visitors:
    """Publish a population and read it.

    A second breakdown holds the same values, and must not be read.
    """
    names = ("date", "time", "area", "residence", "noisy", "stderr")
    table = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
    both = [
        table.append_column("breakdown", pa.array([name] * len(table)))
        for name in ("total", breakdown)
    ]
    pq.write_table(pa.concat_tables(both), folder / "statistics.parquet")
    facts = {"release": "cd", "noise_free": False, "residence": "local"}
    facts |= {"breakdowns": {"total": [], breakdown: ["residence", "age"]}}
    (folder / "manifest.json").write_text(json.dumps(facts | manifest))
    return read(folder)


def place(code: str) -> int:
    """Find an area by its code."""
    return areas()["code"].to_pylist().index(code)


def test_non_residents_by_hour_on_a_mean_day(tmp_path):
    visitors = population(
        tmp_path,
        [
            ("20231101", "0900", NEMURO, "13000", 10, 3.0),
            ("20231101", "0900", NEMURO, KUSHIRO, 7, 4.0),
            ("20231101", "0900", NEMURO, NEMURO, 900, 3.0),
            ("20231102", "0900", NEMURO, "13000", -1, 12.0),
            ("20231102", "1000", "01100", "13000", 50, 1.0),
        ],
    )
    assert visitors.days == 2
    assert visitors.hourly.value[place(NEMURO), 9] == (10 + 7 - 1) / 2
    assert visitors.hourly.stderr[place(NEMURO), 9] == 13 / 2
    # What was not published is unknown, and so is a day with hours that are unknown.
    assert np.isnan(visitors.hourly.value).sum() == visitors.hourly.value.size - 1
    assert np.isnan(visitors.daily.value).all()


def test_meshes_count_in_their_municipality(tmp_path):
    from xstat_ray.geo import hokkaido

    land = hokkaido.cells()
    meshes = land.filter(pa.compute.equal(land["municipality"].cast(pa.string()), NEMURO))[
        "mesh"
    ].to_pylist()[:2]
    rows = [("20231101", "2300", str(mesh), "13000", 5, 1.0) for mesh in meshes]
    visitors = population(tmp_path, [*rows, ("20231101", "2300", str(meshes[0]), NEMURO, 80, 1.0)])
    assert visitors.hourly.value[place(NEMURO), 23] == 10


def test_a_day_is_the_mean_of_its_hours(tmp_path):
    country = make_country(1, passengers=100)
    visitors = read(population_of(country, tmp_path, missing=(NEMURO,)))
    daily = visitors.daily
    assert (visitors.days, visitors.noise_free) == (DAYS, False)
    assert np.flatnonzero(np.isnan(daily.value)).tolist() == [place(NEMURO)]
    known = ~np.isnan(daily.value)
    assert daily.stderr[known] == pytest.approx(np.full(known.sum(), 20 / np.sqrt(DAYS * 24)))
    assert abs((daily.value - country.visitors)[known] / daily.stderr[known]).max() < 5


@pytest.mark.parametrize(
    "manifest",
    [{"residence": "prefecture"}, {"breakdowns": {"residence": ["age"]}}, {"breakdowns": None}],
)
def test_a_population_that_does_not_tell_visitors_is_refused(tmp_path, manifest):
    with pytest.raises(InputError, match="does not tell visitors from residents"):
        population(tmp_path, [("20231101", "0900", NEMURO, "13000", 10, 3.0)], **manifest)


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "nowhere")
    folder = population_of(make_country(1, passengers=100), tmp_path)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="contradict each other about the noise"):
        read(folder)
    pq.write_table(pa.table({"subscriber": ["+81"]}), folder / "statistics.parquet")
    with pytest.raises(InputError, match="column breakdown"):
        read(folder)
