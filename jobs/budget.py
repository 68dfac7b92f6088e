"""Show what has been spent of each data set's privacy budget, and limit what may be spent.

xstat-ray budget show
xstat-ray budget history dataset=nycflights/row
xstat-ray budget set-cap dataset=nycflights/row cap=20
xstat-ray budget create ledger=/private/ledger.sqlite
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from xstat_ray.cli.hydra_job import run
from xstat_ray.errors import InputError
from xstat_ray.inputs.section import Section
from xstat_ray.privacy.history import Entry
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.rounding import readable
from xstat_ray.privacy.take_over import kept_name, read_old
from xstat_ray.privacy.take_over import take_over as replace_old

KEYS = ("verb", "ledger", "dataset", "cap", "delta", "confirm")


def show(path: Path, settings: Section) -> Table:
    """Tell where the data sets stand."""
    ledger = Ledger(path)
    table = _table("data set", "spent", "cap", "delta", "releases")
    for account in ledger.show():
        if settings.optional_text("dataset") in (None, account.dataset):
            limits = (str(account.cap), f"{float(account.delta):g}")
            table.add_row(account.dataset, readable(account.spent), *limits, str(account.releases))
    return table


def history(path: Path, settings: Section) -> Table:
    """Tell what happened. Digests are shortened; the manifest of a release has them in full."""
    return _history(Ledger(path).history(settings.optional_text("dataset")))


def _history(entries: Sequence[Entry]) -> Table:
    table = _table("time (UTC)", "what", "data set", "study", "release", "amount", "cap", "note")
    for entry in entries:
        when = entry.at.removesuffix("+00:00")
        study = f"{entry.name} {entry.study[:8]}"
        amounts = (_amount(entry), str(entry.cap))
        why = "" if entry.kind == "witness" else entry.note
        table.add_row(when, entry.kind, entry.dataset, study, entry.release, *amounts, why)
    return table


def set_cap(path: Path, settings: Section) -> Table:
    """Change the cap, then show."""
    settings.need("cap")
    delta = settings.fraction("delta", Fraction(0)) if settings.get("delta") else None
    dataset = settings.text("dataset")
    Ledger(path).set_cap(dataset, settings.fraction("cap", Fraction(0)), delta)
    return show(path, settings)


def create(path: Path, _settings: Section) -> str:
    """Make an empty ledger."""
    if path.exists():
        raise InputError("there is a ledger already", file=str(path))
    Ledger(path)
    return f"Made the ledger {path.absolute()}."


def accept(path: Path, settings: Section) -> str:
    """Forget what was recorded of the other party's ledger, which begins anew."""
    dataset = settings.text("dataset")
    ledger = Ledger(path)
    heads = ledger.witnessed(dataset)
    if not heads:
        raise InputError("of the ledger of this data set nothing is recorded", key="dataset")
    told = (
        f"The other party's ledger of {dataset} had the head {heads[-1]} when it was last heard "
        "of. Whatever ledger it has next"
    )
    if not settings.flag("confirm", False):
        return f"{told} would be accepted. Nothing was changed: confirm=true does it."
    ledger.witness(dataset, "")
    return f"{told} is accepted."


def take_over(path: Path, settings: Section) -> str | Table:
    """Show the entries of a ledger of 0.1, and put a new one with them into its place."""
    entries = read_old(path)
    told = f"of {len({entry.dataset for entry in entries})} data sets; the old file"
    if not settings.flag("confirm", False):
        table = _history(entries)
        table.caption = (
            f"{len(entries)} entries {told} would stay as {kept_name(path)}. "
            "Nothing was changed: confirm=true does it."
        )
        return table
    replace_old(path)
    return f"Took over {len(entries)} entries {told} stays as {kept_name(path)}."


VERBS: Mapping[str, Callable[[Path, Section], Table | str]] = {
    "show": show,
    "history": history,
    "set-cap": set_cap,
    "create": create,
    "accept": accept,
    "take-over": take_over,
}
MAKING = ("set-cap", "create")
"""Verbs that need no ledger to be there."""


def _amount(entry: Entry) -> str:
    if entry.kind == "witness":
        return f"head {entry.head[:16] or 'forgotten'}"
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
    if verb not in MAKING and not path.exists():
        remedy = "Set ledger=; the first release makes the default, and create any other"
        raise InputError("there is no ledger", file=str(path), remedy=remedy)
    # Files and pipes get whole lines.
    width = None if sys.stdout.isatty() else 400
    console = Console(width=width, markup=False, highlight=False)
    console.print(VERBS[verb](path, settings), soft_wrap=True)


def words(arguments: list[str]) -> list[str]:
    """Settings, from a verb and settings: `show` is `verb=show`."""
    if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        return [f"verb={arguments[0]}", *arguments[1:]]
    return arguments


if __name__ == "__main__":
    run("budget", main, words)
