"""What has been spent of each data set's privacy budget, how, and how much may be spent.

python -m jobs.budget show
python -m jobs.budget history dataset=nycflights/row
python -m jobs.budget set-cap dataset=nycflights/row cap=20
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from jobs._words import run
from xstat_ray.errors import InputError
from xstat_ray.inputs.section import Section
from xstat_ray.planning.options import DEFAULT_LEDGER
from xstat_ray.privacy.accountant import readable
from xstat_ray.privacy.history import Entry
from xstat_ray.privacy.ledger import Ledger

HELP = f"""python -m jobs.budget show|history|set-cap [KEY=VALUE ...]

show      Every data set, or dataset= one: epsilon spent, its cap, and the delta that epsilon is reckoned at.
history   Every debit, refusal and cap, oldest first, of all data sets or of dataset=.
set-cap   Set the cap of a data set, for good reason: it is what limits all that may ever be learnt from it.

ledger=FILE    the budget file; {DEFAULT_LEDGER} unless given, as in jobs.crosstab
dataset=NAME   the data set, such as nycflights/row
cap=EPSILON    most epsilon that may ever be spent on it, exact: 10, 0.5 or 1/3
delta=DELTA    with set-cap, if the delta is to change too; 0 allows Laplace noise only

Exit codes: 0 done, 2 bad input, 3 refused by the ledger."""
KEYS = ("ledger", "dataset", "cap", "delta")


def show(ledger: Ledger, settings: Section) -> Table:
    """Where the data sets stand."""
    table = _table("data set", "spent", "cap", "delta", "releases")
    for account in ledger.show():
        if settings.optional_text("dataset") in (None, account.dataset):
            limits = (str(account.cap), f"{float(account.delta):g}")
            table.add_row(account.dataset, readable(account.spent), *limits, str(account.releases))
    return table


def history(ledger: Ledger, settings: Section) -> Table:
    """What happened. Digests are shortened; the manifest of a release has them in full."""
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


def main(verb: str, *arguments: str) -> None:
    """Do what one command line asks for.

    Raises:
        InputError: an unknown verb or key, a bad value, or no such ledger.
        BudgetError: the ledger refuses the change.
    """
    if verb not in VERBS:
        raise InputError(
            f"unknown verb {verb!r}", remedy=f"Use one of {', '.join(VERBS)}, or --help"
        )
    pairs = {
        key: value or None for key, _, value in (argument.partition("=") for argument in arguments)
    }
    settings = Section(pairs, key="", origin="the command line", known=KEYS)
    path = Path(settings.text("ledger", str(DEFAULT_LEDGER)))
    if verb != "set-cap" and not path.exists():
        raise InputError(
            "there is no ledger", file=str(path), remedy="Set ledger=; the first release creates it"
        )
    # Files and pipes get whole lines.
    console = Console(width=None if sys.stdout.isatty() else 400, markup=False, highlight=False)
    console.print(VERBS[verb](Ledger(path), settings))


if __name__ == "__main__":
    run(HELP, main)
