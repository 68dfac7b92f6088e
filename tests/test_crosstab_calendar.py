"""A cross-tab by week, month and year counts what a join in the clear by date_trunc counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import oracle
from tests.case import Case, study, use_key
from xstat_ray.crypto.keygen import generate

SPAN = {"start": "2023-01-02", "end": "2024-04-29", "timezone": "UTC"}
MONTHS = {"start": "2023-01-01", "end": "2024-01-01", "timezone": "UTC"}


@pytest.fixture(scope="module")
def key():
    return generate(2048)


@pytest.fixture
def tables(tmp_path, key, monkeypatch):
    """Forty people, each with rows and a boarding on days of sixteen months."""
    use_key(key, monkeypatch.setattr)
    rng = np.random.default_rng(11)
    day = 86_400 * 10**6
    first = 19_340 * day

    def at(number):
        times = first + rng.integers(0, 500, number) * day + rng.integers(0, day, number)
        return pa.array(times, pa.timestamp("us"))

    case = Case(tmp_path)
    ids = [f"p{number}" for number in range(40)]
    # One boarding each, as of several in one period a party draws one.
    people = {"row": rng.choice(ids, 2000), "column": np.array(ids)}
    for role, name, labels in (("row", "area", "ab"), ("column", "kind", "xy")):
        number = len(people[role])
        values = rng.choice(list(labels), number)
        table = pa.table({"id": people[role], "at": at(number), name: values})
        pq.write_table(table, case.tables[role])
    return case


@pytest.mark.parametrize(
    ("grain", "span", "window"),
    [
        ("week", SPAN, None),
        ("month", SPAN, None),
        ("year", SPAN, None),
        ("week", SPAN, {"unit": "week", "from": -1, "to": 1}),
        ("month", MONTHS, {"unit": "month", "from": -1, "to": 1}),
    ],
)
def test_counts_by_the_calendar(tables, grain, span, window):
    column = {"time": "at"} if window is None else {"windows": [{"anchor": "at", **window}]}
    made = study(
        row={"time": "at"},
        column=column,
        period={"grain": grain, **span},
        bounds={"rows": 400, "boardings": 1, "persons": 40},
    )
    release = tables.run(made)
    noisy = np.array(release.statistics["noisy"].to_pylist()).reshape(made.cells, made.slots)
    expected = oracle.count(made, *(pq.read_table(tables.tables[r]) for r in ("row", "column")))
    assert expected.sum() > 20
    assert (noisy == expected).all()
