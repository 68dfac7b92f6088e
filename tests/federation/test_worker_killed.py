"""A worker of the aggregator's Ray is killed in the midst of a run of three domains: the counts are exact all the same."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, Case, study
from tests.federation.domains import Domains
from tests.runtime.unreliable import Unreliable
from xstat_ray.runtime import ray_executor

AGGREGATE = ("aggregator", "all")


@pytest.mark.ray
def test_workers_of_the_aggregator_are_killed_and_the_counts_are_exact(ray_folder, quick_key, tmp_path, monkeypatch):
    """Joins of both shards, one of them twice, and what comes after them."""
    schedule = {("join", 0): (1, "killed"), ("join", 1): (2, "killed"), ("add", 0): (1, "killed")}
    failures = tmp_path / "failures"
    failures.mkdir()
    exact = study(privacy={"padding": "dp", "mechanism": "tree"})
    domains = Domains(tmp_path, exact, Case(tmp_path).tables)
    domains.run(until=AGGREGATE)
    with monkeypatch.context() as patch:
        patch.setattr(ray_executor, "RayExecutor", partial(Unreliable, folder=failures, schedule=schedule))
        domains.step(*AGGREGATE, options=replace(domains.options, runtime="ray"))
    killed = {path.name: len(list(path.iterdir())) for path in failures.iterdir()}
    assert killed == {"join0": 1, "join1": 2, "add0": 1}
    domains.run()
    assert pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist() == list(COUNTS.values())
