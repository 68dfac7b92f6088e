"""All three domains on one machine: separate processes with folders of their own, which share an exchange folder.

This shows that the jobs work together and tests them. It is no isolation: one user runs all of it.
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
from xstat_ray.federation.identity import DOMAINS, Domain, Identity, private_folder
from xstat_ray.inputs.source import Source, check_sources
from xstat_ray.model.study import Role, Study
from xstat_ray.planning.options import Options, check_noise
from xstat_ray.planning.pool_view import PADDING_OFF
from xstat_ray.publication.release import STATISTICS, Release, read
from xstat_ray.runtime.progress import Progress

FOLDER = "domains"
_RUN = "run"
_EXCHANGE = "exchange"
_CHAINS: Mapping[Domain, Sequence[tuple[str, tuple[str, ...]]]] = {
    "row": (("deidentify", ("party=row",)), ("release", ("party=row", "step=all"))),
    "column": (("deidentify", ("party=column",)), ("release", ("step=decrypt",))),
    "aggregator": (("aggregate", ()),),
}
"""The jobs of each domain, one after the other."""
_ERRORS: Mapping[int, type[XstatError]] = {2: InputError, 3: BudgetError}


@dataclass(frozen=True)
class Arguments:
    """What the jobs are told on their command lines."""

    common: tuple[str, ...]
    """For all of them: the study and what must be alike."""
    own: Mapping[Domain, tuple[str, ...]]
    """For one domain: where its data lies."""
    release: Mapping[Domain, tuple[str, ...]]
    """For its last job."""

    @classmethod
    def of(cls, overrides: Sequence[str], folders: Sequence[str]) -> Arguments:
        """From what `jobs.crosstab` was told: what is common to all, and for each party where its own data lies."""
        shared = list[str]()
        runtime = list[str]()
        ledger = list[str]()
        data: dict[Domain, list[str]] = {name: [] for name in DOMAINS}
        for override in overrides:
            key = override.partition("=")[0].lstrip("+~")
            if key.startswith("data."):
                data["row" if key.startswith("data.row") else "column"].append(override)
            elif key == "runtime":
                runtime.append(override)
            elif key == "ledger":
                ledger.append(override)
            elif key not in ("out", "display", "deployment"):
                shared.append(override)
        common = [part for folder in folders for part in ("--config-dir", folder)] + shared
        own = {
            name: (*runtime, *data[name], *([] if name == "aggregator" else ledger))
            for name in DOMAINS
        }
        return cls(tuple(common), own, {"row": (), "column": tuple(ledger), "aggregator": ()})


class OneMachine:
    """A run of all domains; a context manager that leaves no process behind."""

    def __init__(self, out: Path, arguments: Arguments, progress: Progress) -> None:
        self._out = out.absolute()
        self._arguments = arguments
        self._progress = progress
        self._folder = self._out / FOLDER
        self._running: dict[Domain, subprocess.Popen[bytes]] = {}

    def run(self, keep: bool = False) -> None:
        """Do everything that is left to do; `keep` leaves the exchange folder behind.

        Raises:
            XstatError: what the first job said that failed.
        """
        if (self._out / STATISTICS).exists() and not (self._folder / _EXCHANGE).exists():
            remedy = "Choose another out=, and mind that a new release spends budget again"
            raise InputError(
                "the output folder already holds a release, which is never overwritten",
                file=str(self._out),
                remedy=remedy,
            )
        private_folder(self._folder)
        keys = {name: Identity.create(self._identity(name)).public.hex() for name in DOMAINS}
        with (
            ExitStack() as stack,
            self._progress.stage("domains", sum(map(len, _CHAINS.values()))) as stage,
        ):
            stack.callback(self._stop)
            left = {name: list(chain) for name, chain in _CHAINS.items()}
            logs = {
                name: stack.enter_context(open(self._log(name), "wb", opener=_for_the_owner))
                for name in DOMAINS
            }
            for name in DOMAINS:
                self._start(name, left[name].pop(0), keys, logs[name])
            while self._running:
                name = self._next()
                stage.advance()
                if left[name]:
                    self._start(name, left[name].pop(0), keys, logs[name])
        if not keep:
            shutil.rmtree(self._folder / _EXCHANGE)

    def _start(
        self,
        name: Domain,
        job: tuple[str, tuple[str, ...]],
        keys: Mapping[Domain, str],
        log: IO[bytes],
    ) -> None:
        job_name, settings = job
        arguments = self._arguments
        special = arguments.release[name] if job_name == "release" else arguments.own[name]
        peers = [f"domain.peers.{other}='{key}'" for other, key in keys.items() if other != name]
        if (job_name, name) == ("release", "row"):
            settings = (*settings, _quoted("out", self._out))
        folders = [("exchange", self._folder / _EXCHANGE), ("private", self._folder / name)]
        where = [_quoted(f"domain.{key}", path) for key, path in folders]
        # Should this process be killed, its jobs go with it: they would be in the way of the next
        # one's.
        command = job_process.command(job_name)
        command += [
            *arguments.common,
            *special,
            *settings,
            *peers,
            *where,
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
        """The domain whose job ends next, having succeeded."""
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
        """An error like the one that the job has reported, which ends with what it said."""
        said = self._log(name).read_text(errors="replace").strip().splitlines()
        text = next(
            (line for line in reversed(said) if line.startswith("Error: ")),
            said[-1] if said else "",
        )
        kind = _ERRORS.get(code, PartyError)
        return kind(
            f"the {name} domain failed: {text.removeprefix('Error: ') or 'see ' + str(self._log(name))}"
        )

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
        return private_folder(self._folder / name) / "identity.pem"

    def _log(self, name: Domain) -> Path:
        return self._folder / name / "job.log"


def run_domains(
    study: Study,
    sources: Mapping[Role, Source],
    *,
    out: Path,
    options: Options,
    arguments: Arguments,
    progress: Progress,
) -> Release:
    """Run a cross-tab by three domains on this machine.

    Args:
        study: what to count.
        sources: where each party's table lies.
        out: folder of the release.
        options: how to run.
        arguments: what the domains' jobs are told on their command lines.
        progress: what to show.

    Raises:
        XstatError: as `xstat_ray.crosstab`.
    """
    plan = options.plan(study)
    progress.planned(plan)
    for warning in check_noise(study.privacy, allowed=options.allow_no_noise):
        progress.warn(warning)
    if plan.padding is None:
        progress.warn(PADDING_OFF)
    check_sources(sources)
    OneMachine(out, arguments, progress).run()
    return read(out)


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _quoted(key: str, path: Path) -> str:
    """An override whose value Hydra takes as it is."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{text}'"
