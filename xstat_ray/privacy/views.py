"""What the compute pool has learnt of each data set, view by view, kept in the ledger."""

from __future__ import annotations

from pathlib import Path

from xstat_ray.model.study import Study
from xstat_ray.privacy.ledger import POOL, Debit, Ledger


def count_view(ledger: Path, study: Study, view: str) -> None:
    """Record that the pool is about to see the padded tables of a study once more.

    A view has epsilon_v and delta_v of the study. Those of several views add up, whatever they show
    (Dwork and Roth 2014, Theorem 3.16), and the sum of the epsilons has a separate cap for each
    data set, at first the study's.

    Args:
        ledger: the ledger of the party that hands out its table.
        study: the study that the tables belong to.
        view: name of the view; one of that name is counted once.

    Raises:
        BudgetError: a data set's cap does not allow it; nothing may be handed out.
    """
    declared = study.privacy.view
    datasets = (study.row.dataset + POOL, study.column.dataset + POOL)
    debit = Debit(datasets, view, study.digest.hex(), study.name, declared.epsilon, declared.delta)
    Ledger(ledger).debit(debit, study.privacy.cap)
