"""Each breakdown of a published population is a layer, and its values are those of the release."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.population.operator import crowd, declare
from tests.sizes import thorough
from xstat_ray.hokkaido.population.declaration import Breakdown
from xstat_ray.hokkaido.population.run import PopulationOptions, population
from xstat_ray.hokkaido.report.data import SUPPRESSED, read_layers
from xstat_ray.model.study import Privacy

HALVES = (
    Breakdown("residence", ("residence",), Fraction(1, 2)),
    Breakdown("ages", ("age", "gender"), Fraction(1, 2)),
)


def publish(folder: Path, **changes: Any) -> Path:
    """Publish a crowd of two hours in two breakdowns."""
    noisy = Privacy(
        noise="gaussian",
        epsilon=Fraction(50),
        delta=Fraction("1e-6"),
        cap=Fraction(99),
        suppress_below=3,
    )
    tables = crowd(1, hours=(8, 9)).write(folder / "tables")
    declaration = declare(
        **{"breakdowns": HALVES, "residence": "local", "privacy": noisy} | changes
    )
    population(
        declaration,
        tables,
        out=folder / "out",
        options=PopulationOptions(ledger=folder / "ledger.sqlite"),
    )
    return folder / "out"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("population"))


def test_every_breakdown_is_a_layer_with_what_splits_it(published):
    residence, ages = read_layers(published)
    assert (residence.study, ages.study) == ("population_residence", "population_ages")
    assert {d.name: d.labels for d in residence.dimensions}["residence"] == ("elsewhere", "local")
    assert [d.name for d in ages.dimensions] == ["date", "time", "age", "gender"]
    assert {d.name: d.labels for d in ages.dimensions}["age"] == (
        "15",
        "20",
        "30",
        "40",
        "50",
        "60",
        "70",
    )
    for layer in (residence, ages):
        assert layer.place == "area" and layer.levels[0].ground.kind == "municipality"
        assert [level.name for level in layer.levels] == ["cell", "subprefecture", "total"]
        assert layer.facts["expanded"] and layer.facts["suppress_below"] == 3
        assert layer.facts["stderr"].keys() == {"cell", "subprefecture", "total"}


def test_values_are_those_of_the_release(published):
    layer = read_layers(published)[1]
    rows = pq.read_table(published / "statistics.parquet").to_pylist()
    level = layer.levels[0]
    shown = 0
    for row in [row for row in rows if row["breakdown"] == "ages"][::97]:
        at = [d.labels.index(row[d.name]) for d in layer.dimensions]
        slot = np.ravel_multi_index(at, [len(d.labels) for d in layer.dimensions])
        place = level.places.index(row["area"])
        value, low, high = (
            int(part[place, slot]) for part in (level.estimate, level.low, level.high)
        )
        if row["suppressed"]:
            assert (value, low, high) == (SUPPRESSED, 0, 0)
            continue
        shown += 1
        assert value == row["estimate"]
        assert (low, high) == (np.floor(row["low95"]), np.ceil(row["high95"]))
    assert shown > 5


@thorough
def test_homes_that_are_told_stay_as_they_are(tmp_path):
    layer = read_layers(publish(tmp_path, residence="prefecture"))[0]
    homes = {d.name: d.labels for d in layer.dimensions}["residence"]
    assert "13000" in homes and "elsewhere" not in homes
