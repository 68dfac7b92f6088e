"""What Ray learns of a run: names and sizes, and nothing of what the parties hold."""

from __future__ import annotations

import json
import re
import stat
import time
import urllib.request

import pytest
import ray

from tests.runtime.running import encrypted, inside, secrets_of
from tests.sizes import thorough
from xstat_ray import Options, crosstab
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.plan import make_plan
from xstat_ray.runtime.ray_executor import RayExecutor

pytestmark = pytest.mark.ray


@thorough
def test_the_timeline_is_for_its_owner_and_names_functions_alone(ray_folder, small, tmp_path):
    path = tmp_path / "timeline.json"
    options = Options(
        runtime="ray",
        key_bits=2048,
        shards=12,
        allow_no_noise=True,
        cluster=Cluster(timeline=path),
    )
    crosstab(small.study, row=small.row, column=small.column, options=options)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    events = [event for event in json.loads(path.read_text()) if event["cat"].startswith("task::")]
    assert {"task::join_whole", "task::add"} <= {event["cat"] for event in events}
    names = {event[key] for event in events for key in ("cat", "name")}
    assert all(re.fullmatch(r"[\w.:]+", name) for name in names), names


def scraped() -> dict[str, float]:
    """Read this project's metrics, by name and labels, from the endpoint here, without a token."""
    port = ray.nodes()[0]["MetricsExportPort"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = [re.fullmatch(r"ray_(xstat_\w+)\{(.*)\} ([\d.e+-]+)", line) for line in lines]
    totals: dict[str, float] = {}
    for match in found:
        if match:
            stage = re.search(r'stage="(\w+)"', match[2])
            labels = {
                name for name in re.findall(r"(\w+)=", match[2]) if not name.startswith("otel_")
            } - {"stage"}
            assert stage and labels <= {
                "Component",
                "NodeAddress",
                "SessionName",
                "Version",
                "WorkerId",
                "JobId",
            }, match[2]
            totals[f"{match[1]} {stage[1]}"] = totals.get(f"{match[1]} {stage[1]}", 0) + float(
                match[3]
            )
    return totals


@thorough
def test_metrics_count_sizes_by_stage(ray_folder, small):
    plan = make_plan(small.study, key_bits=2048, shards=12)
    with RayExecutor(small.study, small.sources, {}, Cluster(metrics=True)) as executor:
        encrypted(executor, plan)
        until = time.monotonic() + 60
        totals = {}
        while totals.get("xstat_tasks_total join_whole", 0) < 12 and time.monotonic() < until:
            time.sleep(1)
            totals = scraped()
    assert totals["xstat_tasks_total join_whole"] == 12 and totals["xstat_tasks_total add"] == 2
    assert (
        totals["xstat_partials_total join_whole"] == 12
        and totals["xstat_rows_total join_whole"] > 100
    )
    assert (
        totals["xstat_flags_total join_whole"] > 10
        and totals["xstat_bytes_total join_whole"] > 12 * 512
    )
    assert {name.split()[0] for name in totals} <= {
        f"xstat_{name}_total"
        for name in ("tasks", "retries", "seconds", "rows", "flags", "partials", "bytes")
    }


def surroundings(environment) -> tuple[dict[str, str], str, str]:
    import os

    context = ray.get_runtime_context()
    return dict(os.environ), context.get_runtime_env_string(), context.get_task_name() or ""


def forms(secrets: dict[str, bytes]) -> list[str]:
    """List the texts in which a secret could be printed."""
    return [form for value in secrets.values() for form in (value.hex(), repr(value))]


def test_no_secret_is_in_the_environment_the_runtime_environment_or_a_name(ray_folder, small):
    with RayExecutor(small.study, small.sources, {}) as executor:
        encrypted(executor, make_plan(small.study, key_bits=2048, shards=2))
        for role in ("row", "column"):
            variables, runtime, name = inside(executor, role, 0, surroundings)
            assert json.loads(runtime) == {}
            assert "RAY_AUTH_TOKEN" not in variables
            everything = json.dumps(variables) + runtime + name
            secrets = secrets_of(executor, role)
            assert secrets.keys() >= {"seed", "exchange", "salt", "tag key"}
            assert not [form for form in forms(secrets) if form in everything]
