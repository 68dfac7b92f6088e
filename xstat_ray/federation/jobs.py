"""The jobs of the parties as calls: from a checked configuration to the steps."""

from __future__ import annotations

from dataclasses import replace

from xstat_ray.errors import BudgetError
from xstat_ray.federation.config import PartyConfig, ReleaseConfig
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.party import STEPS, PartySteps
from xstat_ray.federation.release import KeyHolderSteps, PublisherSteps
from xstat_ray.model.study import Role
from xstat_ray.planning.options import check_noise
from xstat_ray.planning.pool_view import PADDING_OFF
from xstat_ray.runtime.events import Recorded
from xstat_ray.runtime.open import open_executor
from xstat_ray.runtime.progress import Progress


def deidentify(config: PartyConfig, progress: Progress) -> None:
    """One step of a party, or all of them in order, on its own cluster.

    Raises:
        BudgetError: the pool has learnt as much of the party's data set as it may; the log says so.
        XstatError: see `PartySteps.run`.
    """
    role: Role = "row" if config.domain == "row" else "column"
    for warning in check_noise(config.study.privacy, allowed=config.options.allow_no_noise):
        progress.warn(warning)
    plan = config.plan()
    if plan.padding is None:
        progress.warn(PADDING_OFF)
    with DomainRun(role, config.settings, plan) as domain_run:
        if domain_run.log.finished:
            return
        progress = Recorded(progress, domain_run.folder)
        source = replace(
            config.source, private=domain_run.folder, ledger=config.options.ledger
        ).absolute
        attestation = config.attestation.make(domain_run.identity, domain_run.peers)
        with open_executor(config.study, {role: source}, config.options, progress) as executor:
            steps = PartySteps(
                domain_run,
                role,
                executor,
                attestation=attestation,
                progress=progress,
            )
            try:
                for step in STEPS if config.step == "all" else (config.step,):
                    steps.run(step)
            except BudgetError:
                _refuse(
                    domain_run,
                    "column" if role == "row" else "row",
                    "evaluated",
                    "the pool has learnt as much as it may",
                )
                raise


def release(config: ReleaseConfig, progress: Progress) -> None:
    """One of the last steps, or all of a party's.

    Raises:
        BudgetError: the release is not allowed; nothing was decrypted, and the log says so.
        XstatError: see the steps.
    """
    for warning in check_noise(config.study.privacy, allowed=config.options.allow_no_noise):
        progress.warn(warning)
    with DomainRun(config.domain, config.settings, config.plan()) as domain_run:
        progress = Recorded(progress, domain_run.folder)
        if config.domain == "column":
            try:
                KeyHolderSteps(domain_run, config.options.ledger.absolute(), progress).decrypt()
            except BudgetError:
                _refuse(domain_run, "aggregator", "noisy", "the budget is spent")
                raise
            return
        assert config.out is not None
        publisher = PublisherSteps(domain_run, config.out, progress)
        if config.step in ("unblind", "all"):
            publisher.unblind()
        if config.step in ("publish", "all"):
            publisher.publish()


def _refuse(domain_run: DomainRun, peer: Domain, kind: str, reason: str) -> None:
    """Tell in the log that a message was not acted upon."""
    domain_run.log.add("refused", peer=peer, sequence=0, kind=kind, reason=reason)
    domain_run.mailbox.publish_log()
