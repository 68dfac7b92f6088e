"""A study of a region as one SQL query over both tables in the clear, by DuckDB: how fast that is, and the truth.

Where two cells weigh the same in an hour, or a person has more boardings than the bound, a party
draws; the query does not know which. Such units are counted apart, so that a count is known to lie
between two numbers, which nearly always are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.benchmarks.region import Region
from xstat_ray.inputs.ids import normalise
from xstat_ray.model.study import Dimension, Study


@dataclass(frozen=True)
class Bounds:
    """Numbers between which the true counts lie; where no party draws, both are the same."""

    cells: tuple[NDArray[np.int64], NDArray[np.int64]]
    """The least and the most in every cell and slot, (cells, slots) each."""
    slots: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Of every slot, over all cells."""
    total: tuple[int, int]

    def wrong(self, counts: NDArray[np.int64]) -> int:
        """How many entries of (cells, slots) counts cannot be, those of slots with an impossible sum included."""
        pairs = ((counts, self.cells), (counts.sum(axis=0), self.slots), (counts.sum(), self.total))
        return sum(int(np.sum((found < least) | (found > most))) for found, (least, most) in pairs)


class InTheClear:
    """Both parties' tables in one database, which nobody may have."""

    def __init__(self, duckdb: ModuleType, study: Study, region: Region, threads: int) -> None:
        """Prepare what is not timed: domains, and ids in their normal form."""
        self._study = study
        self._region = region
        self._db = duckdb.connect()
        self._db.execute(f"SET threads = {threads}; SET TimeZone = 'UTC'")
        self._domain("cells", study.row.dimensions[0], integer=True)
        for dimension in study.column.dimensions:
            self._domain(f"domain_{dimension.name}", dimension)
        self._excluded()
        self._flags()

    def straight(self) -> list[tuple[int, int, int]]:
        """(cell, slot, count) by the query as one writes it: bound every person's hours, then join."""
        return self._count("")

    def pushed_down(self) -> list[tuple[int, int, int]]:
        """The same where the query's author has the passengers looked up first."""
        return self._count("WHERE subscriber IN (SELECT DISTINCT id FROM flags)")

    def bounds(self) -> Bounds:
        """What the counts can be.

        A unit is a person's hour. It is in one of its heaviest cells and under one of its flags,
        or, if the person has more boardings than the bound, perhaps in none.
        """
        study = self._study
        assert study.bounds.rows == 1, "with one cell an hour a unit is in one of its cells"
        self._db.execute(f"""
            CREATE OR REPLACE TEMP TABLE met AS
            WITH heaviest AS (
                SELECT id, h, cell, count(*) OVER (PARTITION BY id, h) AS choices FROM (
                    {self._merged("WHERE subscriber IN (SELECT DISTINCT id FROM flags)")}
                ) QUALIFY weight = max(weight) OVER (PARTITION BY id, h)
            ), apart AS (
                SELECT id, h, slot, count(*) OVER (PARTITION BY id, h) AS flags FROM (SELECT DISTINCT * FROM flags)
            )
            SELECT id, h, cell, slot, choices = 1 AS one_cell, flags = 1 AND id NOT IN ({self._over}) AS one_flag
            FROM heaviest JOIN apart USING (id, h)
        """)
        cells = np.zeros((2, study.cells, study.slots), np.int64)
        slots = np.zeros((2, study.slots), np.int64)
        query = "SELECT cell, slot, count(*) FILTER (one_cell AND one_flag), count(*) FROM met GROUP BY ALL"
        for cell, slot, least, most in self._db.execute(query).fetchall():
            cells[:, cell, slot] = least, most
        units = "SELECT DISTINCT id, h, slot, one_flag FROM met"
        query = f"SELECT slot, count(*) FILTER (one_flag), count(*) FROM ({units}) GROUP BY ALL"
        for slot, least, most in self._db.execute(query).fetchall():
            slots[:, slot] = least, most
        most = self._number("SELECT count(*) FROM (SELECT DISTINCT id, h FROM met)")
        least = self._number(
            f"SELECT count(*) FROM (SELECT DISTINCT id, h FROM met WHERE id NOT IN ({self._over}))"
        )
        return Bounds((cells[0], cells[1]), (slots[0], slots[1]), (least, most))

    @property
    def flags(self) -> int:
        """Flags of the column party, inside the study."""
        return self._number("SELECT count(*) FROM flags")

    @property
    def persons(self) -> int:
        """People of both tables who are not left out."""
        files = [str(path) for path in self._region.presence]
        row = f"SELECT DISTINCT {self._study.row.id} AS id FROM read_parquet({files}, hive_partitioning = false)"
        return self._number(
            f"SELECT count(*) FROM ({row}) ANTI JOIN not_used USING (id)"
        ) + self._number("SELECT count(DISTINCT id) FROM flags")

    @property
    def drawn(self) -> int:
        """Persons over the bound of boardings, and hours of persons with several flags: there the party draws, too."""
        return self._number(f"SELECT count(*) FROM ({self._over})") + self._number(
            "SELECT count(*) FROM (SELECT id, h FROM flags GROUP BY ALL HAVING count(*) > 1)"
        )

    @property
    def _over(self) -> str:
        return f"SELECT id FROM placed GROUP BY id HAVING count(*) > {self._study.bounds.boardings}"

    def _count(self, where: str) -> list[tuple[int, int, int]]:
        query = f"""
            WITH kept AS (SELECT id, h, arg_max(cell, weight) AS cell FROM ({self._merged(where)}) GROUP BY ALL)
            SELECT cell, slot, count(*) FROM kept JOIN flags USING (id, h) GROUP BY ALL
        """
        found: list[tuple[int, int, int]] = self._db.execute(query).fetchall()
        return found

    def _merged(self, where: str) -> str:
        """What a person's rows in one cell and hour weigh together."""
        side = self._study.row
        files = [str(path) for path in self._region.presence]
        weight = side.weight
        time = side.time
        return f"""
            SELECT {side.id} AS id, time_bucket(INTERVAL 1 HOUR, {time}) AS h, label AS cell, sum({weight}) AS weight
            FROM (SELECT * FROM read_parquet({files}, hive_partitioning = false) {where})
            JOIN cells ON {side.dimensions[0].column} = value ANTI JOIN not_used ON {side.id} = not_used.id GROUP BY ALL
        """

    def _domain(self, name: str, dimension: Dimension, integer: bool = False) -> None:
        pairs = [
            (value, label) for label, members in enumerate(dimension.members) for value in members
        ]
        values, labels = zip(*pairs, strict=True)
        table = pa.table(
            {"value": pa.array(values, pa.string()), "label": pa.array(labels, pa.int32())}
        )
        self._db.register("incoming", table)
        value = "value::INT" if integer else "value"
        self._db.execute(f"CREATE TABLE {name} AS SELECT {value} AS value, label FROM incoming")
        self._db.unregister("incoming")

    def _normal(self, column: pa.ChunkedArray) -> pa.Array:
        return normalise(
            column.combine_chunks().cast(pa.string()), self._study.id_form, self._study.id_region
        )

    def _keep(self, name: str, table: pa.Table) -> None:
        self._db.register("incoming", table)
        self._db.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
        self._db.unregister("incoming")

    def _excluded(self) -> None:
        sources = self._region.sources
        for name, source, column in (
            ("not_used", sources["row"], self._study.row.id),
            ("no_consent", sources["column"], self._study.column.id),
        ):
            ids = [
                self._normal(pq.read_table(path, columns=[column])[column])
                for path in source.excludes
            ]
            self._keep(name, pa.table({"id": pa.concat_arrays(ids)}))

    def _flags(self) -> None:
        """Table `flags` (id, h, slot): every boarding in every hour of its window, inside the study."""
        study = self._study
        boardings = pq.read_table(self._region.sources["column"].table)
        self._keep(
            "boardings", boardings.append_column("id", self._normal(boardings[study.column.id]))
        )
        steps = [
            (window.anchor, offset) for window in study.column.windows for offset in window.offsets
        ]
        position = "0"
        joins = ""
        for dimension in study.column.dimensions:
            other = -1 if dimension.other is None else dimension.labels.index(dimension.other)
            own = f"domain_{dimension.name}"
            position = f"({position} * {dimension.size} + coalesce({own}.label, {other}))"
            joins += f" {'LEFT' if dimension.other else ''} JOIN {own} ON boardings.{dimension.column} = {own}.value"
        every = " UNION ALL ".join(
            f"SELECT id, {anchor} + to_seconds({offset}) AS instant, place * {len(steps)} + {step} AS slot FROM placed"
            for step, (anchor, offset) in enumerate(steps)
        )
        assert study.period.start is not None
        assert study.period.end is not None
        start, end = (edge.replace(tzinfo=None) for edge in (study.period.start, study.period.end))
        self._db.execute(f"""
            CREATE TABLE placed AS SELECT boardings.*, {position} AS place FROM boardings {joins}
            ANTI JOIN no_consent USING (id) WHERE id IS NOT NULL
        """)
        self._db.execute(f"""
            CREATE TABLE flags AS SELECT id, time_bucket(INTERVAL 1 HOUR, instant) AS h, slot FROM ({every})
            WHERE instant >= TIMESTAMP '{start}' AND instant < TIMESTAMP '{end}'
        """)

    def _number(self, query: str) -> int:
        ((number,),) = self._db.execute(query).fetchall()
        return int(number)
