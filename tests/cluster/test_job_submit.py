"""What is deployed, on this machine: two raylets with token and TLS, started by cluster/start_node.sh, run a submitted job."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cluster.make_secrets import main as make_secrets
from tests.case import COLUMNS, COUNTS, ROWS, Case, counts
from tests.sizes import thorough
from xstat_ray.publication.release import Release

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.ray
STUDY = """
# @package _global_
study:
  name: submitted
  row: {id: id, dimensions: [{name: area, values: [a, b]}]}
  column: {id: id, dimensions: [{name: kind, values: [x, y]}]}
  bounds: {persons: 100}
"""


def free_ports(count: int) -> int:
    """The first of `count` consecutive ports that are free, below those that the system hands out."""
    for first in range(27101, 31000, 20):
        try:
            with ExitStack() as stack:
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("", port)))
            return first
        except OSError:
            continue
    raise AssertionError("no free ports")


def start(
    stack: ExitStack, folder: Path, log: str, *arguments: str, **environment: str
) -> subprocess.Popen[bytes]:
    """A node, which is ended by its process alone: `ray stop` would end those of others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    clean |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    with (folder / log).open("wb") as file:
        process = subprocess.Popen(
            ["bash", str(ROOT / "cluster/start_node.sh"), *arguments],
            env=clean | environment,
            stdout=file,
            stderr=file,
        )

    def end() -> None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)
    return process


def wait_for(text: str, log: Path, process: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while text not in log.read_text():
        assert process.poll() is None and time.monotonic() < until, log.read_text()
        time.sleep(0.3)


def address_of_this_machine() -> str:
    return subprocess.run(
        ["hostname", "-I"], capture_output=True, text=True, check=True
    ).stdout.split()[0]


@thorough
@pytest.mark.timeout(240)
def test_a_submitted_job_on_two_raylets_with_token_and_tls(tmp_path):
    case = Case(tmp_path)
    assert case.tables["row"].exists() and len(ROWS["id"]) == len(COLUMNS["id"]) == 4
    (tmp_path / "conf/study").mkdir(parents=True)
    (tmp_path / "conf/study/submitted.yaml").write_text(STUDY.lstrip())
    ip = address_of_this_machine()
    first = free_ports(20)
    with ExitStack() as stack:
        # Ray's sockets have paths of at most 107 bytes.
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="xr", ignore_cleanup_errors=True)
            )
        )
        secrets = folder / "xstat-secrets"
        assert make_secrets([str(secrets)]) == 0
        own = {"XSTAT_NODE_IP": ip, "XSTAT_GCS_PORT": str(first), "OMP_NUM_THREADS": "1"}
        common = ("--block", "--object-store-memory", "100000000", "--num-cpus", "1")
        dashboard = ("--dashboard-port", str(first + 1), "--ray-client-server-port", str(first + 2))
        head = start(
            *(stack, folder, "head.log", "head", *common, *dashboard, "--labels", "party=none"),
            **own, XSTAT_FIRST_PORT=str(first + 4),
        )  # fmt: skip
        wait_for("Ray runtime started", folder / "head.log", head, 90)
        # A worker begins elsewhere, as on another machine.
        state = folder / "worker"
        worker = start(
            *(stack, folder, "worker.log", "worker", ip, *common, "--labels", "party=row"),
            **own, XSTAT_FIRST_PORT=str(first + 12), XSTAT_NODE_STATE=str(state),
        )  # fmt: skip
        wait_for("Ray runtime started", folder / "worker.log", worker, 90)
        assert [
            path for path in (folder / "xstat-state", state) if path.stat().st_mode & 0o077
        ] == []
        submitted = submit(case, folder, first + 1)
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    manifest = json.loads((case.out / "manifest.json").read_text())
    statistics = pq.read_table(case.out / "statistics.parquet")
    assert counts(Release(statistics, statistics, manifest, {})) == COUNTS
    assert manifest["noise_free"] and "succeeded" in submitted.stdout


def submit(case: Case, folder: Path, dashboard: int) -> subprocess.CompletedProcess[str]:
    tables = [f"data.{role}.path={path}" for role, path in case.tables.items()]
    # The environments of both parties on one node, the pool on the other.
    labels = [
        "cluster.labels.row.party=row",
        "cluster.labels.column.party=row",
        "cluster.labels.pool.party=none",
    ]
    job = [
        *(
            "python",
            "-m",
            "xstat_ray.cli",
            "crosstab",
            "--config-dir",
            str(case.folder / "conf"),
            "study=submitted",
            "cluster=labelled",
        ),
        *(
            "crypto.key_bits=2048",
            "privacy.noise=off",
            "unsafe.allow_no_noise=true",
            "cluster.wait_seconds=30",
        ),
        *(f"out={case.out}", "display=json", *tables, *labels),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "xstat-secrets/token"),
    }
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "job", "submit", "--address", f"http://127.0.0.1:{dashboard}", "--", *job]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150)
