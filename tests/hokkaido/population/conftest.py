from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from xstat_ray.hokkaido.population.run import Options, population


@pytest.fixture
def publish(tmp_path):
    """Publishes a release into a new folder."""
    number = 0

    def run(declaration, tables, out=None, **options):
        nonlocal number
        number += 1
        given = Options(ledger=tmp_path / "ledger.sqlite", **{"allow_no_noise": True} | options)
        return population(declaration, tables, out=out or tmp_path / f"out{number}", options=given)

    return run


@pytest.fixture
def statistics(publish):
    """The table of statistics of a release."""

    def run(*arguments, **options):
        return pq.read_table(publish(*arguments, **options).folder / "statistics.parquet")

    return run
