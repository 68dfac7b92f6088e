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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray._private import ray_constants
from ray.cluster_utils import Cluster as Raylets

from tests.synthetic import make_study, make_tables
from xstat_ray import Options, crosstab
from xstat_ray.benchmarks.processes import tree
from xstat_ray.errors import XstatError
from xstat_ray.model.study import Bounds, Dimension, Privacy, Study
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.protocol import play
from xstat_ray.runtime import tasks
from xstat_ray.runtime.progress import Progress, Stage

STORE = 80 << 20
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 3,
}
"""A node that is gone is noticed within seconds, not half a minute."""
LABELS = {"row": {"party": "row"}, "column": {"party": "column"}, "pool": {"party": "none"}}


class Machine:
    """A head without cores, and nodes with the label `party`, all on this machine.

    Names of nodes are their labels, with a digit where several nodes have the same label.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], **config: Any) -> None:
        self.folder = folder
        arguments = {"num_cpus": 0, "labels": {"party": "driver"}, "object_store_memory": STORE}
        spill = {"object_spilling_directory": str(folder / "spill")}
        (folder / "spill").mkdir(mode=0o700, exist_ok=True)
        self.raylets = Raylets(
            initialize_head=True,
            head_node_args=arguments | spill | {"_system_config": HEALTH | config},
        )
        self.nodes = {name: self.add(name.rstrip("2")) for name in names}

    @property
    def address(self) -> str:
        # The nodes' own address is not known to be this machine's, and would be refused without
        # TLS.
        return "127.0.0.1:" + self.raylets.address.rsplit(":", 1)[1]

    def add(self, party: str) -> Any:
        return self.raylets.add_node(num_cpus=1, labels={"party": party}, object_store_memory=STORE)

    def crash(self, name: str) -> None:
        self.raylets.remove_node(self.nodes.pop(name), allow_graceful=False)

    def crash_pool(self) -> None:
        for name in [name for name in self.nodes if name.startswith("none")]:
            self.crash(name)

    def stop_party(self, name: str) -> int:
        """Stop the process of the party on a node, without ending it."""
        raylet = self.nodes[name].all_processes[ray_constants.PROCESS_TYPE_RAYLET][0].process.pid
        (party,) = [
            process
            for process in tree(raylet)
            if b"ray::PartyEnv" in Path(f"/proc/{process}/cmdline").read_bytes()
        ]
        os.kill(party, signal.SIGSTOP)
        return party

    def replace(self, name: str) -> None:
        self.crash(name)
        self.nodes[name] = self.add(name)


@dataclass
class Scheduled(Progress):
    """Calls `fault` once, when `stage` has advanced to `point`."""

    stage_name: str
    point: int
    fault: Callable[[], None]
    happened: bool = False
    notes: list[str] = field(default_factory=list)
    tries: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def note(self, message: str) -> None:
        self.notes.append(message)

    def retried(self, task: str, times: int) -> None:
        self.tries += times

    @contextmanager
    def display(self, name: str, total: int) -> Iterator[Stage]:
        outer = self
        done = 0

        class Counting(Stage):
            def advance(self, units: int = 1) -> None:
                nonlocal done
                done += units
                if name == outer.stage_name and done >= outer.point and not outer.happened:
                    outer.happened = True
                    outer.fault()

        stage = Counting()
        stage.advance(0)
        yield stage


@dataclass
class Adds(Progress):
    """Starts a node as soon as the run says that it waits for one."""

    machine: Machine
    name: str

    def __post_init__(self) -> None:
        super().__init__()

    def note(self, message: str) -> None:
        if message.startswith("Waiting"):
            self.machine.nodes[self.name] = self.machine.add(self.name)


def exact_study() -> Study:
    """Make a study without noise whose bounds never bind: every run gives the same counts."""
    everywhere = Dimension("route", "route", ("any",), ((),), other="any")
    study = make_study(offset_dimension=False)
    return replace(
        study,
        column=replace(study.column, dimensions=(everywhere,)),
        bounds=Bounds(rows=1000, boardings=50, persons=100),
    )


def noisy_study() -> Study:
    return replace(
        exact_study(), privacy=Privacy(noise="laplace", epsilon=Fraction(1), cap=Fraction(9))
    )


def tables(folder: Path) -> dict[str, Path]:
    paths = {}
    for role, table in zip(("row", "column"), make_tables(), strict=True):
        paths[role] = folder / f"{role}.parquet"
        pq.write_table(table, paths[role])
    return paths


class Case:
    """The runs of a scenario, and how they end."""

    def __init__(self, folder: Path, address: str, labels: Any = LABELS) -> None:
        self.folder = folder
        self.address = address
        self.labels = labels
        self.results = dict[str, Any]()
        self.paths = {role: folder / f"{role}.parquet" for role in ("row", "column")}

    def run(self, name: str, study: Study, progress: Progress, **cluster: Any) -> Any:
        """Run a study; returns its counts, or the typed error as text."""
        options = Options(
            key_bits=2048,
            shards=12,
            runtime="ray",
            replicas={},
            allow_no_noise=True,
            ledger=self.folder / f"{name}.sqlite",
            cluster=Cluster(
                address=self.address, labels=self.labels, **{"wait_seconds": 30} | cluster
            ),
        )
        start = time.monotonic()
        try:
            release = crosstab(
                study, **self.paths, out=self.folder / name, options=options, progress=progress
            )
            ended: Any = [int(value) for value in release.statistics["noisy"].to_pylist()]
        except XstatError as error:
            ended = f"{type(error).__name__}: {error}"
        self.results[name] = {
            "ended": ended,
            "seconds": time.monotonic() - start,
            "tries": getattr(progress, "tries", 0),
        }
        assert getattr(progress, "happened", True), f"{name}: the fault did not happen"
        return ended

    def debits(self, name: str) -> int:
        ledger = self.folder / f"{name}.sqlite"
        return int(Ledger(ledger).spent("synthetic/row")) if ledger.exists() else 0

    def left(self, name: str) -> list[str]:
        """List the statistics or the unfinished release in the folder of a run."""
        wanted = {"statistics.parquet", "unfinished"}
        return sorted(path.name for path in (self.folder / name).iterdir() if path.name in wanted)


def expected(folder: Path) -> list[int]:
    return count(exact_study(), folder, tables(folder))


def count(study: Study, folder: Path, paths: dict[str, Path]) -> list[int]:
    """Count by the protocol played in one process."""
    plan = make_plan(study, key_bits=2048, shards=12)
    played = play(
        plan, row_table=paths["row"], column_table=paths["column"], ledger=folder / "played.sqlite"
    )
    return [int(value) for value in played.values[plan.design.sections[0]].ravel()]


def nodes(folder: Path) -> dict[str, Any]:
    """Nodes of the pool and of parties are lost, the driver is killed, processes stand still."""
    right = expected(folder)
    machine = Machine(folder, ("row", "column", "none", "none2"))
    case = Case(folder, machine.address)
    case.results["right"] = right
    case.run("pool", exact_study(), Scheduled("aggregate", 3, lambda: machine.crash("none")))
    case.run("party", exact_study(), Scheduled("aggregate", 3, lambda: machine.replace("row")))
    # The node is gone before the run starts, and Ray does not yet know it.
    machine.crash("row")
    case.run("late", exact_study(), Adds(machine, "row"), restarts=0)
    machine.crash("row")
    case.run("nowhere", exact_study(), Progress(), wait_seconds=0)
    machine.nodes["row"] = machine.add("row")
    # Nobody replaces this node: the run ends, and the same command finishes it when there is a node
    # again.
    gone = Scheduled("decrypt", 0, lambda: machine.crash("column"))
    case.run("gone", noisy_study(), gone, wait_seconds=0)
    case.results["gone"] |= {"left": case.left("gone"), "debits before": case.debits("gone")}
    machine.nodes["column"] = machine.add("column")
    # The driver is killed once the noise is stored, in a process of its own.
    command = [
        sys.executable,
        "-m",
        "tests.runtime.fault_scenarios",
        "killed",
        str(folder),
        machine.address,
    ]
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
    stuck(case, machine)
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
    case.run(
        "poolless", exact_study(), Scheduled("aggregate", 3, machine.crash_pool), wait_seconds=0
    )
    before = case.results.pop("poolless")
    machine.nodes["none"] = machine.add("none")
    case.run("poolless", exact_study(), Progress())
    case.results["poolless"]["before"] = before
    machine.raylets.shutdown()
    return case.results


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
            self, StandsStill(function, note) if seen.count("join") == 4 else function, *args
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
    return replace(exact_study(), bounds=Bounds(rows=1000, boardings=50, persons=4000))


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
