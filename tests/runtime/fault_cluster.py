"""A cluster of several raylets on this machine, and runs during which a part of it fails."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from ray._private import ray_constants
from ray.cluster_utils import Cluster as Raylets

from tests.synthetic import make_study, make_tables
from xstat_ray import Options, crosstab
from xstat_ray.benchmarks.processes import tree
from xstat_ray.errors import XstatError
from xstat_ray.inputs.source import Source
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Bounds, Privacy, Study
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.protocol import play
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
        bounds=Bounds(rows=1000, boardings=50, persons=100, per_column=50),
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
            cluster=Cluster(
                address=self.address, labels=self.labels, **{"wait_seconds": 30} | cluster
            ),
        )
        ledger = self.folder / f"{name}.sqlite"
        sources = {role: Source(path, ledger=ledger) for role, path in self.paths.items()}
        start = time.monotonic()
        try:
            release = crosstab(
                study, **sources, out=self.folder / name, options=options, progress=progress
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

    def debits(self, name: str) -> list[int]:
        """Return what the row party and the column party have spent on a run."""
        ledger = self.folder / f"{name}.sqlite"
        if not ledger.exists():
            return [0, 0]
        return [int(Ledger(ledger).spent(f"synthetic/{party}")) for party in ("row", "column")]

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
