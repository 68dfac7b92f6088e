"""What Ray's workers import: they do without pandas, although pyarrow would import it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.inputs.source import Source
from xstat_ray.planning.cluster import Cluster
from xstat_ray.roles.aggregator import Aggregator
from xstat_ray.runtime import workers
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.tasks import Tasks
from xstat_ray.util import arrow

pytestmark = [pytest.mark.ray]


def loaded(*_: Any) -> set[str]:
    return {"pandas", "pyarrow", "xstat_ray.roles"} & set(sys.modules)


def test_tasks_and_environments_do_without_pandas(ray_folder: Path, small: SimpleNamespace) -> None:
    from xstat_ray.runtime.party_environment import PartyEnvironment

    tasks = Tasks(Cluster(), {}, Progress(), lambda: None)
    submitted: Any = tasks.submit(loaded, Aggregator(PublicKey(15, 2), 1, 1))
    result: Any = tasks.wait([submitted])[1]
    actor: Any = ray.remote(PartyEnvironment).options(num_cpus=0)
    environment = actor.remote("row", small.study, Source(small.row), {})
    there = environment.__ray_call__.remote(lambda _: loaded())
    assert ray.get([result, there]) == [{"pyarrow", "xstat_ray.roles"}] * 2


def test_nothing_is_hidden_outside_of_workers() -> None:
    before = list(sys.meta_path)
    workers.begin()
    assert sys.meta_path == before
    arrow.hide_pandas()
    assert sys.meta_path != before
    arrow.do_without_pandas()
    assert sys.meta_path == before
