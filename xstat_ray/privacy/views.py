"""What the compute pool has learnt of each data set, view by view, kept in the ledger."""

from __future__ import annotations

from xstat_ray.model.study import Study
from xstat_ray.privacy.accounts import POOL
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.places import Place


def count_view(ledger: Place, dataset: str, study: Study, view: str) -> None:
    """Record that the pool is about to see a party's padded table once more.

    A view has epsilon_v and delta_v of the study. Those of several views add up, whatever they show
    (Dwork and Roth 2014, Theorem 3.16), and the sum of the epsilons has a separate cap for each
    data set, at first the study's.

    Args:
        ledger: the ledger of the party that hands out its table.
        dataset: the party's data set.
        study: the study that the table belongs to.
        view: name of the view; one of that name is counted once.

    Raises:
        BudgetError: a data set's cap does not allow it; nothing may be handed out.
    """
    Ledger(ledger).debit(view_debit(dataset, study, view), study.privacy.cap)


def view_debit(dataset: str, study: Study, view: str) -> Debit:
    """What one view takes of what the pool may learn of a data set."""
    declared = study.privacy.view
    source = (study.digest.hex(), study.name)
    return Debit(dataset + POOL, view, *source, declared.epsilon, declared.delta)
