"""Ray sessions; those that start Ray do so in another process, away from the tests' Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.heard import Heard
from tests.sizes import thorough
from xstat_ray.errors import InputError
from xstat_ray.planning.cluster import Cluster
from xstat_ray.runtime.ray_session import session

ROOT = Path(__file__).parents[2]

STARTED = """
import json, os, ray, stat
from pathlib import Path
from xstat_ray.benchmarks.processes import tree
from xstat_ray.planning.cluster import Cluster
from xstat_ray.runtime.ray_session import session

before = dict(os.environ)
os.umask(0o022)
spill = Path("spill").absolute()
spill.mkdir()
with session(Cluster(cpus=1, store_bytes=100 << 20, spill=spill)) as folder:
    token = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    mode = lambda path: stat.S_IMODE(path.stat().st_mode)
    modes = {"folder": mode(folder), "token": mode(token)}
    logs = [mode(path) & 0o077 for path in folder.rglob("*.log")]
    inside = {"token": token.is_relative_to(folder), "logs": len(logs), "readable": sum(logs)}
    kept = [ray.put(os.urandom(24 << 20)) for _ in range(6)]
    spilled = [path for path in spill.rglob("*") if path.is_file()]
    (private,) = spill.iterdir()
    modes |= {"spill": mode(private), "spilled": max(map(mode, spilled))}
    remote = ray.get(ray.remote(lambda: os.getpid()).remote()) != os.getpid()
    others = tree(os.getpid()) - {os.getpid()}
    started = [Path(f"/proc/{process}/cmdline").read_text() for process in others]
    of_ray = ("raylet", "dashboard/dashboard.py", "monitor.py")
    running = [name for name in of_ray if any(name in command for command in started)]
umask = os.umask(0o022)
print(json.dumps({
    "modes": modes,
    "inside": inside,
    "remote": remote,
    "running": running,
    "umask": umask,
    "folder_left": folder.exists() or any(spill.iterdir()),
    "changed": sorted(name for name, _ in set(before.items()) ^ set(os.environ.items())),
    "home": os.listdir(os.environ["HOME"]),
    "initialised": ray.is_initialized(),
}))
"""

CLUSTER = """
import json, sys
from pathlib import Path
import ray
from ray.cluster_utils import Cluster as Nodes
from tests import oracle
from tests.runtime.running import counts, seeds
from tests.synthetic import make_study, make_tables
from xstat_ray.planning.plan import make_plan
from xstat_ray.inputs.source import Source
from xstat_ray.runtime.ray_executor import RayExecutor
from xstat_ray.planning.cluster import Cluster
from xstat_ray.runtime.ray_session import session
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
sources = {}
for role, table in zip(("row", "column"), make_tables(), strict=True):
    pq.write_table(table, folder / f"{role}.parquet")
    sources[role] = Source(folder / f"{role}.parquet")
arguments = {"num_cpus": 1, "object_store_memory": 100 << 20}
cluster = Nodes(initialize_head=True, head_node_args=arguments)
try:
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    # The nodes' own address is not known to be this machine's, and would be refused without TLS.
    with session(Cluster(address="127.0.0.1:" + cluster.address.rsplit(":", 1)[1])):
        nodes = len([node for node in ray.nodes() if node["Alive"]])
        study = make_study()
        with RayExecutor(study, sources, {"column": 2}) as executor:
            table = counts(executor, make_plan(study, key_bits=2048, shards=24))
            same = bool((table == oracle.count(study, *make_tables(), seeds(executor))).all())
    left = ray.is_initialized()
    print(json.dumps({"nodes": nodes, "same": same, "total": int(table.sum()), "left": left}))
finally:
    cluster.shutdown()
"""


def run(code: str, folder: Path, *args: str, **environment: str) -> dict:
    """Run a program under an empty home; returns the JSON of the last line that it prints."""
    home = folder / "home"
    home.mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    clean |= {"HOME": str(home), "PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        env=clean,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@thorough
@pytest.mark.ray
def test_a_started_session_is_private_and_leaves_nothing_behind(tmp_path):
    # RAY_ADDRESS names a cluster that is not there: a session that is started does not look for it.
    seen = run(STARTED, tmp_path, RAY_ADDRESS="192.0.2.1:6379")
    assert seen["modes"] == {"folder": 0o700, "token": 0o600, "spill": 0o700, "spilled": 0o600}
    assert (
        seen["inside"]["token"] and seen["inside"]["logs"] > 0 and seen["inside"]["readable"] == 0
    )
    assert seen["remote"]
    assert seen["running"] == ["raylet"]
    assert seen["umask"] == 0o022 and seen["changed"] == []
    assert seen["folder_left"] is False and seen["initialised"] is False
    assert seen["home"] == []


@pytest.mark.ray
def test_a_ray_that_is_already_there_is_used_and_left_running(ray_folder):
    import ray

    with session(Cluster(cpus=1)) as folder:
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
    """Ray is not started; gives the list of the addresses that would have been joined."""
    import ray

    from xstat_ray.runtime import preflight

    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name, raising=False)
    joined: list[str] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda *_, **options: joined.append(options["address"]))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(preflight, "reach", lambda address: None)
    monkeypatch.setattr(preflight, "alive", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])
    return joined


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token"
    path.write_text("0" * 64)
    path.chmod(0o600)
    return str(path)


FAR = [
    "10.0.0.7:6379",
    "ray://head.example:10001",
    "head.example:6379",
    "[2001:db8::1]:6379",
    "ray://[2001:db8::1]:10001",
]
NEAR = ["localhost:6379", "127.0.0.1:6379", "ray://127.0.0.1:10001", "[::1]:6379"]
HALVES = [
    {},
    {"RAY_USE_TLS": "1"},
    {"RAY_AUTH_TOKEN_PATH": "t"},
    {"RAY_USE_TLS": "0", "RAY_AUTH_TOKEN": "t"},
]


@pytest.mark.parametrize("address", FAR)
@pytest.mark.parametrize("environment", HALVES)
def test_another_machine_needs_a_token_and_tls(no_ray, monkeypatch, address, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="without token authentication and TLS") as caught:
        enter(Cluster(address=address))
    assert caught.value.key == "cluster.address" and no_ray == []


def enter(cluster, progress=None):
    with session(cluster, progress):
        pass


@pytest.mark.parametrize("address", FAR)
def test_another_machine_is_joined_with_both(no_ray, monkeypatch, token, address):
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", token)
    heard = Heard()
    with session(Cluster(address=address), heard):
        assert no_ray == [address] and os.environ["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_MODE" not in os.environ and heard.warnings == []


def test_the_override_is_loud(no_ray):
    heard = Heard()
    enter(Cluster(address=FAR[0], insecure=True), heard)
    assert no_ray == [FAR[0]] and "Whoever reaches it can read everything" in heard.warnings[0]


@pytest.mark.parametrize("address", NEAR)
def test_this_machine_is_joined_without(no_ray, address):
    enter(Cluster(address=address))
    assert no_ray == [address]


def test_auto_is_where_ray_address_points(no_ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    with pytest.raises(InputError, match="on another machine"):
        enter(Cluster(address="auto"))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
    enter(Cluster(address="auto"))
    assert no_ray == ["127.0.0.1:6379"]


def test_nodes_that_are_still_starting_are_waited_for(no_ray, monkeypatch):
    from xstat_ray.runtime import preflight

    looks = iter([[], [], [{"Alive": True, "Resources": {"CPU": 1.0}, "Labels": {"party": "row"}}]])
    monkeypatch.setattr(preflight, "alive", lambda: next(looks))
    monkeypatch.setattr(preflight, "_LOOK_SECONDS", 0.0)
    heard = Heard()
    enter(Cluster(address=NEAR[0], labels={"row": {"party": "row"}}, wait_seconds=60), heard)
    assert len(heard.notes) == 1 and "Waiting up to 60 s" in heard.notes[0]


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        (None, 0o600, "cannot be read"),
        ("", 0o600, "is empty"),
        ("0" * 64, 0o644, "others may read the token"),
    ],
)
def test_a_token_that_is_no_secret_is_refused(
    no_ray, monkeypatch, tmp_path, content, mode, problem
):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    with pytest.raises(InputError, match=problem) as caught:
        enter(Cluster(address=NEAR[0]))
    assert caught.value.file == str(path) and no_ray == []


def test_a_place_for_spilled_objects_must_exist(monkeypatch, tmp_path, umask_kept):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    # A name short enough for Ray's sockets.
    temporary = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    os.umask(0o022)
    with pytest.raises(InputError, match="objects cannot be spilled there: No such file") as caught:
        enter(Cluster(spill=tmp_path / "missing"))
    assert caught.value.key == "cluster.spill"
    # Nothing is left behind: neither a folder nor the umask of the session.
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
    assert os.umask(0o022) == 0o022
