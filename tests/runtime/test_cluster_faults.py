"""Every fault on a cluster of several raylets ends in the exact result or in a typed error.

After an error the same command goes on. A scenario that hangs is ended by its watchdog, and fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.sizes import slow

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.ray, slow, pytest.mark.timeout(400)]
WATCHDOG = 300.0
"""Seconds within which a whole scenario ends, clusters started and ended included."""
EACH = 90.0
"""Seconds within which each of its runs ends."""


def play(scenario: str, folder: Path, before: str = "true", *prefix: str) -> SimpleNamespace:
    """Run a scenario in a process of its own, under an empty home."""
    (folder / "home").mkdir()
    (folder / "run").mkdir(mode=0o700)
    (folder / "run/spill").mkdir(mode=0o700)
    # Ray's sockets have paths of at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="xr", ignore_cleanup_errors=True) as short:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("RAY_")
        }
        environment |= {"HOME": str(folder / "home"), "RAY_TMPDIR": short, "PYTHONPATH": str(ROOT)}
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "RAY_DEDUP_LOGS": "1"}
        run = f'-m tests.runtime.fault_scenarios {scenario} "{folder / "run"}"'
        command = f'{before} && exec "{sys.executable}" {run}'
        done = subprocess.run(
            [*prefix, "bash", "-c", command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=WATCHDOG,
        )
    assert done.returncode == 0, done.stderr[-5000:]
    results = json.loads(done.stdout.splitlines()[-1])
    for name, run in results.items():
        assert not isinstance(run, dict) or run["seconds"] < EACH, f"{name} took {run['seconds']} s"
    return SimpleNamespace(**results)


@pytest.fixture(scope="module")
def lost(tmp_path_factory):
    return play("nodes", tmp_path_factory.mktemp("nodes"))


def test_a_node_of_the_pool_is_lost(lost):
    assert lost.pool["ended"] == lost.right and sum(lost.right) > 100


def test_a_party_node_is_lost_and_replaced(lost):
    assert lost.party["ended"] == lost.right


def test_an_environment_placed_on_a_node_that_is_already_gone_is_placed_anew(lost):
    assert lost.late["ended"] == lost.right


def test_an_environment_that_finds_no_other_node_ends_the_run(lost):
    assert lost.nowhere["ended"].startswith(
        "InputError: none of the cluster's 3 nodes has the labels {party: row}"
    )


def test_a_party_node_is_lost_for_good_and_the_same_command_goes_on_when_there_is_another(lost):
    before = lost.gone["before"]
    assert before["ended"].startswith(
        "InputError: none of the cluster's 3 nodes has the labels {party: column}"
    )
    # The row party pays before it approves; the key holder before it opens.
    assert (before["left"], before["debits before"]) == (["unfinished"], [1, 0])
    assert len(lost.gone["ended"]) == len(lost.right)
    assert (lost.gone["left"], lost.gone["debits"]) == (["statistics.parquet"], [1, 1])


def test_the_driver_is_killed_and_the_same_command_goes_on(lost):
    assert (lost.driver["before"]["status"], lost.driver["before"]["left"]) == (-9, ["unfinished"])
    assert len(lost.driver["ended"]) == len(lost.right)
    assert (lost.driver["left"], lost.driver["debits"]) == (["statistics.parquet"], [1, 1])


def test_a_worker_that_stands_still_is_overtaken(lost):
    assert lost.stuck["ended"] == lost.right
    assert lost.stuck["tries"] >= 1 and any("late by far" in note for note in lost.stuck["notes"])


@pytest.mark.parametrize("party", ["row", "column"])
def test_a_party_that_stands_still_is_replaced(lost, party):
    silent = getattr(lost, f"silent {party}")
    assert silent["ended"] == lost.right
    assert (
        sum("environment of a party was lost" in note for note in silent["notes"]) == 1
        and silent["ended it"]
    )


def test_a_pool_without_nodes_ends_the_run_and_the_same_command_goes_on(lost):
    assert lost.poolless["before"]["ended"].startswith(
        "ClusterError: the pool of tasks has had no node for"
    )
    assert lost.poolless["ended"] == lost.right


SMALL_DISK = "mount -t tmpfs -o size=160m,mode=0700 tmpfs"
PRIVATE_MOUNTS = ("unshare", "--map-root-user", "--mount")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    probe = [*PRIVATE_MOUNTS, "bash", "-c", f'{SMALL_DISK} "{folder}"']
    if subprocess.run(probe, capture_output=True).returncode == 0:
        return play("disk", folder, f'{SMALL_DISK} "{folder}/run/spill"', *PRIVATE_MOUNTS)
    return play("spill", folder)


def test_full_object_stores_spill_to_files_of_their_owner(full):
    assert full.roomy["ended"] == full.right and full.left == ["statistics.parquet"]
    assert full.spilled > 1 << 20 and full.open == []


def test_a_full_disk_ends_the_run_and_the_same_command_works_when_there_is_room(full):
    if not hasattr(full, "disk"):
        pytest.skip("this machine does not let the test mount a small disk")
    before = full.disk["before"]
    assert before["ended"].startswith("ClusterError: a node's disk is too full to spill objects")
    assert "statistics.parquet" not in before["left"] and before["debits"] == [0, 0]
    assert full.disk["ended"] == full.disk["right"]
