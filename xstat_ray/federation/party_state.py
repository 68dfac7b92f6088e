"""A party's state between the last steps of a run: made again before each, gone after the last."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TypeVar

from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.party_facts import read_facts
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.privacy.places import Place
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.many_links import LINKS
from xstat_ray.roles.payer import ASKED, DEMANDED
from xstat_ray.roles.session import SECRETS

P = TypeVar("P", RowParty, ColumnParty)


def restored(run: DomainRun, ledger: Place, make: Callable[[Study, Source], P]) -> P:
    """Make a party from its secrets on disk.

    Args:
        run: the domain's run.
        ledger: the party's budget ledger.
        make: makes a party of the study, which needs its table no more.

    Raises:
        InputError: the step emit is not over.
    """
    read_facts(run.folder)
    party = make(run.plan.study, Source(run.folder, ledger=ledger))
    party.load(run.folder)
    return party


def told_facts(run: DomainRun) -> bytes:
    """What the domain that publishes is told for the manifest, the debit included."""
    debited = next((entry.facts for entry in run.log.of("debited")), None)
    return canonical({**read_facts(run.folder), "debited": debited})


def forget(run: DomainRun, *names: str) -> None:
    """Remove a party's secrets, and other files of its folder."""
    for name in (SECRETS, ASKED, DEMANDED, *names):
        (run.folder / name).unlink(missing_ok=True)
    shutil.rmtree(run.folder / LINKS, ignore_errors=True)
