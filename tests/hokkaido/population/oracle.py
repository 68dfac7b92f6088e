"""Populations by one SQL query over the operator's tables in the clear, without the package's code.

Each class of home, sex and five-year age is expanded by itself: classes are not merged, and no
weight is cut.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.population.run import OperatorTables


def people(
    tables: OperatorTables, year: int, by: tuple[str, ...] = ("municipality", "hour")
) -> dict[tuple, float]:
    """Count expanded people, weighted by the time they stay.

    Args:
        tables: Parquet files, with a single table of opt-outs.
        year: year in which ages are reached.
        by: columns of the key: some of municipality, date, hour, home, sex, age.
    """
    db = duckdb.connect()
    land = hokkaido.cells().select(["mesh", "municipality"])
    db.register("land", land.set_column(1, "municipality", land["municipality"].cast(pa.string())))
    columns = ", ".join(by)
    rows = db.execute(f"""
        WITH used AS (
            SELECT subscriber, home::VARCHAR AS home, sex::VARCHAR AS sex,
                5 * ((({year} - birth_year) // 5)) AS class
            FROM read_parquet('{tables.subscribers}')
            WHERE NOT corporate AND {year} - birth_year BETWEEN 15 AND 79
            AND subscriber NOT IN (SELECT subscriber FROM read_parquet('{tables.excluded[0]}'))
        ),
        weights AS (
            SELECT home, sex, class, any_value(residents) / count(*) AS weight FROM used JOIN (
                SELECT home, sex, split_part(age, '-', 1)::INT AS class, residents
                FROM read_parquet('{tables.register}')
            ) USING (home, sex, class) GROUP BY ALL
        ),
        shares AS (
            SELECT subscriber, municipality,
                strftime(time, '%Y%m%d') AS date, strftime(time, '%H00') AS hour,
                dwell / greatest(
                    3600, sum(dwell) OVER (PARTITION BY subscriber, date_trunc('hour', time))
                ) AS share
            FROM read_parquet('{tables.presence}/**/*.parquet', hive_partitioning = false)
            LEFT JOIN land USING (mesh)
        )
        SELECT {columns}, sum(weight * share) AS people FROM shares JOIN used USING (subscriber)
        JOIN weights USING (home, sex, class)
        CROSS JOIN LATERAL (SELECT greatest(15, class // 10 * 10)::VARCHAR AS age)
        WHERE municipality IS NOT NULL GROUP BY {columns}
    """).fetchall()
    return {tuple(row[:-1]): row[-1] for row in rows}
