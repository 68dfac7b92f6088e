"""All domains on one machine: processes with separate folders, which share an exchange.

This shows that the jobs work together, and tests them. It is no isolation, as one user runs all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from xstat_ray.errors import BudgetError, InputError, PartyError, XstatError
from xstat_ray.federation import job_process
from xstat_ray.federation.approve import approve_for_all
from xstat_ray.federation.config import release_steps
from xstat_ray.federation.identity import DOMAINS, Domain, Identity, private_folder
from xstat_ray.federation.roster import domains_of, publisher_of
from xstat_ray.inputs.source import Source, check_sources
from xstat_ray.model.study import Study
from xstat_ray.planning.options import Options, check_noise
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.pool_view import padding_off
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.places import Place
from xstat_ray.publication.release import MANIFEST, STATISTICS, Release, read, staging_folder
from xstat_ray.runtime.intake_notice import tell_intake
from xstat_ray.runtime.ledgers import announce, ledgers_of
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.location import Location, LocationLike

FOLDER = "domains"
"""Folder below the output folder with what the domains keep."""
_RUN = "run"
_EXCHANGE = "exchange"
Job = tuple[str, tuple[str, ...]]
"""A job and its settings."""
_ELSEWHERE = ("out", "display", "deployment", "data.row.ledger", "data.column.ledger", "ledger")
"""Settings that are not handed on, or as absolute paths."""
_LEDGERS = ("data.row.ledger.", "data.column.ledger.")
"""How the settings of single ledgers of several parties of a side begin."""
_APPROVED = "This machine has the keys of all domains, and has approved the run for each"
_ERRORS: Mapping[int, type[XstatError]] = {2: InputError, 3: BudgetError}


@dataclass(frozen=True)
class Arguments:
    """Arguments of the jobs on their command lines."""

    common: tuple[str, ...]
    """Arguments of all jobs: the study, and what must be alike."""
    by_role: Mapping[str, tuple[str, ...]]
    """Arguments of the jobs of a party, or of the aggregator, but the last: where the data lies,
    and how to run. All parties of a side have the same."""

    @classmethod
    def of(cls, overrides: Sequence[str], folders: Sequence[str]) -> Arguments:
        """Divide the arguments of the job `crosstab` among the jobs of the domains.

        Args:
            overrides: overrides of the configuration, each `key=value`.
            folders: further folders with configurations.
        """
        shared = list[str]()
        runtime = list[str]()
        data: dict[Domain, list[str]] = {name: [] for name in DOMAINS}
        for override in overrides:
            key = override.partition("=")[0].lstrip("+~")
            if key == "runtime":
                runtime.append(override)
            elif key.startswith(_LEDGERS) or key in _ELSEWHERE:
                continue
            elif key.startswith("data."):
                data["row" if key.startswith("data.row") else "column"].append(override)
            else:
                shared.append(override)
        common = [part for folder in folders for part in ("--config-dir", folder)] + shared
        by_role = {name: (*runtime, *data[name]) for name in DOMAINS}
        return cls(tuple(common), by_role)

    def of_domain(self, domain: Domain, study: Study) -> tuple[str, ...]:
        """Arguments of the jobs of a domain of a study but the last."""
        return self.by_role["aggregator" if domain == "aggregator" else study.role_of(domain)]


class OneMachine:
    """A run of all domains, which leaves no process behind."""

    def __init__(
        self,
        plan: Plan,
        out: LocationLike,
        ledgers: Mapping[Domain, Place],
        arguments: Arguments,
        progress: Progress,
    ) -> None:
        self._plan = plan
        self._ledgers = ledgers
        self._out = Location.of(out).absolute
        self._arguments = arguments
        self._progress = progress
        local = self._out.local if self._out.is_local else staging_folder(self._out)
        self.folder = local / FOLDER
        """Where the domains keep what is theirs, on this machine's disk."""
        self._running: dict[Domain, subprocess.Popen[bytes]] = {}
        self._domains = domains_of(plan.study)

    def run(self, keep: bool = False) -> None:
        """Do all that is left to do.

        Args:
            keep: whether to leave the exchange behind.

        Raises:
            XstatError: a job failed; the error is that of the first one.
        """
        made = self._out / (STATISTICS if self._out.is_local else MANIFEST)
        if made.exists() and not (self.folder / _EXCHANGE).exists():
            remedy = "Choose another out=, and mind that a new release spends budget again"
            raise InputError(
                "the output folder already holds a release, which is never overwritten",
                file=str(self._out),
                remedy=remedy,
            )
        private_folder(self.folder)
        identities = {name: Identity.create(self._identity(name)) for name in self._domains}
        keys = {name: identity.public.hex() for name, identity in identities.items()}
        agreed = approve_for_all(self._plan, _RUN, self.folder / _EXCHANGE, identities)
        self._progress.note(f"{_APPROVED}: collaboration {agreed}")
        left = {name: jobs_of(name, self._plan.study) for name in self._domains}
        with (
            ExitStack() as stack,
            self._progress.stage("domains", sum(map(len, left.values()))) as stage,
        ):
            stack.callback(self._stop)
            logs = {
                name: stack.enter_context(open(self._log(name), "wb", opener=_for_the_owner))
                for name in self._domains
            }
            for name in self._domains:
                self._start(name, left[name].pop(0), keys, logs[name])
            while self._running:
                name = self._next()
                stage.advance()
                if left[name]:
                    self._start(name, left[name].pop(0), keys, logs[name])
        if not keep:
            shutil.rmtree(self.folder / _EXCHANGE)

    def _start(
        self,
        name: Domain,
        job: tuple[str, tuple[str, ...]],
        keys: Mapping[Domain, str],
        log: IO[bytes],
    ) -> None:
        job_name, settings = job
        arguments = self._arguments
        study = self._plan.study
        special = () if job_name == "release" else arguments.of_domain(name, study)
        ledgers = [
            _quoted(f"data.{study.role_of(party)}.ledger", path)
            for party, path in self._ledgers.items()
            if party == name
        ]
        peers = [f"++domain.peers.{other}='{key}'" for other, key in keys.items() if other != name]
        if (job_name, name) == ("release", publisher_of(study)):
            settings = (*settings, _quoted("out", self._out.uri))
        folders = [("exchange", self.folder / _EXCHANGE), ("private", self.folder / name)]
        where = [_quoted(f"domain.{key}", path) for key, path in folders]
        # If this process is killed, its jobs end with it, so that they are not in the way of the
        # next one's.
        command = job_process.command(job_name)
        command += [
            *arguments.common,
            *special,
            *settings,
            *peers,
            *where,
            *ledgers,
            f"domain.run={_RUN}",
            "display=quiet",
        ]
        self._running[name] = subprocess.Popen(
            command,
            env=job_process.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            umask=0o077,
        )

    def _next(self) -> Domain:
        """Wait for the next job to end, and return its domain.

        Raises:
            XstatError: the job failed.
        """
        while True:
            for name, process in self._running.items():
                try:
                    code = process.wait(timeout=0.05)
                except subprocess.TimeoutExpired:
                    continue
                del self._running[name]
                if code:
                    raise self._failure(name, code)
                return name

    def _failure(self, name: Domain, code: int) -> XstatError:
        """Make an error like the one that a job reported before it ended with an exit code."""
        lines = self._log(name).read_text(errors="replace").strip().splitlines()
        last = lines[-1] if lines else ""
        reported = next((line for line in reversed(lines) if line.startswith("Error: ")), last)
        text = reported.removeprefix("Error: ") or f"see {self._log(name)}"
        kind = _ERRORS.get(code, PartyError)
        return kind(f"the {name} domain failed: {text}")

    def _stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _identity(self, name: Domain) -> Path:
        return private_folder(self.folder / name) / "identity.pem"

    def _log(self, name: Domain) -> Path:
        return self.folder / name / "job.log"


def run_domains(
    study: Study,
    sources: Mapping[Domain, Source],
    *,
    out: LocationLike,
    options: Options,
    arguments: Arguments,
    progress: Progress,
) -> Release:
    """Run a cross-tab by all domains on this machine.

    Args:
        study: what to count.
        sources: where each party's table lies, by the name of its domain.
        out: folder of the release.
        options: how to run.
        arguments: arguments of the domains' jobs.
        progress: what to show.

    Returns:
        The release, read from the output folder.

    Raises:
        XstatError: a job failed, for one of the reasons that `xstat_ray.crosstab` has.
    """
    plan = options.plan(study)
    check_sources(sources)
    announce(plan, ledgers_of(study, sources), progress)
    for warning in check_noise(study.privacy, allowed=options.allow_no_noise):
        progress.warn(warning)
    if plan.padding is None:
        progress.warn(padding_off(plan.study))
    machine = OneMachine(plan, out, _make_ledgers(study, sources), arguments, progress)
    machine.run()
    for name, source in sources.items():
        tell_intake(machine.folder / name / _RUN, name, source.warn_above, progress)
    return read(out)


def jobs_of(domain: Domain, study: Study) -> list[Job]:
    """List the jobs of a domain with their settings, one after the other."""
    if domain == "aggregator":
        return [("aggregate", ())]
    party = f"party={domain}"
    steps = ("all",) if domain == publisher_of(study) else release_steps(study, domain)
    releases = (("release", (party, f"step={step}")) for step in steps)
    return [("deidentify", (party,)), *releases]


def _make_ledgers(study: Study, sources: Mapping[Domain, Source]) -> dict[Domain, Place]:
    """Make the parties' ledgers, as the domains' jobs make none that is named; returns them."""
    made = dict[Domain, Place]()
    for name, source in sources.items():
        for _, path in ledgers_of(study, {name: source}):
            Ledger(path)
            made[name] = path
    return made


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _quoted(key: str, path: Place | str) -> str:
    """Write an override whose value Hydra takes as it is."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{text}'"
