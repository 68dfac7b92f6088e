"""Show what has been spent of each data set's privacy budget, and limit what may be spent.

xstat-ray budget show
xstat-ray budget history dataset=nycflights/row
xstat-ray budget set-cap dataset=nycflights/row cap=20
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from xstat_ray.cli.hydra_job import run
from xstat_ray.errors import InputError
from xstat_ray.inputs.section import Section
from xstat_ray.privacy.accountant import readable
from xstat_ray.privacy.history import Entry
from xstat_ray.privacy.ledger import Ledger

KEYS = ("verb", "ledger", "dataset", "cap", "delta")


def show(ledger: Ledger, settings: Section) -> Table:
    """Tell where the data sets stand."""
    table = _table("data set", "spent", "cap", "delta", "releases")
    for account in ledger.show():
        if settings.optional_text("dataset") in (None, account.dataset):
            limits = (str(account.cap), f"{float(account.delta):g}")
            table.add_row(account.dataset, readable(account.spent), *limits, str(account.releases))
    return table


def history(ledger: Ledger, settings: Section) -> Table:
    """Tell what happened. Digests are shortened; the manifest of a release has them in full."""
    table = _table("time (UTC)", "what", "data set", "study", "release", "amount", "cap", "why")
    for entry in ledger.history(settings.optional_text("dataset")):
        when = entry.at.removesuffix("+00:00")
        study = f"{entry.name} {entry.study[:8]}"
        amounts = (_amount(entry), str(entry.cap))
        table.add_row(when, entry.kind, entry.dataset, study, entry.release, *amounts, entry.note)
    return table


def set_cap(ledger: Ledger, settings: Section) -> Table:
    """Change the cap, then show."""
    settings.need("cap")
    delta = settings.fraction("delta", Fraction(0)) if settings.get("delta") else None
    ledger.set_cap(settings.text("dataset"), settings.fraction("cap", Fraction(0)), delta)
    return show(ledger, settings)


VERBS: Mapping[str, Callable[[Ledger, Section], Table]] = {
    "show": show,
    "history": history,
    "set-cap": set_cap,
}


def _amount(entry: Entry) -> str:
    if entry.kind == "cap":
        return f"delta {float(entry.delta):g}"
    if entry.rho:
        return f"rho {float(entry.rho):.6g} (epsilon {entry.epsilon}, delta {float(entry.delta):g})"
    return f"epsilon {entry.epsilon}"


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def main(raw: dict[str, Any], origin: str) -> None:
    """Do what one command line asks for.

    Raises:
        InputError: an unknown verb or key, a bad value, or no such ledger.
        BudgetError: the ledger refuses the change.
    """
    settings = Section(raw, key="", origin=origin, known=KEYS)
    remedy = f"Use one of {', '.join(VERBS)}, or --help"
    verb = settings.optional_text("verb")
    if verb is None:
        raise InputError("no verb is given", remedy=remedy)
    if verb not in VERBS:
        raise InputError(f"unknown verb {verb!r}", remedy=remedy)
    path = Path(settings.text("ledger"))
    if verb != "set-cap" and not path.exists():
        remedy = "Set ledger=; the first release creates it"
        raise InputError("there is no ledger", file=str(path), remedy=remedy)
    # Files and pipes get whole lines.
    width = None if sys.stdout.isatty() else 400
    console = Console(width=width, markup=False, highlight=False)
    console.print(VERBS[verb](Ledger(path), settings))


def words(arguments: list[str]) -> list[str]:
    """Settings, from a verb and settings: `show` is `verb=show`."""
    if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        return [f"verb={arguments[0]}", *arguments[1:]]
    return arguments


if __name__ == "__main__":
    run("budget", main, words)
