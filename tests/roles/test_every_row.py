"""Every row of a table is kept, or counted for the one reason for which it was dropped.

The reasons are found once more row by row, without the intake, for tables in which all of them
occur.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.case import study
from tests.roles.pair import agreed_pair
from tests.sizes import first
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import ColumnParty, RowParty

START = dt.datetime(2024, 5, 1)
HOURS = 4
BOUND = 2
OPTED_OUT = "gone"
PEOPLE = ["a", "B ", OPTED_OUT, "nan", "", None, "9.01E+05"]
NOBODY = {"nan", "", None, "9.01E+05"}
AREAS = ["here", "there", "elsewhere", None]
GOOD = ("a", 0, "here", 1)

rows_of_a_table = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.none() | st.integers(-1, HOURS),
        st.sampled_from(AREAS),
        st.integers(0, 3),
    ),
    max_size=40,
)


def make_study(weighted: bool) -> Study:
    return study(
        areas=("here", "there"),
        id="text",
        period={"grain": "hour", "start": START.isoformat(), "end": f"2024-05-01T0{HOURS}:00"},
        row={"time": "at", **({"weight": "w"} if weighted else {})},
        column={
            "time": "at",
            "dimensions": [{"name": "kind", "column": "area", "values": ["here"]}],
        },
        bounds={"rows": BOUND, "boardings": BOUND, "persons": 100},
    )


def write(folder: Path, rows: list[Any], layout: str) -> Path:
    columns = dict(zip(("id", "at", "area", "w"), zip(*rows, strict=True), strict=True))
    at = [None if hour is None else START + dt.timedelta(hours=hour) for hour in columns["at"]]
    table = pa.table(
        {
            "id": pa.array(columns["id"], pa.string()),
            "at": pa.array(at, pa.timestamp("us")),
            "area": pa.array(columns["area"], pa.string()),
            "w": pa.array(columns["w"], pa.float64()),
        }
    )
    if layout == "csv":
        pa_csv.write_csv(table, folder / "table.csv")
        return folder / "table.csv"
    if layout == "sorted":
        table = table.sort_by([("id", "ascending")])
    pq.write_table(table, folder / "table.parquet", row_group_size=7)
    return folder / "table.parquet"


def accounts(rows: list[Any], weighted: bool) -> Counter[str]:
    """What becomes of the row party's rows, found row by row."""
    found = Counter[str]()
    groups = defaultdict[Any, Counter[str]](Counter)
    for person, hour, area, _ in rows:
        if person in NOBODY:
            found["invalid_id"] += 1
        elif person == OPTED_OUT:
            found["excluded"] += 1
        elif hour is None or not 0 <= hour < HOURS:
            found["outside_span"] += 1
        elif area not in ("here", "there"):
            found["outside_domain"] += 1
        else:
            groups[person, hour][area] += 1
    for cells in groups.values():
        merged = cells.total() - len(cells) if weighted else 0
        kept = min(BOUND, cells.total() - merged)
        found["merged"] += merged
        found["kept"] += kept
        found["over_bound"] += cells.total() - merged - kept
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "list.csv").write_text(f"id\n{OPTED_OUT.upper()}\n")
    return folder


def parties(study: Study, folder: Path, path: Path) -> tuple[RowParty, ColumnParty]:
    row, column = agreed_pair(study, path, path)
    for party in (row, column):
        party._source = Source(path, folder / "list.csv")
        party.intake()
    return row, column


@pytest.mark.parametrize("layout", ["csv", "parquet", "sorted"])
@pytest.mark.parametrize("weighted", first(1, [True, False]))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_a_table)
def test_every_row_is_counted_for_its_one_reason(
    folder: Path, layout: str, weighted: bool, rows: list[Any]
) -> None:
    rows = [GOOD, *rows]
    study = make_study(weighted)
    row, column = parties(study, folder, write(folder, rows, layout))
    grid = make_plan(study, key_bits=2048, shards=3).grid
    row.prepare(grid)
    for batch in range(len(grid.batches)):
        row._loaded(batch)
    counts = row.counts.as_dict()
    assert counts.pop("persons") == len({r[0] for r in rows} - NOBODY - {OPTED_OUT})
    assert counts.pop("rows") == len(rows) == sum(counts.values())
    assert {name: number for name, number in counts.items() if number} == +accounts(rows, weighted)
    # The column party's, whose bounds have an oracle of their own in SQL.
    counts = column.counts.as_dict()
    del counts["persons"]
    assert counts.pop("rows") == len(rows) == sum(counts.values())
    expected = accounts(rows, weighted)
    for reason in ("invalid_id", "excluded"):
        assert counts[reason] == expected[reason]


def test_a_row_that_is_lost_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault planted: rows that are merged are counted as kept."""
    study = make_study(True)
    row, _ = parties(study, folder, write(folder, [GOOD, GOOD], "parquet"))
    row.prepare(make_plan(study, key_bits=2048, shards=1).grid)
    row._loaded(0)
    for emitted in row._record.emitted.values():
        emitted.kept += emitted.merged
    counts = row.counts.as_dict()
    assert {name: counts[name] for name in ("kept", "outside_span")} == {
        "kept": 2,
        "outside_span": -1,
    }
