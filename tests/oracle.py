"""The oracle: a study as one SQL query over both tables in the clear.

It shares no code with the package. Where a bound draws at random, the oracle takes the drawn words
as tables, in the order in which a party reads its usable rows, and applies them with row_number().
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from xstat_ray.model.dimension import Dimension
from xstat_ray.model.measure import Measure
from xstat_ray.model.study import Study

UNBOUNDED = {"row": None, "column": None}
GRAIN_SECONDS = {"hour": 3600, "15min": 900}


def count(
    study: Study,
    rows: pa.Table,
    flags: pa.Table,
    seeds: Mapping[str, bytes | None] = UNBOUNDED,
    opted_out: Sequence[str] = (),
    rows_per_flag: int | None = None,
) -> NDArray[np.int64]:
    """Count exactly: (cells, slots).

    Args:
        study: has the grain none, hour or 15min, or is of whole weeks, months or years; ids of form exact; times are UTC.
        rows: the row party's table.
        flags: the column party's table.
        seeds: each party's, to reproduce its random choices; None where its bounds never bind.
        opted_out: ids to leave out on both sides.
        rows_per_flag: where it is given, the row party bounds nothing, and a person who has more
            rows in a period counts nowhere in it.
    """
    db = _database(opted_out)
    if rows_per_flag is None:
        _keep_rows(db, study, rows, seeds["row"])
    else:
        _drop_crowds(db, study, rows, rows_per_flag)
    _keep_flags(db, study, flags, seeds["column"])
    table = np.zeros((study.cells, study.slots), np.int64)
    counted = (
        "SELECT cell, slot, count(*) FROM kept_rows JOIN kept_flags USING (id, period) GROUP BY ALL"
    )
    for cell, slot, number in db.execute(counted).fetchall():
        table[cell, slot] = number
    return table


def sums(
    study: Study,
    rows: pa.Table,
    flags: pa.Table,
    seeds: Mapping[str, bytes | None] = UNBOUNDED,
    rows_per_flag: int | None = None,
) -> NDArray[np.int64]:
    """Sum the values of each measure, less the middle of its bounds: (measures, cells, slots)."""
    db = _database(())
    if rows_per_flag is None:
        _keep_rows(db, study, rows, seeds["row"])
    else:
        _drop_crowds(db, study, rows, rows_per_flag)
    _keep_flags(db, study, flags, seeds["column"])
    tables = np.zeros((len(study.column.measures), study.cells, study.slots), np.int64)
    for place, measure in enumerate(study.column.measures):
        summed = (
            f"SELECT cell, slot, sum(words[{place + 1}] - {_reach(measure)}) "
            "FROM kept_rows JOIN kept_flags USING (id, period) GROUP BY ALL"
        )
        for cell, slot, total in db.execute(summed).fetchall():
            tables[place, cell, slot] = total
    return tables


def kept_rows(study: Study, rows: pa.Table, seed: bytes | None) -> list[tuple[str, int, int]]:
    """List (id, period, cell) of the rows that the row party keeps."""
    db = _database(())
    _keep_rows(db, study, rows, seed)
    return db.execute("SELECT id, period, cell FROM kept_rows").fetchall()


def kept_flags(study: Study, flags: pa.Table, seed: bytes | None) -> list[tuple[str, int, int]]:
    """List (id, period, slot) of the flags that the column party keeps."""
    db = _database(())
    _keep_flags(db, study, flags, seed)
    return db.execute("SELECT id, period, slot FROM kept_flags").fetchall()


def kept_values(
    study: Study, flags: pa.Table, seed: bytes | None
) -> list[tuple[str, int, list[int]]]:
    """List (id, period, values less the middle of their bounds) of the flags that are kept."""
    db = _database(())
    _keep_flags(db, study, flags, seed)
    kept = db.execute("SELECT id, period, words FROM kept_flags").fetchall()
    reach = [_reach(measure) for measure in study.column.measures]
    return [
        (person, period, [word - most for word, most in zip(words, reach, strict=True)])
        for person, period, words in kept
    ]


def rows_of(kept: Sequence[Sequence[object]], *names: str) -> pa.Table:
    """A table of what is kept, with columns of these names, for a query over several tables."""
    columns = zip(*kept, strict=True) if kept else [()] * len(names)
    return pa.table([pa.array(list(values)) for values in columns], list(names))


def dropped_boardings(study: Study, flags: pa.Table, seed: bytes | None) -> dict[str, int]:
    """Count the usable boardings that do not take part, by the first bound that cuts them."""
    db = _database(())
    _keep_flags(db, study, flags, seed)
    numbers = [
        db.execute(f"SELECT count(*) FROM {stage}").fetchall()[0][0]
        for stage in (
            "usable_boardings",
            "in_columns",
            "in_bounds",
            "(SELECT DISTINCT reading FROM flags_of_boardings)",
        )
    ]
    reasons = ("over_column_bound", "over_bound", "without_flag")
    return {name: numbers[n] - numbers[n + 1] for n, name in enumerate(reasons)}


def _database(opted_out: Sequence[str]) -> duckdb.DuckDBPyConnection:
    """Open a database with the table `opted_out`."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    db.register("opted_out", pa.table({"id": pa.array(opted_out, pa.string())}))
    return db


def _keep_rows(
    db: duckdb.DuckDBPyConnection, study: Study, rows: pa.Table, seed: bytes | None
) -> None:
    """Make the table `kept_rows`: (id, period, cell), at most R of a person in a period."""
    db.register("rows", rows.append_column("reading", pa.array(range(len(rows)))))
    _usable_rows(db, study)
    _row_words(db, seed)
    db.execute(f"""
        CREATE TABLE kept_rows AS
        SELECT id, period, cell FROM candidates JOIN row_words USING (place)
        QUALIFY row_number() OVER (PARTITION BY id, period ORDER BY weight DESC, word)
            <= {study.bounds.rows}
    """)


def _drop_crowds(db: duckdb.DuckDBPyConnection, study: Study, rows: pa.Table, most: int) -> None:
    """Make the table `kept_rows` of all rows of those who have no more than so many in a period."""
    db.register("rows", rows.append_column("reading", pa.array(range(len(rows)))))
    _usable_rows(db, study)
    db.execute(f"""
        CREATE TABLE kept_rows AS SELECT id, period, cell FROM usable_rows
        WHERE cell IS NOT NULL AND period IS NOT NULL
        QUALIFY count(*) OVER (PARTITION BY id, period) <= {most}
    """)


def _keep_flags(
    db: duckdb.DuckDBPyConnection, study: Study, flags: pa.Table, seed: bytes | None
) -> None:
    """Make the table `kept_flags`: (id, period, slot), one of a person in a period."""
    db.register("boardings", flags.append_column("reading", pa.array(range(len(flags)))))
    _usable_boardings(db, study)
    _words(db, "boarding_words", seed, "bound of boardings", "usable_boardings", ("content",))
    db.execute(f"""
        CREATE TABLE in_columns AS
        SELECT reading, id, word FROM usable_boardings JOIN boarding_words USING (place)
        QUALIFY row_number() OVER (PARTITION BY id, content[1] ORDER BY word)
            <= {study.bounds.per_column}
    """)
    db.execute(f"""
        CREATE TABLE in_bounds AS SELECT reading FROM in_columns
        QUALIFY row_number() OVER (PARTITION BY id ORDER BY word) <= {study.bounds.boardings}
    """)
    db.execute("""
        CREATE TABLE expanded AS
        SELECT *, row_number() OVER (ORDER BY reading, step) - 1 AS place
        FROM hours SEMI JOIN in_bounds USING (reading)
    """)
    _words(db, "flag_words", seed, "one flag a period", "expanded", ("period", "slot", "words"))
    db.execute("""
        CREATE TABLE flags_of_boardings AS
        SELECT reading, id, period, slot, words FROM expanded JOIN flag_words USING (place)
        QUALIFY row_number() OVER (PARTITION BY id, period ORDER BY word) <= 1
    """)
    kept = "SELECT id, period, slot, words FROM flags_of_boardings"
    db.execute(f"CREATE TABLE kept_flags AS {kept}")


def mac(key: bytes, message: bytes) -> bytes:
    """AES-128-CBC-MAC of a message, filled up with zeros to whole blocks."""
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return cipher.update(message + bytes(-len(message) % 16))[-16:]


def key_of(seed: bytes, purpose: str) -> bytes:
    """HKDF-SHA256 (RFC 5869) of a party's seed."""
    return HKDF(
        algorithm=SHA256(), length=16, salt=None, info=b"xstat-ray v1 " + purpose.encode()
    ).derive(seed)


def word_of(seed: bytes, purpose: str, *numbers: int | bytes) -> bytes:
    """The word that decides about a row, by definition, of its 32-bit numbers."""
    parts = [n if isinstance(n, bytes) else int(n).to_bytes(4, "little") for n in numbers]
    return mac(key_of(seed, purpose), b"".join(parts))[:8]


def person_word(seed: bytes, person: str) -> bytes:
    """The word that stands for a person in a row's content, by definition."""
    text = person.encode()
    return mac(key_of(seed, "persons"), len(text).to_bytes(16, "little") + text)[:8]


def _words(
    db: duckdb.DuckDBPyConnection,
    name: str,
    seed: bytes | None,
    purpose: str,
    of: str,
    columns: Sequence[str],
) -> None:
    """Make a table (place, word) for the boardings of another: a word for what stands in each.

    Equal boardings are numbered, so that each has a word of its own.
    """
    rows = db.execute(f"SELECT place, id, {', '.join(columns)} FROM {of} ORDER BY place").fetchall()
    met = Counter[bytes]()
    words = []
    for _, person, *content in rows if seed is not None else ():
        numbers = [n for part in content for n in (part if isinstance(part, list) else [part])]
        alike = word_of(seed, f"{purpose}: content", person_word(seed, person), *numbers)
        words.append(int.from_bytes(word_of(seed, purpose, alike, met[alike]), "little"))
        met[alike] += 1
    places = [row[0] for row in rows]
    word = pa.array(words if seed is not None else [0] * len(rows), pa.uint64())
    db.register(name, pa.table({"place": pa.array(places, pa.int64()), "word": word}))


def _usable_rows(db: duckdb.DuckDBPyConnection, study: Study) -> None:
    """Make the table `candidates`: (id, period, cell, weight, number, place).

    With weights there is one for each person, period and cell; without, one for each usable row.
    """
    side = study.row
    db.execute(f"""
        CREATE TABLE usable_rows AS
        WITH placed AS (
            SELECT {_column(side.id)} AS id, {_period(study, side.time)} AS period,
                   {_position(side.dimensions)} AS cell, {_column(side.weight)} AS weight
            FROM rows
        )
        SELECT * FROM placed ANTI JOIN opted_out USING (id) WHERE id <> ''
    """)
    usable = "FROM usable_rows WHERE cell IS NOT NULL AND period IS NOT NULL"
    alike = "id, period, cell"
    number = "row_number() OVER (PARTITION BY id, period, cell) - 1 AS number"
    single = f"SELECT {alike}, weight, {number} {usable}"
    merged = (
        f"SELECT {alike}, coalesce(sum(weight), 0) AS weight, 0 AS number {usable} GROUP BY ALL"
    )
    db.execute(f"""
        CREATE TABLE candidates AS
        SELECT *, row_number() OVER () - 1 AS place FROM ({merged if side.weight else single})
    """)


def _row_words(db: duckdb.DuckDBPyConnection, seed: bytes | None) -> None:
    """Make the table `row_words`: (place, word), of (person's word, period, cell, number)."""
    rows = db.execute("SELECT id, period, cell, number FROM candidates ORDER BY place").fetchall()
    words = [
        int.from_bytes(word_of(seed, "bound of rows", person_word(seed, person), *rest), "little")
        for person, *rest in (rows if seed is not None else ())
    ]
    word = pa.array(words if seed is not None else [0] * len(rows), pa.uint64())
    db.register(
        "row_words", pa.table({"place": pa.array(range(len(rows)), pa.int64()), "word": word})
    )


def _usable_boardings(db: duckdb.DuckDBPyConnection, study: Study) -> None:
    """Make the tables `hours` and `usable_boardings`.

    The first has a row for each boarding and offset inside the study, the second for each boarding.
    """
    side = study.column
    steps = [(w.anchor, offset) for w in side.windows for offset in w.offsets] or [(side.time, 0)]
    width = len(steps) if side.windows and side.offset_dimension else 1
    steps_of = " UNION ALL ".join(
        f"SELECT reading, {step} AS step, {_column(side.id)} AS id, "
        f"{_period(study, anchor, offset)} AS period, {_position(side.dimensions)} AS base, "
        f"[{', '.join(map(_word_of_value, side.measures))}]::BIGINT[] AS words "
        "FROM boardings"
        for step, (anchor, offset) in enumerate(steps)
    )
    db.execute(f"""
        CREATE TABLE all_hours AS SELECT * FROM ({steps_of}) ANTI JOIN opted_out USING (id)
        WHERE id <> '' AND base IS NOT NULL
    """)
    db.execute(f"""
        CREATE TABLE hours AS
        SELECT reading, step, id, period, words,
            base * {width} + {"step" if width > 1 else 0} AS slot
        FROM all_hours WHERE period IS NOT NULL
    """)
    # What is in a boarding: its kind, the periods of its windows, of which all ones stand for none,
    # and its values.
    db.execute(f"""
        CREATE TABLE usable_boardings AS
        SELECT *, row_number() OVER (ORDER BY reading) - 1 AS place FROM (
            SELECT reading, id, [any_value(base)::BIGINT] || list(
                coalesce(period, {2**32 - 1})::BIGINT ORDER BY step
            ) || any_value(words) AS content FROM all_hours WHERE reading IN (SELECT reading FROM hours) GROUP BY ALL
        )
    """)


def _reach(measure: Measure) -> int:
    """Find the largest distance from the middle of the bounds."""
    middle = (measure.low + measure.high) // 2
    return max(measure.high - middle, middle - measure.low)


def _word_of_value(measure: Measure) -> str:
    """Write the SQL of a value less the middle of its bounds, plus the reach: 0 or more."""
    middle = (measure.low + measure.high) // 2
    value = f"round_even({_column(measure.column)}::DOUBLE, 0)"
    inside = f"least(greatest({value}, {measure.low}), {measure.high})"
    absent = f"{_column(measure.column)} IS NULL OR isnan({_column(measure.column)}::DOUBLE)"
    return f"(CASE WHEN {absent} THEN {middle} ELSE {inside} END) - {middle} + {_reach(measure)}"


CALENDAR = ("week", "month", "year")


def _period(study: Study, time: str | None, offset: int = 0) -> str:
    """Write the SQL of the number of the period of time + offset; NULL outside the study."""
    period = study.period
    if period.grain == "none":
        return "0"
    assert period.start is not None and period.end is not None
    start, end = (edge.astimezone(dt.UTC).timestamp() for edge in (period.start, period.end))
    if period.grain in CALENDAR:
        return _calendar(study, _column(time), offset)
    at = f"(epoch({_column(time)}) + {offset})"
    number = f"floor({at} / {GRAIN_SECONDS[period.grain]})"
    return f"CASE WHEN {at} >= {start} AND {at} < {end} THEN {number} END"


def _calendar(study: Study, time: str, offset: int) -> str:
    """The number of a week, month or year by the database's calendar; all times are UTC."""
    period = study.period
    unit = period.grain
    start, end = (f"TIMESTAMP '{edge:%Y-%m-%d %H:%M:%S}'" for edge in (period.start, period.end))
    steps = offset // (7 * 86_400) if unit == "week" else offset
    moved = f"(date_trunc('{unit}', {time}) + INTERVAL ({steps}) {unit})"
    number = f"date_diff('{unit}', TIMESTAMP '1969-12-29', date_trunc('{unit}', {moved}))"
    if unit != "week":
        number = f"date_diff('{unit}', TIMESTAMP '1970-01-01', {moved})"
    inside = f"{time} >= {start} AND {time} < {end}"
    if offset:
        inside = f"{moved} >= {start} AND {moved} < {end}"
    return f"CASE WHEN {inside} THEN {number} END"


def _column(name: str | None) -> str:
    """Write the SQL of a column; 0 where there is none."""
    return "0" if name is None else f'"{name}"'


def _position(dimensions: Sequence[Dimension]) -> str:
    """Write the SQL of the position in the domain; NULL outside of it."""
    position = "0"
    for dimension in dimensions:
        text = f"{_column(dimension.column)}::VARCHAR"
        cases = " ".join(
            f"WHEN {text} IN ({', '.join(repr(member) for member in members)}) THEN {label}"
            for label, members in enumerate(dimension.members)
            if members
        )
        other = (
            f"WHEN {text} IS NOT NULL THEN {dimension.labels.index(dimension.other)}"
            if dimension.other
            else ""
        )
        missing = (
            f"WHEN {text} IS NULL THEN {dimension.labels.index(dimension.missing)}"
            if dimension.missing
            else ""
        )
        position = f"({position} * {dimension.size} + CASE {cases} {other} {missing} END)"
    return position
