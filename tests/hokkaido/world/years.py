"""The tables of the year alone, and the studies of them counted in the clear by SQL.

`test_year_studies.py` compares the counts with the job. Where a party draws at random (places of
equal nights) a hash of the row decides.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xstat_ray.hokkaido.world import accounts
from xstat_ray.hokkaido.world.boardings import no_consent
from xstat_ray.hokkaido.world.customers import customers, donations
from xstat_ray.hokkaido.world.journeys import journeys
from xstat_ray.hokkaido.world.paths import make_paths
from xstat_ray.hokkaido.world.people import people_of
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.year import make_year
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Study

ROWS = "operator/visits.parquet"
COLUMNS = {"revisit": "airline/customers.parquet", "donation": "airline/donations.parquet"}
OPTED_OUT = ("operator/opt_out.parquet", "operator/not_used.parquet")
NO_CONSENT = "airline/no_consent.parquet"


def write_year(world: World, out: Path) -> None:
    """Write the tables that the studies of the year need, as `build` would, without presence."""
    tables: dict[str, list[pa.Table]] = {}
    first = world.first_day.toordinal()
    last = world.last_day.toordinal()
    for block in range(world.blocks):
        people = people_of(world, block)
        paths = make_paths(world, people, journeys(world, people, first, last))
        year = make_year(world, people, paths.journeys)
        made = {
            ROWS: accounts.visits(people, year),
            OPTED_OUT[0]: accounts.opt_out(people),
            OPTED_OUT[1]: accounts.not_used(people),
            COLUMNS["revisit"]: customers(world, people, year),
            COLUMNS["donation"]: donations(world, people, year),
            NO_CONSENT: no_consent(people),
        }
        for name, table in made.items():
            tables.setdefault(name, []).append(table)
    for name, parts in tables.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.concat_tables(parts), out / name)


def count(study: Study, tables: Path) -> np.ndarray:
    """Count a study whose people meet on the id alone.

    Args:
        study: `revisit` or `donation`.
        tables: folder that holds `operator` and `airline`.

    Returns:
        (cells, slots) exact counts.
    """
    assert study.period.grain == "none"
    assert study.bounds.boardings == 1
    db = duckdb.connect()
    db.execute(
        "CREATE MACRO phone(id) AS "
        "CASE WHEN id LIKE '0%' THEN '+81' || replace(id, '-', '')[2:] ELSE id END"
    )
    out = " UNION ALL ".join(f"SELECT subscriber AS id FROM '{tables}/{of}'" for of in OPTED_OUT)
    cell = _placed(db, "cell", study.row.dimensions)
    slot = _placed(db, "slot", study.column.dimensions)
    found = db.execute(f"""
        WITH stays AS (
            SELECT {study.row.id} AS id, {cell.number} AS cell, sum({study.row.weight}) AS weight
            FROM '{tables}/{ROWS}' AS t {cell.joins}
            WHERE {cell.number} IS NOT NULL AND id NOT IN ({out}) GROUP BY ALL
        ),
        kept AS (
            FROM stays QUALIFY row_number() OVER (
                PARTITION BY id ORDER BY weight DESC, hash(id, cell)
            ) <= {study.bounds.rows}
        ),
        people AS (
            SELECT phone({study.column.id}) AS id, {slot.number} AS slot
            FROM '{tables}/{COLUMNS[study.name]}' AS t {slot.joins}
            WHERE {slot.number} IS NOT NULL AND id NOT IN (
                SELECT phone(passenger) FROM '{tables}/{NO_CONSENT}'
            )
        )
        SELECT cell, slot, count(*) AS number FROM kept JOIN people USING (id) GROUP BY ALL
    """).fetchnumpy()
    counted = np.zeros((study.cells, study.slots), np.int64)
    counted[found["cell"], found["slot"]] = found["number"]
    return counted


class _Placed:
    """SQL for the position of a row in the product of some dimensions."""

    def __init__(self) -> None:
        self.number = "0"
        self.joins = ""


def _placed(db: duckdb.DuckDBPyConnection, name: str, dimensions: tuple[Dimension, ...]) -> _Placed:
    placed = _Placed()
    for number, dimension in enumerate(dimensions):
        table = f"{name}{number}"
        pairs = [(value, at) for at, of in enumerate(dimension.members) for value in of]
        values, places = zip(*pairs, strict=True)
        db.register(f"{table}_arrow", pa.table({"value": values, "place": places}))
        db.execute(f"CREATE TABLE {table} AS FROM {table}_arrow")
        other = "NULL" if dimension.other is None else dimension.labels.index(dimension.other)
        placed.joins += f" LEFT JOIN {table} ON {table}.value = t.{dimension.column}::VARCHAR"
        placed.number = f"({placed.number} * {dimension.size} + coalesce({table}.place, {other}))"
    return placed
