"""The last steps of a row party but the first: consent to what the first approved, and its debit.

It holds nothing of the table, and gets nothing of it but what is published.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.party_facts import note_debit
from xstat_ray.federation.party_state import forget, restored, told_facts
from xstat_ray.federation.roster import columns_of, publisher_of
from xstat_ray.privacy.places import Place
from xstat_ray.roles import RowParty
from xstat_ray.roles.row_peers import CONSENTED
from xstat_ray.runtime.progress import Progress


class ConsenterSteps:
    """The last steps of one of several row parties, which does not publish: consent and check."""

    def __init__(self, run: DomainRun, ledger: Place, progress: Progress) -> None:
        self._run = run
        self._ledger = ledger
        self._progress = progress
        self._columns = columns_of(run.plan.study)
        self._publisher = publisher_of(run.plan.study)

    def _party(self) -> RowParty:
        """Make the row party from its secrets on disk."""
        return restored(self._run, self._ledger, partial(RowParty, name=self._run.domain))

    def approve(self) -> None:
        """Debit the release, and tell each column party that this party consents to it.

        Raises:
            BudgetError: the release is not allowed; nothing was consented to.
            MessageError: what the first row party approved is not what it should be.
            PendingError: it has not come in time.
        """
        run = self._run
        mailbox = run.mailbox
        if run.log.finished or mailbox.has_sent(self._publisher, "facts"):
            return
        party = self._party()
        with self._progress.stage("approve", 1) as stage:
            with mailbox.receiving(self._publisher, "terms") as message:
                consents = party.consent(message.payload)
            release, digest = party.consented_release()
            note_debit(run, run.domain, release)
            if not any(run.log.of("approved")):
                run.log.add("approved", release=release, digest=digest.hex())
            for name, consent in zip(self._columns, consents, strict=True):
                mailbox.send(name, "approval", consent)
            mailbox.send(self._publisher, "facts", told_facts(run))
            stage.advance()
        mailbox.publish_log()

    def check(self) -> None:
        """Record the column parties' debits, and show each, after publication, this party's own.

        The secrets are removed then.

        Raises:
            BudgetError: the ledger is not the one that was debited, and has no budget for this.
            InputError: the ledger lacks what a column party has recorded of it.
            MessageError: a column party debited another release.
            PendingError: a column party has not told its debit in time, or the first row party has
                not published.
        """
        run = self._run
        if not run.log.finished:
            with self._progress.stage("check", 1) as stage:
                self._check()
                stage.advance()
            run.log.add("finished")
        run.mailbox.publish_log()
        forget(run, CONSENTED)

    def _check(self) -> None:
        mailbox = self._run.mailbox
        party = self._party()
        with ExitStack() as stack:
            told = [
                stack.enter_context(mailbox.receiving(name, "debited")) for name in self._columns
            ]
            party.accept_all_debits([message.payload for message in told])
        mailbox.log_with(self._publisher, "published")
        if all(mailbox.has_sent(name, "debited") for name in self._columns):
            return
        for name, debit in zip(self._columns, party.show_debit(), strict=True):
            mailbox.send(name, "debited", debit)
