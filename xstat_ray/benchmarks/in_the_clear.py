"""A study of a region by one SQL query over both tables in the clear: its speed, and the truth.

Where two cells have equal weights in an hour, or a person has more boardings than a bound, a
party draws, and the query does not know the outcome. Such units are counted apart, so that a count
is known to lie between two numbers, which are nearly always equal.
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
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Study


@dataclass(frozen=True)
class CountBounds:
    """Numbers between which the true counts lie; where no party draws, they are equal."""

    cells: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Least and most counts, (cells, slots) each."""
    slots: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Least and most sums over all cells, (slots,) each."""
    total: tuple[int, int]
    """Least and most sum of all counts."""

    def wrong(self, counts: NDArray[np.int64]) -> int:
        """Number of counts (cells, slots), and of their sums, that are impossible."""
        pairs = ((counts, self.cells), (counts.sum(axis=0), self.slots), (counts.sum(), self.total))
        return sum(int(np.sum((found < least) | (found > most))) for found, (least, most) in pairs)


class InTheClear:
    """Tables of both parties in a single database, which nobody may have."""

    def __init__(self, duckdb: ModuleType, study: Study, region: Region, threads: int) -> None:
        """Prepare domains, and ids in their normal form; this is not timed.

        Args:
            duckdb: the module.
            study: the study.
            region: the tables.
            threads: threads of the database.
        """
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
        """Count by the plain query, which bounds the hours of all people and then joins.

        Returns:
            (cell, slot, count) where there is a count.
        """
        return self._count("")

    def pushed_down(self) -> list[tuple[int, int, int]]:
        """Count by a query that looks up the passengers first."""
        return self._count("WHERE subscriber IN (SELECT DISTINCT id FROM flags)")

    def bounds(self) -> CountBounds:
        """Find between which numbers the counts lie.

        A unit is a person's hour. It is in one of its heaviest cells and under one of its flags,
        or, if the person has more boardings than a bound, perhaps nowhere.
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
                SELECT id, h, slot, count(*) OVER (PARTITION BY id, h) AS flags
                FROM (SELECT DISTINCT * FROM flags)
            )
            SELECT id, h, cell, slot, choices = 1 AS one_cell,
                flags = 1 AND id NOT IN ({self._over}) AS one_flag
            FROM heaviest JOIN apart USING (id, h)
        """)
        cells = np.zeros((2, study.cells, study.slots), np.int64)
        slots = np.zeros((2, study.slots), np.int64)
        certain = "count(*) FILTER (one_cell AND one_flag)"
        query = f"SELECT cell, slot, {certain}, count(*) FROM met GROUP BY ALL"
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
        return CountBounds((cells[0], cells[1]), (slots[0], slots[1]), (least, most))

    @property
    def flags(self) -> int:
        """Number of flags of the column party inside the study."""
        return self._number("SELECT count(*) FROM flags")

    @property
    def persons(self) -> int:
        """Number of people of both tables who are not left out."""
        files = [str(path) for path in self._region.presence]
        table = f"read_parquet({files}, hive_partitioning = false)"
        row = f"SELECT DISTINCT {self._study.row.id} AS id FROM {table}"
        return self._number(
            f"SELECT count(*) FROM ({row}) ANTI JOIN not_used USING (id)"
        ) + self._number("SELECT count(DISTINCT id) FROM flags")

    @property
    def drawn(self) -> int:
        """Number of people over a bound of boardings, and of hours with several flags.

        In both cases the party draws.
        """
        return self._number(f"SELECT count(*) FROM ({self._over})") + self._number(
            "SELECT count(*) FROM (SELECT id, h FROM flags GROUP BY ALL HAVING count(*) > 1)"
        )

    @property
    def _over(self) -> str:
        bounds = self._study.bounds
        return f"""
            SELECT id FROM placed GROUP BY id HAVING count(*) > {bounds.boardings} UNION
            SELECT id FROM placed GROUP BY id, place HAVING count(*) > {bounds.per_column}
        """

    def _count(self, where: str) -> list[tuple[int, int, int]]:
        query = f"""
            WITH kept AS (
                SELECT id, h, arg_max(cell, weight) AS cell FROM ({self._merged(where)})
                GROUP BY ALL
            )
            SELECT cell, slot, count(*) FROM kept JOIN flags USING (id, h) GROUP BY ALL
        """
        found: list[tuple[int, int, int]] = self._db.execute(query).fetchall()
        return found

    def _merged(self, where: str) -> str:
        """Write the query that adds up the weights of a person's rows in a cell and an hour."""
        side = self._study.row
        files = [str(path) for path in self._region.presence]
        weight = side.weight
        time = side.time
        return f"""
            SELECT {side.id} AS id, time_bucket(INTERVAL 1 HOUR, {time}) AS h, label AS cell,
                sum({weight}) AS weight
            FROM (SELECT * FROM read_parquet({files}, hive_partitioning = false) {where})
            JOIN cells ON {side.dimensions[0].column} = value
            ANTI JOIN not_used ON {side.id} = not_used.id GROUP BY ALL
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
        """Create table `flags` (id, h, slot) of boardings in the hours of their windows."""
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
            domain = f"domain_{dimension.name}"
            position = f"({position} * {dimension.size} + coalesce({domain}.label, {other}))"
            kind = "LEFT JOIN" if dimension.other else "JOIN"
            joins += f" {kind} {domain} ON boardings.{dimension.column} = {domain}.value"
        all_steps = " UNION ALL ".join(
            f"SELECT id, {anchor} + to_seconds({offset}) AS instant, "
            f"place * {len(steps)} + {step} AS slot FROM placed"
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
            CREATE TABLE flags AS
            SELECT id, time_bucket(INTERVAL 1 HOUR, instant) AS h, slot FROM ({all_steps})
            WHERE instant >= TIMESTAMP '{start}' AND instant < TIMESTAMP '{end}'
        """)

    def _number(self, query: str) -> int:
        ((number,),) = self._db.execute(query).fetchall()
        return int(number)
