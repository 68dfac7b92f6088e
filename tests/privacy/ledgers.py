"""Debits for tests of ledgers, and a process that makes many of them."""

from __future__ import annotations

from fractions import Fraction

from xstat_ray.errors import BudgetError
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.places import Place


def debit(
    release: str = "r1",
    epsilon: str = "1/3",
    study: str = "5d",
    dataset: str = "a",
    delta: int | str = 0,
    rho: str = "0",
    session: str = "",
) -> Debit:
    """A debit of a Laplace release, unless `rho` makes it a Gaussian one."""
    amounts = (Fraction(epsilon), Fraction(delta), Fraction(rho))
    return Debit(dataset, release, study, "name", *amounts, session)


def spend(place: Place, worker: int, times: int) -> list[str]:
    """Ask for a tenth many times of a data set that has so many tenths; returns what was granted."""
    ledger = Ledger(place)
    granted = []
    for number in range(times):
        release = f"{worker}-{number}"
        try:
            ledger.debit(debit(release, "1/10"), Fraction(times, 10))
        except BudgetError:
            continue
        granted.append(release)
    return granted
