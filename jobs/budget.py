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
from xstat_ray.privacy.accounts import POOL
from xstat_ray.privacy.history import Entry
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.move import move
from xstat_ray.privacy.places import Place, create_command, place_of
from xstat_ray.privacy.postgresql_schema import create as create_tables
from xstat_ray.privacy.rounding import decimal
from xstat_ray.privacy.take_over import kept_name, read_old
from xstat_ray.privacy.take_over import take_over as replace_old

KEYS = ("verb", "ledger", "dataset", "cap", "delta", "confirm", "writer", "from")


def show(place: Place, settings: Section) -> Table:
    """Tell where the data sets stand."""
    ledger = Ledger(place)
    table = _table("data set", "spent", "cap", "delta", "releases")
    for account in ledger.show():
        if settings.optional_text("dataset") in (None, account.dataset):
            limits = (decimal(account.cap), f"{float(account.delta):g}")
            table.add_row(account.dataset, decimal(account.spent), *limits, str(account.releases))
    return table


def history(place: Place, settings: Section) -> Table:
    """Tell what happened. Digests are shortened; the manifest of a release has them in full."""
    return _history(Ledger(place).history(settings.optional_text("dataset")))


def _history(entries: Sequence[Entry]) -> Table:
    table = _table("time (UTC)", "what", "data set", "study", "release", "amount", "cap", "note")
    for entry in entries:
        when = entry.at.removesuffix("+00:00")
        study = f"{entry.name} {entry.study[:8]}"
        amounts = (_amount(entry), decimal(entry.cap))
        why = "" if entry.kind == "witness" else entry.note
        table.add_row(when, entry.kind, entry.dataset, study, entry.release, *amounts, why)
    return table


def set_cap(place: Place, settings: Section) -> Table:
    """Change the cap, then show."""
    settings.need("cap")
    delta = settings.fraction("delta", Fraction(0)) if settings.get("delta") else None
    dataset = settings.text("dataset")
    ledger = Ledger(place)
    is_new = all(account.dataset != dataset for account in ledger.show())
    ledger.set_cap(dataset, settings.fraction("cap", Fraction(0)), delta)
    table = show(place, settings)
    if is_new and delta is None and not dataset.endswith(POOL):
        table.caption = NO_DELTA
    return table


NO_DELTA = (
    "Its delta is 0, which Gaussian noise, and Laplace noise that nobody knows, do not fit: a data "
    "set that runs release takes a delta as well, such as delta=1e-6."
)


def create(place: Place, settings: Section) -> str:
    """Make an empty ledger; one in a database for a role that writes to it, or of a file."""
    if not isinstance(place, Path):
        writer = settings.text("writer")
        if (old := settings.optional_text("from")) is not None:
            entries = move(Path(old), place, writer)
            return f"Moved {entries} entries to {place}; {writer} may write to it. {old} is closed."
        create_tables(place, writer)
        return f"Made the ledger {place}; {writer} may write to it."
    if place.exists():
        raise InputError("there is a ledger already", file=str(place))
    Ledger(place)
    return f"Made the ledger {place.absolute()}."


def accept(place: Place, settings: Section) -> str:
    """Forget what was recorded of the other party's ledger, which begins anew."""
    dataset = settings.text("dataset")
    ledger = Ledger(place)
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


def take_over(path: Place, settings: Section) -> str | Table:
    """Show the entries of a ledger of 0.1, and put a new one with them into its place."""
    if not isinstance(path, Path):
        raise InputError("only a file can be taken over", file=str(path))
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


VERBS: Mapping[str, Callable[[Place, Section], Table | str]] = {
    "show": show,
    "history": history,
    "set-cap": set_cap,
    "create": create,
    "accept": accept,
    "take-over": take_over,
}
MAKING = ("set-cap", "create")
"""Verbs that need no file to be there."""


def _amount(entry: Entry) -> str:
    if entry.kind == "witness":
        return f"head {entry.head[:16] or 'forgotten'}"
    if entry.kind == "cap":
        return f"delta {float(entry.delta):g}"
    if entry.rho:
        declared = f"epsilon {decimal(entry.epsilon)}, delta {float(entry.delta):g}"
        return f"rho {float(entry.rho):.6g} ({declared})"
    return f"epsilon {decimal(entry.epsilon)}"


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
    place = place_of(settings.text("ledger"))
    _check_there(place, verb)
    # Files and pipes get whole lines.
    width = None if sys.stdout.isatty() else 400
    console = Console(width=width, markup=False, highlight=False)
    console.print(VERBS[verb](place, settings), soft_wrap=True)


def _check_there(place: Place, verb: str) -> None:
    """Refuse a verb that needs a ledger where there is none."""
    if isinstance(place, Path):
        if verb not in MAKING and not place.exists():
            remedy = "Set ledger=; the first release makes the default, and create any other"
            raise InputError("there is no ledger", file=str(place), remedy=remedy)
    elif verb != "create" and not place.exists():
        remedy = f"Make it once: {create_command(place)}"
        raise InputError("there is no ledger", file=str(place), remedy=remedy)


def words(arguments: list[str]) -> list[str]:
    """Settings, from a verb and settings: `show` is `verb=show`."""
    if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        return [f"verb={arguments[0]}", *arguments[1:]]
    return arguments


if __name__ == "__main__":
    run("budget", main, words)
