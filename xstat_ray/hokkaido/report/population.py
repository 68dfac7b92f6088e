"""Published Mobile Spatial Statistics, split into a table for each breakdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.hokkaido.population.publish import NOT_BROKEN_DOWN
from xstat_ray.hokkaido.population.sums import ELSEWHERE
from xstat_ray.publication.release import STATISTICS

BREAKDOWN = "breakdown"
SPLIT = ("residence", "age", "gender")
TITLES = {
    "residence": ("住まい", "home"),
    "age": ("年齢", "age"),
    "gender": ("性別", "sex"),
}


@dataclass(frozen=True)
class PopulationTable:
    """A breakdown of a population, which becomes a layer of a page."""

    study: str
    title: Mapping[str, str]
    tables: Mapping[str, pa.Table]
    """Statistics and areas by file name."""
    facts: Mapping[str, Any]
    """Facts of this breakdown, beside those of the release."""


def is_population(statistics: pa.Table) -> bool:
    """Whether a table of statistics is of a population."""
    return {BREAKDOWN, "area", *SPLIT} <= set(statistics.column_names)


def breakdowns(
    tables: Mapping[str, pa.Table], manifest: Mapping[str, Any], plan: Mapping[str, Any]
) -> list[PopulationTable]:
    """Split a population into its breakdowns, in the order of the table."""
    parts = []
    for name in pc.unique(tables[STATISTICS][BREAKDOWN]).to_pylist():
        of_breakdown = {file: _part(table, name) for file, table in tables.items()}
        split = [column for column in SPLIT if column in of_breakdown[STATISTICS].column_names]
        japanese = "・".join(TITLES[c][0] for c in split)
        english = " and ".join(TITLES[c][1] for c in split)
        title = {"ja": f"いる人の数（{japanese}別）", "en": f"People present, by {english}"}
        # The published numbers stand for all residents, not for subscribers alone.
        facts = {
            "suppress_below": manifest.get("withheld_below"),
            "person_counts": None,
            "expanded": True,
        }
        facts["stderr"] = plan.get("breakdowns", {}).get(name, {}).get("stderr", {})
        parts.append(PopulationTable(f"population_{name}", title, of_breakdown, facts))
    return parts


def _part(table: pa.Table, name: str) -> pa.Table:
    """Take the rows of a breakdown, sorted, without the attributes that do not split them."""
    rows = table.filter(pc.field(BREAKDOWN) == name).drop_columns([BREAKDOWN])
    for column in SPLIT:
        if pc.all(pc.equal(rows[column].cast(pa.string()), NOT_BROKEN_DOWN)).as_py():
            rows = rows.drop_columns([column])
    if "residence" in rows.column_names:
        place = rows.column_names.index("residence")
        rows = rows.set_column(
            place,
            "residence",
            _home(rows["residence"].cast(pa.string()), rows["area"].cast(pa.string())),
        )
    order = [
        column
        for column in ("date", "time", "level", "area", *SPLIT)
        if column in rows.column_names
    ]
    return rows.sort_by([(column, "ascending") for column in order])


def _home(residence: pa.ChunkedArray, area: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write `local` and `elsewhere`, like the levels above, where the release tells no more."""
    is_coarse = pc.all(
        pc.or_(
            pc.equal(residence, area),
            pc.is_in(residence, pa.array([ELSEWHERE, "local", "elsewhere"])),
        )
    )
    if not is_coarse.as_py():
        return residence
    at_home = pc.or_(pc.equal(residence, area), pc.equal(residence, "local"))
    return pc.if_else(at_home, "local", "elsewhere")
