"""Which ledgers a run debits: shown with its plan, and compared with those of earlier runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xstat_ray.errors import InputError
from xstat_ray.inputs.source import DEFAULT_LEDGER, Source
from xstat_ray.model.study import Role, Study
from xstat_ray.privacy.places import Place, check_database
from xstat_ray.privacy.registry import register
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


def ledgers_of(study: Study, sources: Mapping[Role, Source]) -> Ledgers:
    """The ledgers that a run of a study debits: none without noise and without padding."""
    if study.privacy.noise == "off" and study.privacy.padding == "off":
        return ()
    return tuple(
        (
            study.row.dataset if role == "row" else study.column.dataset,
            (source.ledger or DEFAULT_LEDGER).absolute(),
        )
        for role, source in sources.items()
    )


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
