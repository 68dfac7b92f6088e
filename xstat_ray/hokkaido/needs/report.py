"""The files of an answer, and what a person at a terminal sees of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from xstat_ray.hokkaido.needs.answer import Assumptions, NeedsAnswer
from xstat_ray.hokkaido.needs.findings import find
from xstat_ray.planning.options import NOISE_OFF
from xstat_ray.publication.release import csv_bytes, json_bytes, parquet_bytes
from xstat_ray.util.files import unwritable, write_whole

SOURCES = "sources.json"
SHOWN = 10
"""Number of areas in the printed list."""
DERIVED_STAMP = {"WARNING": "NOISE OFF: made of exact counts, not differentially private"}
"""Metadata of tables that were made from releases without noise."""
_OPENING = "Nakashibetsu airport's share of passengers, before and after its route opened"
_UNTOLD = "-"
_LEGEND = """
95 %: intervals of rank and need; ±: standard error; -: not told from noise
visitors: non-residents at a mean hour; air: share of them who came by air
landing: minutes from landing to the area; by: airport that most come through"""


def write(answer: NeedsAnswer, assumptions: Assumptions, folder: Path) -> None:
    """Write the tables as Parquet and CSV, and `sources.json` with releases and assumptions.

    Equal releases and assumptions give equal files, byte for byte. Files of an earlier answer are
    replaced.

    Raises:
        InputError: the disk is full or the folder cannot be written to.
    """
    off = answer.noise_free
    facts = {
        "sources": answer.sources,
        "assumptions": asdict(assumptions),
        "noise_free": off,
        **({"warning": NOISE_OFF} if off else {}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / SOURCES, json_bytes(facts))
        for name, table in reversed(answer.tables.items()):
            stamped = table.replace_schema_metadata(DERIVED_STAMP if off else None)
            write_whole(folder / f"{name}.csv", csv_bytes(stamped))
            write_whole(folder / f"{name}.parquet", parquet_bytes(stamped))
    except OSError as error:
        raise unwritable(folder, error) from None


def print_answer(answer: NeedsAnswer, folder: Path, console: Console | None = None) -> None:
    """Print the neediest areas, where the new route changed the choice of airport, and findings.

    The lists fit 80 columns.
    """
    console = console or Console(markup=False, highlight=False)
    rows = answer.tables["needs"].to_pylist()
    console.print("Where transport is missing: visitor-hours a day\n", style="bold")
    console.print(_needs([row for row in rows if row["rank"]][:SHOWN]))
    console.print(_LEGEND)
    if unknown := [row["name_en"] for row in rows if not row["rank"]]:
        console.print(f"Unknown, as too little was published: {', '.join(unknown)}.")
    console.print()
    changed = [row for row in answer.tables["opening"].to_pylist() if row["changed"]]
    console.print(f"{_OPENING}\n", style="bold")
    console.print(_opening(changed) if changed else "No change can be told from noise.")
    console.print("\nWhat the published figures tell\n", style="bold")
    for sentence in find(answer.tables).sentences():
        console.print(sentence)
    console.print(f"\nTables: {folder}/*.parquet and *.csv", soft_wrap=True)


def warn(answer: NeedsAnswer) -> None:
    """Print a red warning on standard error if any source was published without noise."""
    if not answer.noise_free:
        return
    without = ", ".join(key for key, source in answer.sources.items() if source["noise_free"])
    console = Console(stderr=True, markup=False, highlight=False)
    console.print(
        Panel(f"{NOISE_OFF}\nExact counts came from: {without}.", title="WARNING", style="bold red")
    )


def _needs(rows: list[dict[str, Any]]) -> Table:
    table = _table()
    left = ("area", "by")
    for name in ("rank", "95 %", "area", "need", "95 %", "visitors", "air", "landing", "by"):
        table.add_column(name, justify="left" if name in left else "right", no_wrap=name != "area")
    for row in rows:
        table.add_row(
            str(row["rank"]),
            f"{row['rank_low']}-{row['rank_high']}",
            _area(row),
            f"{row['need']:,.0f}",
            f"{row['need_low95']:,.0f}-{row['need_high95']:,.0f}",
            f"{row['visitors']:,.0f} ± {row['visitors_stderr']:,.0f}",
            _percent(row["air_share"]),
            f"{row['landing_minutes']:.0f} ± {row['landing_minutes_stderr']:.0f}",
            row["main_airport"] or _UNTOLD,
        )
    return table


def _opening(rows: list[dict[str, Any]]) -> Table:
    table = _table()
    for name in ("area", "before", "after", "change", "95 %"):
        table.add_column(
            name, justify="left" if name == "area" else "right", no_wrap=name != "area"
        )
    for row in sorted(rows, key=lambda row: -row["change"]):
        interval = f"{row['low95']:+.0%} to {row['high95']:+.0%}"
        table.add_row(
            _area(row),
            _percent(row["before"]),
            _percent(row["after"]),
            f"{row['change']:+.0%}",
            interval,
        )
    return table


def _table() -> Table:
    """Make a table whose columns are two blanks apart."""
    return Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))


def _area(row: dict[str, Any]) -> str:
    return f"{row['name_ja']} {row['name_en']}"


def _percent(share: float | None) -> str:
    """Write a share in percent, cut to 0 and 1, beyond which noise can carry it."""
    return _UNTOLD if share is None else f"{min(max(share, 0), 1):.0%}"
