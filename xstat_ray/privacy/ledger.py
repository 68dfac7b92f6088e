"""The ledger: what is spent of each data set's privacy budget, durable and never overspent.

A data set is one party's table, under the name that studies give it. It has a cap on epsilon, and a
delta at which its epsilon is reckoned; `accountant` says how debits add up. The first debit takes
both from the study, later only `set_cap` changes them. A debit holds the write lock from reading
the sums to committing the entries, so concurrent releases cannot both pass the cap; a debit that
was already made for the same release is not made again.

What the compute pool has learnt of a data set is a separate account, named after it (`POOL`): the
epsilons and deltas of the views add up, each as it is.
"""

from __future__ import annotations

import datetime as dt
import shlex
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from xstat_ray.errors import BudgetError, InputError
from xstat_ray.privacy.accountant import Spending, readable
from xstat_ray.privacy.history import Entry, History, Reader

POOL = "@pool"
"""Ends the name of what the compute pool has learnt of a data set."""


@dataclass(frozen=True)
class Debit:
    """What one release takes from the budget of every data set it uses."""

    datasets: tuple[str, ...]
    release: str
    study: str
    """Digest of the study, hexadecimal."""
    name: str
    """Name of the study."""
    epsilon: Fraction
    delta: Fraction
    """Epsilon and delta as the study declares them; a zCDP debit counts through `rho` alone."""
    rho: Fraction = Fraction(0)
    """zCDP of Gaussian noise; 0 where the release is pure."""


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


class Ledger:
    """The budgets kept in one file.

    Opening it creates the file and its folder, readable by the owner only.
    """

    def __init__(self, path: Path) -> None:
        """Open the ledger.

        Raises:
            InputError: the file cannot be written to, or is no ledger; so do the methods.
        """
        self._path = path
        self._history = History(path)

    def debit(self, debit: Debit, cap: Fraction) -> None:
        """Record a debit of all its data sets, or of none, before anything is decrypted.

        A data set without a cap gets `cap` and the debit's delta. A repeat of the same release
        changes nothing. A refusal is recorded too.

        Raises:
            BudgetError: a data set would pass its cap, or has delta 0 and the debit is not pure, or
                the release id was used for another study or amount.
        """
        with self._history.writing() as history:
            entries = [
                e
                for dataset in dict.fromkeys(debit.datasets)
                for e in _check(history, dataset, debit, cap)
            ]
            refusals = [entry for entry in entries if entry.kind == "refusal"]
            for entry in refusals or entries:
                history.append(entry)
        if refusals:
            raise BudgetError(self._explain(refusals[0]))

    def set_cap(self, dataset: str, cap: Fraction, delta: Fraction | None = None) -> None:
        """Change the cap of a data set, and its delta if one is given.

        A new data set gets both beforehand.

        A cap below what is spent closes the data set.

        Raises:
            InputError: a negative cap, or a delta outside [0, 1).
            BudgetError: delta 0 for a data set with zCDP debits.
        """
        if cap < 0:
            raise InputError("the cap is negative", key="cap")
        if delta is not None and not 0 <= delta < 1:
            raise InputError("delta is not at least 0 and below 1", key="delta")
        if delta and dataset.endswith(POOL):
            raise InputError(
                "the deltas of what the pool sees add up and have no cap",
                key="delta",
                remedy="Leave it out",
            )
        with self._history.writing() as history:
            if delta is None:
                _, delta = history.limits().get(dataset, (cap, Fraction(0)))
            if not delta and _spending(history, dataset).rho:
                raise BudgetError(
                    f"data set {dataset}: Gaussian releases were made of it, "
                    "so its delta cannot be 0"
                )
            history.append(Entry(_now(), "cap", dataset, delta=delta, cap=cap))

    def spent(self, dataset: str) -> Fraction:
        """Epsilon spent on a data set so far, at its delta; 0 for an unknown one."""
        return next(
            (account.spent for account in self.show() if account.dataset == dataset), Fraction(0)
        )

    def show(self) -> list[Account]:
        """Where every data set stands that has a cap, by name."""
        with self._history.reading() as history:
            limits = sorted(history.limits().items())
            return [_account(history, dataset, cap, delta) for dataset, (cap, delta) in limits]

    def history(self, dataset: str | None = None) -> list[Entry]:
        """Every debit, refusal and cap, oldest first, of one data set or of all."""
        with self._history.reading() as history:
            return history.entries(dataset)

    def _explain(self, refusal: Entry) -> str:
        limits = [f"ledger={self._path}", f"dataset={refusal.dataset}", "cap=..."]
        kept = (
            "Nothing was handed to the pool"
            if refusal.dataset.endswith(POOL)
            else "Nothing was decrypted"
        )
        return (
            f"data set {refusal.dataset}: {refusal.note}. {kept}. Ask for less in the study, or "
            f"agree on other limits: {shlex.join(['xstat-ray', 'budget', 'set-cap', *limits])}"
        )


def _check(history: Reader, dataset: str, debit: Debit, study_cap: Fraction) -> list[Entry]:
    """What a debit adds to the history of one data set.

    Nothing if it was made before, else itself (after the first cap), or a refusal.
    """
    limits = history.limits().get(dataset)
    # At delta 0 the accountant adds epsilons up, which is what holds where each view has a delta of
    # its own.
    cap, delta = limits or (study_cap, Fraction(0) if dataset.endswith(POOL) else debit.delta)
    source = (debit.study, debit.name, debit.release)
    entry = Entry(_now(), "debit", dataset, *source, debit.epsilon, debit.delta, debit.rho, cap)
    known = history.debited(dataset, debit.release)
    if known == (debit.study, debit.epsilon, debit.delta, debit.rho):
        return []
    if known:
        return [
            replace(
                entry,
                kind="refusal",
                note=f"release {debit.release} was debited before on other terms",
            )
        ]
    shortfall = _shortfall(debit, _spending(history, dataset), cap, delta)
    if shortfall:
        return [replace(entry, kind="refusal", note=shortfall)]
    return (
        [entry]
        if limits
        else [Entry(entry.at, "cap", dataset, *source, delta=delta, cap=cap), entry]
    )


def _shortfall(debit: Debit, spending: Spending, cap: Fraction, delta: Fraction) -> str:
    """Why a debit does not fit into the budget of a data set; empty if it fits."""
    if debit.rho and not delta:
        return "its delta is 0 (set-cap can change it), and Gaussian noise needs a positive one"
    total = spending.plus(debit.epsilon, debit.rho).epsilon(delta)
    if total <= cap:
        return ""
    spent = readable(spending.epsilon(delta))
    return f"epsilon {spent} of {cap} is spent and with this release it would be {readable(total)}"


def _account(history: Reader, dataset: str, cap: Fraction, delta: Fraction) -> Account:
    releases = sum(times for _, _, times in history.amounts(dataset))
    spent = _spending(history, dataset).epsilon(delta)
    if dataset.endswith(POOL):
        delta = sum(history.deltas(dataset), Fraction(0))
    return Account(dataset, spent, cap, delta, releases)


def _spending(history: Reader, dataset: str) -> Spending:
    spending = Spending()
    for epsilon, rho, times in history.amounts(dataset):
        spending = spending.plus(epsilon, rho, times)
    return spending


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
