"""Fixtures that publish a release of populations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.population.operator import crowd
from xstat_ray.hokkaido.population.declaration import Declaration
from xstat_ray.hokkaido.population.run import (
    OperatorTables,
    PopulationOptions,
    PublishedPopulation,
    population,
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> OperatorTables:
    """Write the tables of a crowd that is present for three hours, in three files."""
    return crowd(1, hours=range(3)).write(tmp_path_factory.mktemp("crowd"), files=3)


@pytest.fixture
def publish(tmp_path: Path) -> Callable[..., PublishedPopulation]:
    """Publish a release into a new folder."""
    number = 0

    def run(
        declaration: Declaration, tables: OperatorTables, out: Path | None = None, **options: Any
    ) -> PublishedPopulation:
        nonlocal number
        number += 1
        given = PopulationOptions(
            ledger=tmp_path / "ledger.sqlite", **{"allow_no_noise": True} | options
        )
        return population(declaration, tables, out=out or tmp_path / f"out{number}", options=given)

    return run


@pytest.fixture
def statistics(publish: Callable[..., PublishedPopulation]) -> Callable[..., pa.Table]:
    """Publish a release and read its table of statistics."""

    def run(*arguments: Any, **options: Any) -> pa.Table:
        return pq.read_table(publish(*arguments, **options).folder / "statistics.parquet")

    return run
