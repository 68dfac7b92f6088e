"""Faults on a real cluster of several raylets.

Run as `python -m tests.runtime.fault_scenarios SCENARIO FOLDER`. Every scenario is scheduled: a
fault happens when a stage has come to a given point. The last line that is printed is JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from tests.runtime.fault_cluster import (
    Adds,
    Case,
    Machine,
    Scheduled,
    count,
    exact_study,
    expected,
    noisy_study,
)
from tests.synthetic import make_tables
from xstat_ray.model.study import Bounds, Study
from xstat_ray.runtime import tasks
from xstat_ray.runtime.progress import Progress


def nodes(folder: Path) -> dict[str, Any]:
    """Nodes of the pool and of parties are lost, the driver is killed, processes stand still."""
    right = expected(folder)
    machine = Machine(folder, ("row", "column", "none", "none2"))
    case = Case(folder, machine.address)
    case.results["right"] = right
    lose_nodes(case, machine)
    interrupt_releases(case, machine)
    stuck(case, machine)
    stop_parties(case, machine)
    lose_pool(case, machine)
    machine.raylets.shutdown()
    return case.results


def lose_nodes(case: Case, machine: Machine) -> None:
    """Lose nodes while a run works, before it starts, and for good."""
    case.run("pool", exact_study(), Scheduled("aggregate", 3, lambda: machine.crash("none")))
    case.run("party", exact_study(), Scheduled("aggregate", 3, lambda: machine.replace("row")))
    # The node is gone before the run starts, and Ray does not yet know it.
    machine.crash("row")
    case.run("late", exact_study(), Adds(machine, "row"), restarts=0)
    machine.crash("row")
    case.run("nowhere", exact_study(), Progress(), wait_seconds=0)
    machine.nodes["row"] = machine.add("row")


def interrupt_releases(case: Case, machine: Machine) -> None:
    """Lose the key holder's node, and kill the driver, once the noise is stored."""
    # Nobody replaces this node: the run ends, and the same command finishes it when there is a node
    # again.
    gone = Scheduled("decrypt", 0, lambda: machine.crash("column"))
    case.run("gone", noisy_study(), gone, wait_seconds=0)
    case.results["gone"] |= {"left": case.left("gone"), "debits before": case.debits("gone")}
    machine.nodes["column"] = machine.add("column")
    module = "tests.runtime.fault_scenarios"
    command = [sys.executable, "-m", module, "killed", str(case.folder), machine.address]
    killed = subprocess.run(command, timeout=120, capture_output=True, text=True)
    case.results["driver"] = {
        "status": killed.returncode,
        "left": case.left("driver"),
        "stderr": killed.stderr[-500:],
    }
    for name in ("gone", "driver"):
        before = case.results.pop(name)
        case.run(name, noisy_study(), Progress())
        case.results[name] |= {
            "before": before,
            "debits": case.debits(name),
            "left": case.left(name),
        }


def stop_parties(case: Case, machine: Machine) -> None:
    """Stop the process of each party in turn."""
    for name, stage, point in (("row", "aggregate", 3), ("column", "exchange", 1)):
        stopped = list[int]()
        fault = Scheduled(
            stage,
            point,
            lambda name=name, stopped=stopped: stopped.append(machine.stop_party(name)),
        )
        case.run(f"silent {name}", exact_study(), fault, silence_seconds=5)
        case.results[f"silent {name}"] |= {
            "notes": fault.notes,
            "ended it": has_ended(stopped[0], 20.0),
        }


def lose_pool(case: Case, machine: Machine) -> None:
    """Lose all nodes of the pool, and run again when it has one."""
    fault = Scheduled("aggregate", 3, machine.crash_pool)
    case.run("poolless", exact_study(), fault, wait_seconds=0)
    before = case.results.pop("poolless")
    machine.nodes["none"] = machine.add("none")
    case.run("poolless", exact_study(), Progress())
    case.results["poolless"]["before"] = before


def killed(folder: Path, address: str) -> None:
    fault = Scheduled("decrypt", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    Case(folder, address).run("driver", noisy_study(), fault)


@dataclass
class StandsStill:
    """A function that stops its process the first time it runs, as on a node that hangs."""

    function: Any
    note: Path

    def __call__(self, *args: Any) -> Any:
        try:
            self.note.touch(exist_ok=False)
        except FileExistsError:
            return self.function(*args)
        self.note.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
        raise AssertionError


def stuck(case: Case, machine: Machine) -> None:
    machine.nodes["none"] = machine.add("none")
    submit = tasks.Tasks.submit
    note = case.folder / "stopped"
    seen = list[str]()

    def submitting(self: tasks.Tasks, function: Any, *args: Any) -> Any:
        seen.append(function.__name__)
        return submit(
            self, StandsStill(function, note) if seen.count("join_whole") == 4 else function, *args
        )

    # type: ignore[method-assign]
    tasks.Tasks.submit = submitting
    tasks.PATIENCE = 2.0
    try:
        case.run("stuck", exact_study(), progress := Scheduled("aggregate", 1, lambda: None))
        case.results["stuck"]["notes"] = progress.notes
    finally:
        # type: ignore[method-assign]
        tasks.Tasks.submit = submit
        tasks.PATIENCE = 60.0
        os.kill(int(note.read_text()), signal.SIGKILL)


def has_ended(process: int, within: float) -> bool:
    """Tell whether a process ends within some seconds: Ray first asks it to end, then ends it."""
    until = time.monotonic() + within
    while (lives := Path(f"/proc/{process}").exists()) and time.monotonic() < until:
        time.sleep(0.2)
    return not lives


def full(folder: Path, disk_too: bool) -> dict[str, Any]:
    """The object stores of both nodes are full while a run works, so that objects are spilled.

    With `disk_too` a second run finds the disk full as well.
    """
    right = expected(folder)
    machine = Machine(folder, ("row", "none"))
    labels = {"row": {"party": "row"}, "column": {"party": "row"}, "pool": {"party": "none"}}
    case = Case(folder, machine.address, labels)
    ray.init(machine.address, log_to_driver=False)
    try:
        filled = fill(14)
        case.results["right"] = right
        case.run("roomy", exact_study(), Progress())
        spilled = [path for path in (folder / "spill").rglob("*") if path.is_file()]
        case.results |= {
            "spilled": sum(path.stat().st_size for path in spilled),
            "left": case.left("roomy"),
        }
        case.results["open"] = [str(path) for path in spilled if path.stat().st_mode & 0o077]
        if disk_too:
            full_disk(case, filled)
    finally:
        ray.shutdown()
        machine.raylets.shutdown()
    return case.results


def full_disk(case: Case, filled: list[Any]) -> None:
    study = wide(case.folder)
    # Large pieces fill the disk, and small ones the gaps that they leave.
    filled += fill(28) + fill(80, 128 << 10)
    case.run("disk", study, Progress())
    case.results["disk"] |= {"left": case.left("disk"), "debits": case.debits("disk")}
    filled.clear()
    before = case.results.pop("disk")
    case.run("disk", study, Progress())
    case.results["disk"] |= {"before": before, "right": count(study, case.folder, case.paths)}


def fill(pieces: int, size: int = 6 << 20) -> list[Any]:
    """Make objects that fill the stores of both nodes, as long as they are held."""
    make = ray.remote(lambda size: os.urandom(size))
    refs = [
        make.options(num_cpus=0, label_selector={"party": party}).remote(size)
        for party in ("row", "none")
        for _ in range(pieces)
    ]
    ready, _ = ray.wait(refs, num_returns=len(refs), timeout=60, fetch_local=False)
    assert len(ready) == len(refs)
    return refs


def wide(folder: Path) -> Study:
    """Write a table with more flags than a full store has room for; returns its study."""
    flags = make_tables()[1]
    many = pa.concat_tables([flags] * 20).slice(0, 3000)
    people = pa.array([f"p{i}" for i in range(len(many))])
    pq.write_table(many.set_column(0, "passenger", people), folder / "column.parquet")
    bounds = Bounds(rows=1000, boardings=50, persons=4000, per_column=50)
    return replace(exact_study(), bounds=bounds)


if __name__ == "__main__":
    os.umask(0o077)
    scenario = sys.argv[1]
    at = Path(sys.argv[2])
    if scenario == "killed":
        killed(at, sys.argv[3])
    else:
        outcome = {
            "nodes": nodes,
            "spill": lambda f: full(f, False),
            "disk": lambda f: full(f, True),
        }[scenario](at)
        print(json.dumps(outcome))
