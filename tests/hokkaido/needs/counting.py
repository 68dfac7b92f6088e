"""Studies counted in the clear, by one SQL query over the operator's and the airlines' tables.

It serves repeats over many seeds, where the protocol would take too long, and shares no code with
the package. Where a party draws at random (cells of equal weight, boardings over the bound) a hash
of the row decides. `test_counting.py` compares it with the job.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from xstat_ray.model.dimension import Dimension
from xstat_ray.model.parties import ONLY
from xstat_ray.model.study import Study

SECONDS = {"date": 86_400, "hour": 3_600, "15min": 900}


def count(study: Study, tables: Path) -> np.ndarray:
    """Count a study that has one row dimension.

    Times without a zone are local on both sides, so that periods are numbered from local times.

    Args:
        study: a study of conf/study.
        tables: folder that holds `operator` and `airline`; where the study names several column
            parties, a folder of the name of each.

    Returns:
        (cells, slots) exact counts.
    """
    db = _opened(study)
    _rows(db, study, tables / "operator")
    for number, dimension in enumerate(study.column.dimensions):
        _domain(db, f"label{number}", dimension)
    names = []
    for terms in study.column_parties:
        bounds = replace(study.bounds, boardings=terms.boardings, per_column=terms.per_column)
        names.append("airline" if terms.name == ONLY else terms.name)
        _flags(db, replace(study, bounds=bounds), tables / names[-1])
    flags = " UNION ALL ".join(
        f"SELECT *, {place} AS place FROM {name}_flags" for place, name in enumerate(names)
    )
    db.execute(f"""
        CREATE TABLE flags AS SELECT id, period, slot FROM ({flags})
        QUALIFY row_number() OVER (PARTITION BY id, period ORDER BY place) = 1
    """)
    counted = np.zeros((study.cells, study.slots), np.int64)
    query = (
        "SELECT cell, slot, count(*) AS number FROM rows JOIN flags USING (id, period) GROUP BY ALL"
    )
    found = db.execute(query).fetchnumpy()
    counted[found["cell"], found["slot"]] = found["number"]
    return counted


def _opened(study: Study) -> duckdb.DuckDBPyConnection:
    """Make a database that knows periods, spellings of numbers, and the row domain."""
    db = duckdb.connect()
    start, end = (edge.replace(tzinfo=None) for edge in (study.period.start, study.period.end))
    db.execute(f"CREATE MACRO inside(t) AS t >= TIMESTAMP '{start}' AND t < TIMESTAMP '{end}'")
    db.execute(f"CREATE MACRO period(t) AS floor(epoch(t) / {SECONDS[study.period.grain]})::BIGINT")
    db.execute(
        "CREATE MACRO phone(id) AS "
        "CASE WHEN id LIKE '0%' THEN '+81' || replace(id, '-', '')[2:] ELSE id END"
    )
    _domain(db, "cell", study.row.dimensions[0])
    return db


def _domain(db: duckdb.DuckDBPyConnection, name: str, dimension: Dimension) -> None:
    """Create table `name` (value, place) of raw values, and macro `name_other` for all others."""
    pairs = [(value, place) for place, values in enumerate(dimension.members) for value in values]
    values, places = zip(*pairs, strict=True)
    db.register(f"{name}_arrow", pa.table({"value": values, "place": places}))
    db.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_arrow")
    other = "NULL" if dimension.other is None else dimension.labels.index(dimension.other)
    db.execute(f"CREATE MACRO {name}_other() AS {other}")


def _rows(db: duckdb.DuckDBPyConnection, study: Study, operator: Path) -> None:
    side = study.row
    (dimension,) = study.row.dimensions
    db.execute(f"""
        CREATE TABLE rows AS
        WITH stays AS (
            SELECT {side.id} AS id, period({side.time}) AS period,
                coalesce(place, cell_other()) AS cell, sum({side.weight}) AS weight
            FROM read_parquet('{operator}/presence/**/*.parquet', hive_partitioning = false)
                AS presence
            LEFT JOIN cell ON value = {dimension.column}::VARCHAR
            WHERE inside({side.time}) AND coalesce(place, cell_other()) IS NOT NULL
            AND {side.id} NOT IN (
                SELECT subscriber FROM read_parquet('{operator}/opt_out.parquet')
                UNION ALL SELECT subscriber FROM read_parquet('{operator}/not_used.parquet')
            )
            GROUP BY 1, 2, 3
        )
        SELECT id, period, cell FROM stays QUALIFY row_number() OVER (
            PARTITION BY id, period ORDER BY weight DESC, hash(id, period, cell)
        ) <= {study.bounds.rows}
    """)


def _flags(db: duckdb.DuckDBPyConnection, study: Study, airline: Path) -> None:
    side = study.column
    steps = [(window.anchor, offset) for window in side.windows for offset in window.offsets]
    width = len(steps) if side.offset_dimension else 1
    slot = "0"
    joins = ""
    for number, dimension in enumerate(side.dimensions):
        slot = f"({slot} * {dimension.size} + coalesce(d{number}.place, label{number}_other()))"
        joins += f" LEFT JOIN label{number} AS d{number} ON d{number}.value = b.{dimension.column}"
    all_steps = " UNION ALL ".join(
        f"SELECT number, id, {anchor} + INTERVAL '{offset} seconds' AS instant, "
        f"slot * {width} + {step if side.offset_dimension else 0} AS slot FROM placed"
        for step, (anchor, offset) in enumerate(steps)
    )
    db.execute(f"""
        CREATE TABLE {airline.name}_flags AS
        WITH b AS (
            SELECT *, row_number() OVER () AS number, phone({side.id}) AS id
            FROM read_parquet('{airline}/boardings.parquet')
        ),
        placed AS (
            SELECT b.*, {slot} AS slot FROM b {joins} WHERE {slot} IS NOT NULL
            AND id NOT IN (
                SELECT phone(passenger) FROM read_parquet('{airline}/no_consent.parquet')
            )
        ),
        expanded AS (SELECT * FROM ({all_steps}) WHERE inside(instant)),
        kept AS (
            SELECT number FROM (
                SELECT DISTINCT number, id, slot // {width} AS place FROM expanded
                QUALIFY dense_rank() OVER (PARTITION BY id, place ORDER BY hash(number), number)
                    <= {study.bounds.per_column}
            )
            QUALIFY row_number() OVER (PARTITION BY id ORDER BY hash(number), number)
                <= {study.bounds.boardings}
        )
        SELECT id, period(instant) AS period, slot FROM expanded SEMI JOIN kept USING (number)
        QUALIFY row_number() OVER (
            PARTITION BY id, period(instant) ORDER BY hash(number, instant)
        ) = 1
    """)


def count_spend(study: Study, tables: Path) -> np.ndarray:
    """Count the study `spend`.

    Args:
        study: the study.
        tables: folder that holds `operator` and `card`.

    Returns:
        (cells, width) exact counts of all columns, then sums of values less mid.
    """
    db = _opened(study)
    _rows(db, study, tables / "operator")
    (dimension,) = study.column.dimensions
    (measure,) = study.column.measures
    _domain(db, "label", dimension)
    found = db.execute(f"""
        WITH stays AS (
            SELECT phone(member) AS id, landed + INTERVAL 1 DAY AS instant,
                coalesce(place, label_other()) AS slot,
                least(greatest({measure.column}, {measure.low}), {measure.high}) AS value
            FROM read_parquet('{tables}/card/spend.parquet') AS card
            LEFT JOIN label ON label.value = {dimension.column}
            WHERE inside(instant)
            QUALIFY row_number() OVER (
                PARTITION BY id ORDER BY hash(instant, member), instant, value
            ) = 1
        )
        SELECT cell, slot, count(*) AS number, sum(value - {measure.mid}) AS value
        FROM rows JOIN (SELECT id, period(instant) AS period, slot, value FROM stays)
        USING (id, period) GROUP BY ALL
    """).fetchnumpy()
    counted = np.zeros((study.cells, study.width), np.int64)
    counted[found["cell"], found["slot"]] = found["number"]
    counted[found["cell"], study.slots + found["slot"]] = found["value"]
    return counted
