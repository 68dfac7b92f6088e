"""A made-up study of several row parties, its tables, and its counts by SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.several import Several, several
from tests.synthetic import make_tables
from xstat_ray.model.parties import RowTerms
from xstat_ray.model.study import Study

ROW_NAMES = ("north", "south", "west", "east", "coast")
ROWS = (2, 1, 1, 3, 1)
"""R of each."""


class United(NamedTuple):
    """A study with its tables."""

    study: Study
    rows: Mapping[str, pa.Table]
    """By name of the row party, in the order of the study."""
    made: Several
    """The column parties' tables."""
    seeds: Mapping[str, bytes]

    def write(self, folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
        """Write all tables; returns the files of row parties and column parties by name."""
        columns = self.made.write(folder)
        del columns["row"]
        rows = {name: folder / f"{name}.parquet" for name in self.rows}
        for name, table in self.rows.items():
            pq.write_table(table, rows[name])
        return rows, columns

    def expected(self) -> NDArray[np.int64]:
        """Counts (cells, slots) by SQL: those of each row party alone, added up."""
        return sum(self.of_one(terms) for terms in self.study.row_parties)

    def of_one(self, terms: RowTerms) -> NDArray[np.int64]:
        """Counts of one row party's rows."""
        seeds = {**self.made.seeds, "row": self.seeds[terms.name]}
        alone = replace(
            self.study,
            row=replace(self.study.row, parties=()),
            bounds=replace(self.study.bounds, rows=terms.rows),
        )
        return Several(alone, self.rows[terms.name], self.made.flags, seeds).expected()


def united(row_parties: int, column_parties: int = 1, overlap: float = 0.5) -> United:
    """Make a study of so many parties of either side.

    Args:
        row_parties: number of row parties.
        column_parties: number of column parties.
        overlap: share of each table that is the same in all of its side.
    """
    made = several(column_parties, overlap)
    terms = tuple(
        RowTerms(name, f"synthetic/{name}", rows)
        for name, rows in list(zip(ROW_NAMES, ROWS, strict=True))[:row_parties]
    )
    study = replace(
        made.study,
        row=replace(made.study.row, parties=terms),
        bounds=replace(made.study.bounds, rows=sum(one.rows for one in terms)),
    )
    first = make_tables()[0]
    common = round(overlap * len(first))
    rows = {}
    for number, one in enumerate(terms):
        mine = make_tables(seed=200 + number)[0]
        rows[one.name] = pa.concat_tables([first.slice(0, common), mine.slice(common)])
    seeds = {one.name: bytes([1 + number]) * 32 for number, one in enumerate(terms)}
    return United(study, rows, made, {**made.seeds, **seeds})
