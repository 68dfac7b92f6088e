"""Accounts: where data sets stand by the history of their budgets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from xstat_ray.privacy.accountant import Spending
from xstat_ray.privacy.history import Reader

POOL = "@pool"
"""Ends the name of what the compute pool has learnt of a data set."""


@dataclass(frozen=True)
class Account:
    """Where one data set stands."""

    dataset: str
    spent: Fraction
    """Epsilon at `delta`, rounded up where it is not exact."""
    cap: Fraction
    delta: Fraction
    """Where the data set is held at; in an account of the pool, the sum of the views' deltas."""
    releases: int
    """How many releases it paid for; in an account of the pool, how many views."""
    spent_delta: Fraction = Fraction(0)
    """What Laplace releases, or views, have spent of delta."""


def limit_of(dataset: str, delta: Fraction, spending: Spending) -> Fraction:
    """The delta at which the epsilon of a data set is reckoned.

    That of the pool has no limit: it is what is spent, which leaves nothing to convert at.
    """
    return spending.delta if dataset.endswith(POOL) else delta


def accounts(history: Reader) -> list[Account]:
    """Where every data set stands that has a cap, by name."""
    limits = sorted(history.limits().items())
    return [_account(history, dataset, cap, delta) for dataset, (cap, delta) in limits]


def _account(history: Reader, dataset: str, cap: Fraction, delta: Fraction) -> Account:
    releases = sum(times for *_, times in history.amounts(dataset))
    spending = spending_of(history, dataset)
    limit = limit_of(dataset, delta, spending)
    return Account(dataset, spending.epsilon(limit), cap, limit, releases, spending.delta)


def spending_of(history: Reader, dataset: str) -> Spending:
    """What was debited from a data set."""
    spending = Spending()
    for epsilon, delta, rho, noise, times in history.amounts(dataset):
        spending = spending.plus(epsilon, rho, times, delta=delta, noise=noise)
    return spending
