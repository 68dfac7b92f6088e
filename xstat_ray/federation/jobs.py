"""The jobs of the parties as calls, from a checked configuration to the steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from xstat_ray.errors import BudgetError
from xstat_ray.federation.config import DomainConfig, PartyConfig, ReleaseConfig
from xstat_ray.federation.consenter import ConsenterSteps
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.key_holder import KeyHolderSteps
from xstat_ray.federation.party import STEPS, PartySteps
from xstat_ray.federation.release import PublisherSteps
from xstat_ray.federation.roster import columns_of, publisher_of
from xstat_ray.federation.table_copy import table_files
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role
from xstat_ray.planning.disk import check_disk, output_bytes, sent_bytes
from xstat_ray.planning.fit import check_party, party_rows
from xstat_ray.planning.options import check_noise
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.pool_view import padding_off
from xstat_ray.privacy.places import Place
from xstat_ray.roles.party import Party
from xstat_ray.roles.session import SECRETS
from xstat_ray.runtime.events import Recorded
from xstat_ray.runtime.intake_notice import tell_intake
from xstat_ray.runtime.ledgers import ledger_rows, ledgers_of, warn_of_second
from xstat_ray.runtime.open import open_executor
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.location import Location


def deidentify(config: PartyConfig, progress: Progress) -> None:
    """Do one step of a party, or all of them in order, on the party's cluster.

    Raises:
        InputError, PlanError: a disk or the memory has too little room; nothing was begun.
        BudgetError: the party's ledger has no room for the run, which then does not begin; or the
            pool has learnt as much of the party's data set as it may, which the log tells.
        XstatError: see `PartySteps.run`.
    """
    role = config.study.role_of(config.domain)
    for warning in check_noise(config.study.privacy, allowed=config.options.allow_no_noise):
        progress.warn(warning)
    plan = config.plan()
    if plan.padding is None:
        progress.warn(padding_off(plan.study))
    _show_ledger(config, config.source.ledger, progress)
    with DomainRun(config.domain, config.settings, plan) as run:
        if run.log.finished:
            return
        if not (run.folder / SECRETS).exists():
            _check_room(config, role, plan)
        progress = Recorded(progress, run.folder)
        source = replace(config.source, private=run.folder).absolute
        attestation = config.attestation.make(run.identity, run.peers)
        with (
            table_files(run, role, source, config.step) as source,
            open_executor(
                config.study, {config.domain: source}, config.options, progress
            ) as executor,
        ):
            if config.step in ("handshake", "all") and not (run.folder / SECRETS).exists():
                # Told to nobody else, as nobody has been told anything yet.
                executor.get(executor.first(config.domain).call(Party.check_budget))
            steps = PartySteps(
                run,
                role,
                executor,
                attestation=attestation,
                progress=progress,
                memory=config.options.memory,
            )
            try:
                for step in STEPS if config.step == "all" else (config.step,):
                    steps.run(step)
                    if step == "emit":
                        tell_intake(run.folder, config.domain, source.warn_above, progress)
            except BudgetError:
                ends = columns_of(config.study)[0], publisher_of(config.study)
                other = ends[0] if role == "row" else ends[1]
                _refuse(run, other, "matrix", "the pool has learnt as much as it may")
                raise


def _check_room(config: PartyConfig, role: Role, plan: Plan) -> None:
    """Refuse a run for which memory or a disk has too little room, before it begins."""
    rows = party_rows(config.study, role, config.source)
    check_party(plan, config.options, role, rows)
    sent = sent_bytes(plan, role, rows or 0)
    check_disk(Location.of(config.settings.exchange), sent, "the run", "domain.exchange")
    check_disk(config.settings.private, output_bytes(plan), "the run", "domain.private")


def release(config: ReleaseConfig, progress: Progress) -> None:
    """Do one of a party's last steps, or all of them.

    Raises:
        BudgetError: the release is not allowed; nothing was decrypted, and the log tells that.
        XstatError: see `KeyHolderSteps`, `PublisherSteps` and `ConsenterSteps`.
    """
    for warning in check_noise(config.study.privacy, allowed=config.options.allow_no_noise):
        progress.warn(warning)
    _show_ledger(config, config.ledger, progress)
    plan = config.plan()
    if config.out is not None:
        check_disk(config.out, output_bytes(plan), "the release", "out")
    with DomainRun(config.domain, config.settings, plan) as run:
        progress = Recorded(progress, run.folder)
        ledger = config.ledger.absolute()
        if config.study.role_of(config.domain) == "column":
            _open_and_check(run, ledger, config.step, progress)
        elif config.domain != publisher_of(config.study):
            _consent_and_check(run, ledger, config.step, progress)
        else:
            assert config.out is not None
            publisher = PublisherSteps(run, ledger, config.out, progress)
            _approve_and_publish(run, publisher, config.step)


def _approve_and_publish(run: DomainRun, publisher: PublisherSteps, step: str) -> None:
    """Do the last steps of the row party, or of the first."""
    if step in ("approve", "all"):
        try:
            publisher.approve()
        except BudgetError:
            _refuse(run, "aggregator", "masked", "the budget is spent")
            raise
    if step in ("unblind", "all"):
        publisher.unblind()
    if step in ("publish", "all"):
        publisher.publish()


def _consent_and_check(run: DomainRun, ledger: Place, step: str, progress: Progress) -> None:
    """Do the last steps of a row party that does not publish."""
    consenter = ConsenterSteps(run, ledger, progress)
    if step in ("approve", "all"):
        try:
            consenter.approve()
        except BudgetError:
            _refuse(run, publisher_of(run.plan.study), "terms", "the budget is spent")
            raise
    if step in ("check", "all"):
        consenter.check()


def _open_and_check(run: DomainRun, ledger: Place, step: str, progress: Progress) -> None:
    """Do a column party's last steps."""
    key_holder = KeyHolderSteps(run, ledger, progress)
    if step in ("decrypt", "all"):
        try:
            key_holder.decrypt()
        except BudgetError:
            _refuse(run, publisher_of(run.plan.study), "approval", "the budget is spent")
            raise
    if step in ("check", "all"):
        key_holder.check()


def _show_ledger(config: DomainConfig, ledger: Place | None, progress: Progress) -> None:
    """Say where the party's budget is kept, and warn where its data set has another ledger."""
    ledgers = ledgers_of(config.study, {config.domain: Source(Path(), ledger=ledger)})
    for name, value in ledger_rows(ledgers):
        progress.note(f"{name}: {value}")
    warn_of_second(ledgers, progress)


def _refuse(run: DomainRun, peer: Domain, kind: str, reason: str) -> None:
    """Tell in the log that a message was refused, and publish the log."""
    run.log.add("refused", peer=peer, sequence=0, kind=kind, reason=reason)
    run.mailbox.publish_log()
