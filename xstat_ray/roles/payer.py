"""What a party does with its budget ledger: debits, and what both parties tell of their ledgers.

Whoever may write a ledger can put back yesterday's copy of it. Only the other party can notice
that, so it records heads of this party's ledger, and asks for them.

- In its offer of the ID exchange each party asks for all heads that it has recorded of the other's
  ledger. The other checks that its ledger holds them, then and before every debit of the session.
- After its debit each party tells its new head: the row party with its approval and again with its
  masks, the key holder with what it opened. The other records it at once: a head is recorded
  before anything is opened, or unmasked, that it pays for.
- With its approval and with what it opened a party also asks for what it has recorded since, in
  other sessions.

A head that is told in a session stands for those that were asked for in the session's offer, so
few are asked for at a time, whatever the order in which several runs are opened and checked.
"""

from __future__ import annotations

import re

from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.model.encoding import MOST_HEADS, NO_HEAD
from xstat_ray.model.study import Role, Study
from xstat_ray.noise.plan import spent_delta
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.views import view_debit
from xstat_ray.roles.seat import Seat
from xstat_ray.roles.session import Session

ASKED = "asked"
"""File in the private folder with the heads that this party's offer asks for."""
DEMANDED = "demanded"
"""File in the private folder with the heads that the other party asks for in this session."""


class Payer(Session):
    """A session of a party that pays for the release, unless noise is off."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._source = seat.source

    @property
    def _pays(self) -> bool:
        return self._study.privacy.noise != "off"

    @property
    def _ledger(self) -> Ledger | None:
        """The ledger; None where nothing is paid, or where the party has none."""
        path = self._source.ledger
        return Ledger(path) if self._pays and path is not None else None

    def _dataset(self, role: Role) -> str:
        return (self._row_terms if role == "row" else self._terms).dataset

    def _pay(self, release: str) -> None:
        """Debit this party's data set for a release, once however often this is called.

        Nothing is debited where noise is off.

        Args:
            release: id of the release, which the party has formed itself.

        Raises:
            BudgetError: the budget does not allow it.
            ProtocolError: there is no ledger.
        """
        if not self._pays:
            return
        ledger = self._ledger
        if ledger is None:
            raise ProtocolError(f"the {self.role} party has no ledger to debit")
        privacy = self._study.privacy
        debit = release_debit(self._study, self._dataset(self.role), release, self.session())
        ledger.debit(debit, privacy.cap, privacy.delta)

    def check_budget(self) -> None:
        """Check, before anything is encrypted, that the ledger has room for this run.

        Nothing is spent or recorded: the room is checked again when the debit is made.

        Raises:
            BudgetError: a data set's cap does not allow the release, or another view of the pool.
            InputError: the ledger cannot be written to.
        """
        path = self._source.ledger
        if path is None:
            return
        study = self._study
        privacy = study.privacy
        dataset = self._dataset(self.role)
        if privacy.padding == "dp":
            Ledger(path).check_room(view_debit(dataset, study, ""), privacy.cap)
        if self._pays:
            debit = release_debit(study, dataset, "")
            Ledger(path).check_room(debit, privacy.cap, privacy.delta)

    # What is asked of the other party's ledger

    def _ask_heads(self) -> str:
        """Return the heads that the offer asks for, and remember them for this session."""
        asked = self._recorded()
        self._remember(ASKED, asked)
        return asked

    def _recorded(self) -> str:
        """Return the heads recorded of the other party's ledger, but those of this session.

        Raises:
            InputError: there are more than a message has room for.
        """
        ledger = self._ledger
        if ledger is None:
            return ""
        heads = ledger.witnessed(self._dataset(self.other), self.session())
        if len(heads) > MOST_HEADS:
            raise InputError(
                f"more than {MOST_HEADS} runs with the {self.other} party are under way",
                remedy="Finish some of them first, or wait until they are opened",
            )
        return "".join(heads)

    def _record_head(self, head: str) -> None:
        """Record the head of the other party's ledger, as it was told in this session.

        The other party has checked what this one's offer asked for, so the head stands for that.
        """
        ledger = self._ledger
        if ledger is not None and head != NO_HEAD:
            held = _separate(self._remembered(ASKED) or "")
            ledger.witness(self._dataset(self.other), head, self.session(), held)

    # What is told of this party's ledger

    def _head(self) -> str:
        """Return the head of the ledger, `NO_HEAD` where nothing is paid."""
        ledger = self._ledger
        return NO_HEAD if ledger is None else ledger.head()

    def _check_ledger(self, demanded: str = "") -> None:
        """Check that the ledger holds what the other party asks for, or asked for in this session.

        Args:
            demanded: heads that it asks for now.

        Raises:
            InputError: it was replaced, or restored from an old copy.
        """
        known = _separate(self._remembered(DEMANDED) or "")
        heads = [*known, *(head for head in _separate(demanded) if head not in known)]
        if heads != known:
            self._remember(DEMANDED, "".join(heads))
        if (ledger := self._ledger) is not None:
            ledger.check_held(heads)


def release_debit(study: Study, dataset: str, release: str, session: str = "") -> Debit:
    """What a release of a study takes from the budget of a data set.

    Args:
        study: what is released.
        dataset: a party's data set.
        release: id of the release.
        session: the session that it ends.
    """
    design = Design.of_study(study)
    budget = design.budget
    terms = (budget.epsilon, spent_delta(design, study.slots), budget.rho)
    source = (release, study.digest.hex(), study.name)
    return Debit(dataset, *source, *terms, session=session, noise=budget.known)


def _separate(heads: str) -> list[str]:
    return re.findall(f".{{{len(NO_HEAD)}}}", heads)
