"""Which ledgers a run debits: shown with its plan, and compared with those of earlier runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError, XstatError
from xstat_ray.inputs.source import DEFAULT_LEDGER, Source
from xstat_ray.model.study import Privacy, Study
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.places import Place, check_database
from xstat_ray.privacy.registry import register
from xstat_ray.privacy.rounding import decimal
from xstat_ray.privacy.views import view_debit
from xstat_ray.roles.payer import release_debit
from xstat_ray.runtime.progress import Planned, Progress

Ledgers = Sequence[tuple[str, Place]]
"""Data sets and where their ledgers lie: absolute paths, or databases."""


@dataclass(frozen=True)
class DebitedPlan:
    """A plan as a display sees it, with the ledgers. What is published of a plan has none."""

    plan: Planned
    ledgers: Ledgers

    @property
    def name(self) -> str:
        """Name of what is planned."""
        return self.plan.name

    def rows(self) -> list[tuple[str, str]]:
        """Describe the plan for people, and say where the budgets are kept."""
        return [*self.plan.rows(), *ledger_rows(self.ledgers)]

    def as_dict(self) -> dict[str, Any]:
        """Give the plan as JSON."""
        ledgers = [{"dataset": dataset, "path": str(path)} for dataset, path in self.ledgers]
        return {**self.plan.as_dict(), "ledgers": ledgers}


def ledger_rows(ledgers: Ledgers) -> list[tuple[str, str]]:
    """Say where the budgets of data sets are kept, a line for each ledger."""
    datasets: dict[Place, list[str]] = {}
    for dataset, path in ledgers:
        datasets.setdefault(path, []).append(dataset)
    return [
        (
            "Budget ledger",
            f"{path}{'' if path.exists() else ' (new)'}, of {' and '.join(dict.fromkeys(names))}",
        )
        for path, names in datasets.items()
    ]


def ledgers_of(study: Study, sources: Mapping[str, Source]) -> Ledgers:
    """The ledgers that a run of a study debits: none without noise and without padding."""
    if study.privacy.noise == "off" and study.privacy.padding == "off":
        return ()
    datasets = {terms.name: terms.dataset for terms in study.parties}
    return tuple(
        (
            datasets[party],
            (source.ledger or DEFAULT_LEDGER).absolute(),
        )
        for party, source in sources.items()
    )


@dataclass(frozen=True)
class Room:
    """What a run would take of the budget of one data set, and whether its ledger has so much."""

    dataset: str
    place: Place
    takes: Fraction
    """Epsilon, as the release declares it."""
    spent: Fraction
    cap: Fraction
    problem: str
    """Why the run would be refused; empty where it would not."""

    @property
    def row(self) -> tuple[str, str]:
        """Say it in a line for people."""
        stands = (
            f"epsilon {decimal(self.spent)} of {decimal(self.cap)} is spent, "
            f"{decimal(max(self.cap - self.spent, Fraction(0)))} is left; "
            f"this run takes {decimal(self.takes)}"
        )
        return f"Budget of {self.dataset}", f"NO ROOM: {self.problem}" if self.problem else stands

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON holds it."""
        amounts = {"takes": self.takes, "spent": self.spent, "cap": self.cap}
        return {
            "dataset": self.dataset,
            "path": str(self.place),
            **{name: str(amount) for name, amount in amounts.items()},
            "problem": self.problem,
        }


def look(study: Study, ledgers: Ledgers) -> list[Room]:
    """Look whether ledgers on this machine have room for a run, without a change to them.

    A ledger that does not exist is not made. Whoever looks is the owner of the ledgers: a run asks
    each party in its own environment.
    """
    return [
        _room(place, debit, study.privacy)
        for dataset, place in ledgers
        for debit in (
            *([release_debit(study, dataset, "")] if study.privacy.noise != "off" else []),
            *([view_debit(dataset, study, "")] if study.privacy.padding == "dp" else []),
        )
    ]


def _room(place: Place, debit: Debit, privacy: Privacy) -> Room:
    spent = Fraction(0)
    cap = privacy.cap
    problem = ""
    try:
        check_database(place)
        if place.exists():
            ledger = Ledger(place)
            accounts = [one for one in ledger.show() if one.dataset == debit.dataset]
            spent, cap = next(((one.spent, one.cap) for one in accounts), (spent, cap))
            ledger.check_room(debit, privacy.cap, privacy.delta)
        elif isinstance(place, Path):
            problem = _unmakeable(_above(place))
    except XstatError as error:
        problem = str(error)
    return Room(debit.dataset, place, debit.epsilon, spent, cap, problem)


def _unmakeable(folder: Path) -> str:
    """Tell why no ledger can be made in a folder; empty if one can."""
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return ""
    return f"the ledger cannot be made in {folder}, which is not a writable folder"


def _above(path: Path) -> Path:
    """The nearest folder above that exists."""
    return next(folder for folder in path.parents if folder.exists())


def announce(plan: Planned, ledgers: Ledgers, progress: Progress) -> None:
    """Show a plan with its ledgers, and warn of data sets that have another ledger too.

    Raises:
        InputError: a database has no ledger, which no run makes, or cannot be reached.
    """
    for _, place in ledgers:
        check_database(place)
    progress.planned(DebitedPlan(plan, ledgers))
    warn_of_second(ledgers, progress)


def warn_of_second(ledgers: Ledgers, progress: Progress) -> None:
    """Register ledgers, and warn once of all data sets that have another one on this machine."""
    second = []
    try:
        for dataset, path in ledgers:
            others = ", ".join(str(other) for other in register(dataset, path))
            if others:
                second.append(f"{dataset} is counted in {path} by this run, and also in {others}")
    except InputError as error:
        progress.note(f"Whether a data set has a second ledger is not known: {error}")
    if second:
        progress.warn(
            "A data set with two ledgers has two budgets, whose sum it may lose. "
            f"{'. '.join(second)}. Use one ledger for all studies on the same people "
            "(data.row.ledger, data.column.ledger), or give different people different names "
            "(dataset)."
        )
