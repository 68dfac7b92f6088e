"""Sessions of their own, each in a process of its own: the test session's Ray stays out of the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from xstat_ray.errors import InputError
from xstat_ray.runtime.ray_session import session

ROOT = Path(__file__).parents[2]

STARTED = """
import json, os, ray, stat
from pathlib import Path
from xstat_ray.runtime.ray_session import session

before = dict(os.environ)
os.umask(0o022)
with session(cpus=1, store_bytes=100 << 20) as folder:
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in (("folder", folder), ("token", token))}
    logs = [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.rglob("*.log")]
    inside = {"token": token.is_relative_to(folder), "logs": len(logs), "readable": sum(logs)}
    remote = ray.get(ray.remote(lambda: os.getpid()).remote()) != os.getpid()
umask = os.umask(0o022)
print(json.dumps({
    "modes": modes, "inside": inside, "remote": remote, "umask": umask, "folder_left": folder.exists(),
    "changed": sorted(name for name, _ in set(before.items()) ^ set(os.environ.items())), "home": os.listdir(os.environ["HOME"]),
    "initialised": ray.is_initialized(),
}))
"""

CLUSTER = """
import json, sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from tests import oracle
from tests.runtime.running import counts, seeds
from tests.synthetic import make_study, make_tables
from xstat_ray.plan import make_plan
from xstat_ray.runtime.executor import Source
from xstat_ray.runtime.ray_executor import RayExecutor
from xstat_ray.runtime.ray_session import session
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
sources = {}
for role, table in zip(("row", "column"), make_tables(), strict=True):
    pq.write_table(table, folder / f"{role}.parquet")
    sources[role] = Source(folder / f"{role}.parquet")
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
try:
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    # The nodes' own address is not known to be this machine's, and would be refused without TLS.
    with session("127.0.0.1:" + cluster.address.rsplit(":", 1)[1]):
        nodes = len([node for node in ray.nodes() if node["Alive"]])
        study = make_study()
        with RayExecutor(study, sources, {"column": 2}) as executor:
            table = counts(executor, make_plan(study, key_bits=2048, shards=24), folder / "ledger")
            same = bool((table == oracle.count(study, *make_tables(), seeds(executor))).all())
    print(json.dumps({"nodes": nodes, "same": same, "total": int(table.sum()), "left": ray.is_initialized()}))
finally:
    cluster.shutdown()
"""


def run(code: str, folder: Path, *args: str, **environment: str) -> dict:
    """Run a program under an empty home; what it printed last is JSON."""
    home = folder / "home"
    home.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    clean |= {"HOME": str(home), "PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(
        [sys.executable, "-c", code, *args], env=clean, cwd=folder, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.ray
def test_a_started_session_is_private_and_leaves_nothing_behind(tmp_path):
    # RAY_ADDRESS names a cluster that is not there: a session that is started does not look for it.
    seen = run(STARTED, tmp_path, RAY_ADDRESS="192.0.2.1:6379")
    assert seen["modes"] == {"folder": 0o700, "token": 0o600}
    assert seen["inside"]["token"] and seen["inside"]["logs"] > 0 and seen["inside"]["readable"] == 0
    assert seen["remote"]
    assert seen["umask"] == 0o022 and seen["changed"] == []
    assert seen["folder_left"] is False and seen["initialised"] is False
    assert seen["home"] == []


@pytest.mark.ray
def test_a_ray_that_is_already_there_is_used_and_left_running(ray_folder):
    import ray

    with session(cpus=1) as folder:
        assert folder == Path()
        assert ray.get(ray.remote(lambda: 1 + 1).remote()) == 2
    assert ray.is_initialized()


@pytest.mark.ray
@pytest.mark.slow
def test_two_raylets_joined_by_address_count_the_same(tmp_path):
    # Ray's sockets have paths of at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="xr") as short:
        environment = {"RAY_TMPDIR": short, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
        seen = run(CLUSTER, tmp_path, str(tmp_path), **environment)
    assert seen["nodes"] == 2
    assert seen["same"] and seen["total"] > 100
    assert seen["left"] is False


@pytest.fixture
def no_ray(monkeypatch):
    """Addresses are checked before Ray is touched; should a check be missing, joining fails the test."""
    import ray

    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_USE_TLS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda *_, **options: joined.append(options["address"]))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    joined: list[str] = []
    return joined


FAR = [
    "10.0.0.7:6379",
    "ray://head.example:10001",
    "head.example:6379",
    "[2001:db8::1]:6379",
    "ray://[2001:db8::1]:10001",
]
NEAR = ["auto", "local", "localhost:6379", "127.0.0.1:6379", "ray://127.0.0.1:10001", "[::1]:6379"]


@pytest.mark.parametrize("address", FAR)
@pytest.mark.parametrize(
    "environment", [{}, {"RAY_USE_TLS": "1"}, {"RAY_AUTH_TOKEN_PATH": "t"}, {"RAY_USE_TLS": "0", "RAY_AUTH_TOKEN": "t"}]
)
def test_another_machine_needs_a_token_and_tls(no_ray, monkeypatch, address, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="without token authentication and TLS") as caught, session(address):
        pass
    assert caught.value.key == "cluster.address" and no_ray == []


@pytest.mark.parametrize("address", FAR)
def test_another_machine_is_joined_with_both(no_ray, monkeypatch, address):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "t")
    with session(address):
        assert no_ray == [address]


@pytest.mark.parametrize("address", NEAR)
def test_this_machine_is_joined_without(no_ray, address):
    with session(address):
        assert no_ray == [address]


def test_auto_is_where_ray_address_points(no_ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    with pytest.raises(InputError, match="on another machine"), session("auto"):
        pass
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    with session("auto"):
        assert no_ray == ["auto"]
