"""The jobs of the parties as calls: from a checked configuration to the steps."""

from __future__ import annotations

from dataclasses import replace

from xstat_ray.errors import BudgetError
from xstat_ray.federation.config import PartyConfig, ReleaseConfig
from xstat_ray.federation.domain_run import Desk
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
    with Desk(role, config.settings, plan) as desk:
        if desk.log.finished:
            return
        progress = Recorded(progress, desk.folder)
        source = replace(config.source, private=desk.folder).absolute
        attestation = config.attestation.make(desk.identity, desk.peers)
        with open_executor(config.study, {role: source}, config.options, progress) as executor:
            ledger = config.options.ledger.absolute()
            steps = PartySteps(
                desk, role, executor, attestation=attestation, ledger=ledger, progress=progress
            )
            try:
                for step in STEPS if config.step == "all" else (config.step,):
                    steps.run(step)
            except BudgetError:
                _refuse(
                    desk,
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
    with Desk(config.domain, config.settings, config.plan()) as desk:
        progress = Recorded(progress, desk.folder)
        if config.domain == "column":
            try:
                KeyHolderSteps(desk, config.options.ledger.absolute(), progress).decrypt()
            except BudgetError:
                _refuse(desk, "aggregator", "noisy", "the budget is spent")
                raise
            return
        assert config.out is not None
        publisher = PublisherSteps(desk, config.out, progress)
        if config.step in ("unblind", "all"):
            publisher.unblind()
        if config.step in ("publish", "all"):
            publisher.publish()


def _refuse(desk: Desk, peer: Domain, kind: str, reason: str) -> None:
    """Tell in the log that a message was not acted upon."""
    desk.log.add("refused", peer=peer, sequence=0, kind=kind, reason=reason)
    desk.post.publish_log()
