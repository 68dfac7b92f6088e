"""A made-up study of several row parties, its tables, and its counts by SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests import oracle
from tests.measured import measured, with_values
from tests.several import Several, several
from tests.synthetic import make_tables
from xstat_ray.model.parties import RowTerms
from xstat_ray.model.study import Bounds, Study, View

ROW_NAMES = ("north", "south", "west", "east", "coast", "hills", "bay", "isle")
ROWS = (2, 1, 1, 3, 1, 1, 2, 1)
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
        return Several(self._alone(terms), self.rows[terms.name], self.made.flags, seeds).expected()

    def expected_sums(self) -> NDArray[np.int64]:
        """Counts, then sums of each measure (1 + measures, cells, slots), by SQL over all tables.

        Sums are of values less the middle of their bounds.
        """
        measures = len(self.study.column.measures)
        sums = "".join(f", sum(centred[{place + 1}])" for place in range(measures))
        counted = self._database().execute(f"""
            WITH first AS (
                SELECT * FROM flags
                QUALIFY row_number() OVER (PARTITION BY id, period ORDER BY rank) = 1
            )
            SELECT cell, slot, count(*){sums} FROM rows JOIN first USING (id, period) GROUP BY ALL
        """)
        table = np.zeros((1 + measures, self.study.cells, self.study.slots), np.int64)
        for cell, slot, *figures in counted.fetchall():
            table[:, cell, slot] = figures
        return table

    def _database(self) -> duckdb.DuckDBPyConnection:
        """What is kept of all tables, as `rows` and, with their values, `flags`."""
        rows = []
        flags = []
        for terms in self.study.row_parties:
            given = self._alone(terms), self.rows[terms.name], self.seeds[terms.name]
            rows += oracle.kept_rows(*given)
        for rank, party in enumerate(self.study.column_parties):
            bounds = Bounds(1, party.boardings, party.persons, party.per_column)
            table = self.made.flags[party.name]
            of_party = replace(self.study, bounds=bounds), table, self.made.seeds[party.name]
            values = {flag[:2]: flag[2] for flag in oracle.kept_values(*of_party)}
            flags += [(rank, *flag, values[flag[:2]]) for flag in oracle.kept_flags(*of_party)]
        db = duckdb.connect()
        db.register("rows", oracle.rows_of(rows, "id", "period", "cell"))
        db.register("flags", oracle.rows_of(flags, "rank", "id", "period", "slot", "centred"))
        return db

    def with_measures(self) -> United:
        """This with values in the column parties' tables, and their sums in the study."""
        flags = {
            name: with_values(table, seed)
            for seed, (name, table) in enumerate(self.made.flags.items())
        }
        return self._replace(study=measured(self.study), made=self.made._replace(flags=flags))

    def _alone(self, terms: RowTerms) -> Study:
        """The study as if one of its row parties were the only one."""
        return replace(
            self.study,
            row=replace(self.study.row, parties=()),
            bounds=replace(self.study.bounds, rows=terms.rows),
        )


def united(row_parties: int, column_parties: int = 1, overlap: float = 0.5) -> United:
    """Make a study of so many parties of either side.

    Args:
        row_parties: number of row parties.
        column_parties: number of column parties.
        overlap: share of each table that is the same in all of its side; where it is nothing they
            have no person in common.
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
        if not overlap:
            mine = _of_some_people(mine, row_parties, number)
        rows[one.name] = pa.concat_tables([first.slice(0, common), mine.slice(common)])
    seeds = {one.name: bytes([1 + number]) * 32 for number, one in enumerate(terms)}
    return United(study, rows, made, {**made.seeds, **seeds})


def padded(row_parties: int, column_parties: int = 1, overlap: float = 0.5) -> United:
    """Make a study of so many parties with padding, and with few dummies."""
    made = united(row_parties, column_parties, overlap)
    view = View(Fraction(40), Fraction(1, 10))
    privacy = replace(made.study.privacy, padding="dp", view=view, cap=Fraction(40))
    return made._replace(study=replace(made.study, privacy=privacy))


def _of_some_people(rows: pa.Table, parties: int, number: int) -> pa.Table:
    """Leave the rows of every so many people; half of them are of each remainder by two."""
    codes = [int(name[1:]) if name else 0 for name in rows["person"].to_pylist()]
    return rows.filter(pa.array([code // 2 % parties == number for code in codes]))
