"""Runs of whole studies in each deployment, with everything that each role had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray

from tests.adversary.recorder import NOBODY, Record, Recorder, Thing
from tests.federation.domains import RUN, Domains
from tests.runtime.running import inside
from xstat_ray import Options, crosstab
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.identity import Domain
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role, Study
from xstat_ray.protocol import play
from xstat_ray.runtime import ray_executor
from xstat_ray.runtime.executor import Ref
from xstat_ray.runtime.party_environment import PartyEnvironment

Table = Mapping[str, list[Any]]
PUBLIC = "public"
"""Reads what is published: tables, plan, manifest, and the logs that lie beside them."""
READER = "reader of the exchange"
DRIVER = "driver"


@dataclass
class Ran:
    """A run that is over."""

    record: Record
    out: Path

    def of(self, *roles: str) -> list[Thing]:
        """Everything that these roles had; each of them reads what is published."""
        return self.record.of(*roles, PUBLIC)


def played(
    study: Study, tables: Mapping[Role, Table], folder: Path, *roles: str, **options: Any
) -> Record:
    """Play the protocol in its one function, and record these roles alone: the quickest run.

    The function itself plays no role.
    """
    sources = sources_of(tables, folder, {})
    given = options_of(folder, **options)
    with Recorder(*roles).recording(NOBODY) as record:
        play(
            given.plan(study),
            row_table=sources["row"].table,
            column_table=sources["column"].table,
            ledger=folder / "ledger.sqlite",
        )
    return record


def played_as_far_as_it_goes(
    study: Study, tables: Mapping[Role, Table], folder: Path, *roles: str
) -> tuple[Record, str]:
    """Play the protocol where somebody is of bad faith, and record these roles alone.

    Returns:
        What they had, and why one of the others refused to go on, if it did.
    """
    sources = sources_of(tables, folder, {})
    given = options_of(folder)
    refused = ""
    with Recorder(*roles).recording(NOBODY) as record:
        try:
            play(
                given.plan(study),
                row_table=sources["row"].table,
                column_table=sources["column"].table,
                ledger=folder / "ledger.sqlite",
            )
        except ProtocolError as error:
            refused = str(error)
    return record, refused


class OneProcess:
    """The driver, with both parties beside it in this process."""

    name = "one process"
    runtime = "local"
    counters: tuple[str, ...] = (DRIVER, "aggregator")
    """Roles that count what is encrypted; in one cluster the driver is one of them."""

    def run(
        self,
        study: Study,
        tables: Mapping[Role, Table],
        folder: Path,
        excluded: Mapping[Role, Path] | None = None,
        ledger: Path | None = None,
        **options: Any,
    ) -> Ran:
        """Run a study on two tables below a folder.

        Args:
            study: what is counted.
            tables: the columns of each party's table.
            folder: an empty folder.
            excluded: files with people to leave out.
            ledger: budget file of both parties; by default one in the folder.
            options: of `Options`.
        """
        sources = sources_of(tables, folder, excluded or {}, ledger)
        return self.ran(study, sources, folder, options)

    def ran(
        self, study: Study, sources: Mapping[Role, Source], folder: Path, options: dict[str, Any]
    ) -> Ran:
        """Run a study, and collect what was recorded and published."""
        with self.watched() as record:
            self.release(study, sources, folder, options)
        record.add_files(PUBLIC, folder / "out")
        return Ran(record, folder / "out")

    def release(
        self, study: Study, sources: Mapping[Role, Source], folder: Path, options: dict[str, Any]
    ) -> None:
        """Run the job as one call."""
        crosstab(
            study,
            row=sources["row"],
            column=sources["column"],
            out=folder / "out",
            options=options_of(folder, runtime=self.runtime, **options),
        )

    @contextmanager
    def watched(self) -> Iterator[Record]:
        """Record what is run inside."""
        with Recorder().recording(DRIVER) as record:
            yield record


class OnRay(OneProcess):
    """The driver, with the parties as actors and the joins as tasks of a Ray cluster.

    The recorder works in the process of every party too. Whatever the driver has a handle on, it can
    read.
    """

    name = "Ray"
    runtime = "ray"

    @contextmanager
    def watched(self) -> Iterator[Record]:
        with pytest.MonkeyPatch.context() as patch, Recorder().recording(DRIVER) as record:
            _watch_ray(patch, record)
            yield record


def _watch_ray(patch: pytest.MonkeyPatch, record: Record) -> None:
    """Record inside the parties' actors, and whatever the driver has a handle on."""
    handles: list[tuple[str, Ref[Any]]] = []
    start = ray_executor.RayExecutor.__init__
    call = ray_executor.RayInstance.call
    submit = ray_executor.RayExecutor.submit
    close = ray_executor.RayExecutor.close

    def started(self: Any, *arguments: Any, **options: Any) -> None:
        start(self, *arguments, **options)
        for role, instances in self.parties.items():
            for replica in range(len(instances)):
                inside(self, role, replica, _record_here, role)

    def called(self: Any, method: Any, *arguments: object) -> Ref[Any]:
        handles.append((f"call of {method.__name__}", call(self, method, *arguments)))
        return handles[-1][1]

    def submitted(self: Any, function: Any, *arguments: object) -> Ref[Any]:
        handles.append((f"task {function.__name__}", submit(self, function, *arguments)))
        return handles[-1][1]

    def closed(self: Any) -> None:
        for name, handle in handles:
            record.add(DRIVER, "received", name, ray.get(handle))
        handles.clear()
        for role, instances in self.parties.items():
            for replica in range(len(instances)):
                record.add_all(inside(self, role, replica, _recorded_here))
        close(self)

    patch.setattr(ray_executor.RayExecutor, "__init__", started)
    patch.setattr(ray_executor.RayInstance, "call", called)
    patch.setattr(ray_executor.RayExecutor, "submit", submitted)
    patch.setattr(ray_executor.RayExecutor, "close", closed)


_HERE: list[Recorder] = []
"""The recorder of an actor's process."""


def _record_here(_environment: PartyEnvironment, role: str) -> None:
    recorder = Recorder()
    recorder.base = role
    recorder.start()
    _HERE.append(recorder)


def _recorded_here(_environment: PartyEnvironment) -> list[Thing]:
    return list(_HERE[0].record.things.values())


class ThreeDomains(OneProcess):
    """Three domains that share nothing but files; their jobs run in this process, one by one."""

    name = "three domains"
    counters = ("aggregator",)

    def ran(
        self, study: Study, sources: Mapping[Role, Source], folder: Path, options: dict[str, Any]
    ) -> Ran:
        ledgers = {role: source.ledger for role, source in sources.items()}
        domains = Watched(folder, study, sources, ledgers, **vars(options_of(folder, **options)))
        domains.run()
        record = domains.recorder.record
        record.add_files(PUBLIC, domains.out)
        record.add_files(READER, domains.exchange / RUN)
        return Ran(record, domains.out)


class Watched(Domains):
    """Domains, each of which records what it does and keeps."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.recorder = Recorder()

    def step(self, domain: Domain, step: str, **changes: Any) -> None:
        try:
            with self.recorder.recording(domain):
                super().step(domain, step, **changes)
        finally:
            self.recorder.record.add_files(domain, self.private(domain))


class OneFunction(OneProcess):
    """The protocol in its one function, which plays no role; nothing is published."""

    name = "one function"
    counters = ("aggregator",)

    def run(
        self,
        study: Study,
        tables: Mapping[Role, Table],
        folder: Path,
        excluded: Mapping[Role, Path] | None = None,
        ledger: Path | None = None,
        **options: Any,
    ) -> Ran:
        del excluded, ledger
        return Ran(played(study, tables, folder, "aggregator", "row", **options), folder)


DEPLOYMENTS = [OneProcess(), ThreeDomains()]
ONE_FUNCTION = OneFunction()
"""The quickest, of which the aggregator and the row party are recorded."""
ON_RAY = OnRay()
CASES = [pytest.param(deployment, id=deployment.name) for deployment in DEPLOYMENTS]
"""The deployments that need no cluster, as cases of a test."""


def options_of(folder: Path, **changes: Any) -> Options:
    """Options with small keys that do not insist on noise."""
    given: dict[str, Any] = {
        "key_bits": 2048,
        "shards": 2,
        "allow_no_noise": True,
    }
    return Options(**given | changes)


def sources_of(
    tables: Mapping[Role, Table],
    folder: Path,
    excluded: Mapping[Role, Path],
    ledger: Path | None = None,
) -> dict[Role, Source]:
    """Write the tables below a folder, in which both parties have one ledger, or another one."""
    folder.mkdir(parents=True, exist_ok=True)
    sources: dict[Role, Source] = {}
    for role, columns in tables.items():
        path = folder / f"{role}.parquet"
        pq.write_table(pa.table(dict(columns)), path)
        lists = (excluded[role],) if role in excluded else ()
        sources[role] = Source(path, lists, ledger=ledger or folder / "ledger.sqlite")
    return sources
