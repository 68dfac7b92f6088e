"""All deployments that can run the protocol, with one interface, for one suite over all of them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.federation.domains import Domains
from tests.runtime.running import coefficients, counts, seeds
from xstat_ray import Options, crosstab
from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role, Study
from xstat_ray.runtime.executor import Executor, LocalExecutor
from xstat_ray.runtime.ray_executor import RayExecutor

Sources = Mapping[Role, Source]


@dataclass
class Published:
    """What the suite reads of a release."""

    statistics: pa.Table
    plan: Mapping[str, Any]


@dataclass
class Counted:
    """Values of a release without noise, and the seeds of its parties."""

    values: NDArray[np.int64]
    """(coefficients, slots) of all measured levels, or (cells, slots) where only cells are seen."""
    seeds: Mapping[str, bytes]


class Deployment(ABC):
    """A way to run the protocol; it writes everything below its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def options(self, **changes: object) -> Options:
        """Options with keys of 2048 bits that do not insist on noise, with changes."""
        options = Options(key_bits=2048, allow_no_noise=True)
        return replace(options, **changes)

    @abstractmethod
    def publish(self, study: Study, sources: Sources, options: Options) -> Published:
        """Run a study to its release."""

    @abstractmethod
    def counted(self, study: Study, sources: Sources, options: Options) -> Counted:
        """Run a study whose noise is off."""

    def shown(
        self, study: Study, options: Options, expected: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Turn exact counts (cells, slots) into the values that `counted` must return."""
        return coefficients(options.plan(study), expected)


class InOneProcess(Deployment):
    """The driver, with both parties beside it in this process."""

    runtime = "local"

    def executor(self, study: Study, sources: Sources, options: Options) -> Executor:
        """Make what runs the parties and the tasks."""
        return LocalExecutor(study, sources)

    def publish(self, study: Study, sources: Sources, options: Options) -> Published:
        options = replace(options, runtime=self.runtime)
        ledger = self.folder / "ledger"
        kept = {role: replace(source, ledger=ledger) for role, source in sources.items()}
        release = crosstab(study, row=kept["row"], column=kept["column"], options=options)
        return Published(release.statistics, release.plan)

    def counted(self, study: Study, sources: Sources, options: Options) -> Counted:
        with self.executor(study, sources, options) as executor:
            values = counts(executor, options.plan(study))
            return Counted(values, seeds(executor))


class OnRay(InOneProcess):
    """The driver, with the parties as actors and the joins as tasks of a Ray cluster."""

    runtime = "ray"

    def executor(self, study: Study, sources: Sources, options: Options) -> Executor:
        return RayExecutor(study, sources, options.replicas)


class ThreeDomains(Deployment):
    """Three domains that share nothing but files; their jobs run in this process, one by one."""

    def publish(self, study: Study, sources: Sources, options: Options) -> Published:
        domains = self.domains(study, sources, options)
        domains.run()
        plan = json.loads((domains.out / "plan.json").read_text())
        return Published(pq.read_table(domains.out / "statistics.parquet"), plan)

    def counted(self, study: Study, sources: Sources, options: Options) -> Counted:
        domains = self.domains(study, sources, options)
        domains.run(until=("aggregator", "all"))
        # A party deletes its secrets when its part of the release is done.
        kept = {role: (domains.state(role) / "secrets").read_bytes() for role in sources}
        domains.run()
        noisy = pq.read_table(domains.out / "statistics.parquet")["noisy"].to_numpy()
        return Counted(
            noisy.reshape(study.cells, study.slots),
            {role: unpack_fields(secrets)["seed"] for role, secrets in kept.items()},
        )

    def shown(
        self, study: Study, options: Options, expected: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        return expected

    def domains(self, study: Study, sources: Sources, options: Options) -> Domains:
        """Make domains that have not begun."""
        self.folder.mkdir(exist_ok=True)
        return Domains(self.folder / "domains", study, sources, **vars(options))
