"""What a study declares of one person's flags and rows is reached, and never exceeded.

The column party takes in a table in which people board in every possible way, several of each, so
that its draws turn out one way and another. What it makes of each person is compared with the
study's figures, for all small bounds, windows and spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement, product
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.roles.pair import agreed_pair, exchanged_pair
from tests.sizes import thorough
from tests.statistical.auditor import SECRET, dimension
from xstat_ray.model.period import Period
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Bounds, ColumnSide, RowSide, Study, Window
from xstat_ray.roles import column_party

START = datetime(2024, 5, 1, tzinfo=UTC)
ALIKE = 5
"""People who board in the same way, and for whom other draws are made."""
BUSY = 40
"""People who board everywhere at once."""
Boarding = tuple[int, tuple[int, ...]]
"""A kind, and an hour for each anchor."""


class Shape(NamedTuple):
    """What decides how much one person can move."""

    boardings: int
    per_column: int
    window: tuple[tuple[int, ...], ...]
    """Hours from each anchor."""
    hours: int
    kinds: int
    spread: bool


def study_of(shape: Shape) -> Study:
    windows = tuple(
        Window(f"at{n}", tuple(3600 * hour for hour in offsets), tuple(f"{n}{o}" for o in offsets))
        for n, offsets in enumerate(shape.window)
    )
    return Study(
        "reached",
        RowSide("id", (dimension("area", 2),), time="at"),
        ColumnSide(
            "id",
            (dimension("kind", shape.kinds),),
            time=None if windows else "at0",
            windows=windows,
            offset_dimension=shape.spread,
        ),
        period=Period("hour", START, START + timedelta(hours=shape.hours)),
        bounds=Bounds(boardings=shape.boardings, per_column=shape.per_column),
    )


def ways(shape: Shape) -> list[Boarding]:
    """List all ways to board once that count in the study."""
    anchors = [
        range(-max(offsets), shape.hours - min(offsets)) for offsets in shape.window or ((0,),)
    ]
    return [(kind, at) for kind in range(shape.kinds) for at in product(*anchors)]


def people(shape: Shape) -> Iterator[Sequence[Boarding]]:
    """List the boardings of each person."""
    for some in combinations_with_replacement(ways(shape), shape.boardings):
        yield from [some] * ALIKE
    yield from [ways(shape)] * BUSY


def write(table: Iterable[Sequence[Boarding]], anchors: int, folder: Path) -> tuple[Path, Path]:
    """Write the tables of both parties; nobody is in the row party's."""
    listed = [(number, *boarding) for number, of_one in enumerate(table) for boarding in of_one]
    columns = {
        "id": [f"p{number}" for number, _, _ in listed],
        "kind": [f"kind{kind}" for _, kind, _ in listed],
    }
    for anchor in range(anchors):
        columns[f"at{anchor}"] = [
            START + timedelta(hours=at[anchor], minutes=7) for _, _, at in listed
        ]
    pq.write_table(pa.table(columns), folder / "column.parquet")
    pq.write_table(
        pa.table({"id": ["nobody"], "at": [START], "area": ["area0"]}), folder / "row.parquet"
    )
    return folder / "row.parquet", folder / "column.parquet"


def most(shape: Shape, folder: Path) -> tuple[int, int, int]:
    """Find the most flags of a person, of a person in one column, and the largest sum of squares."""
    study = study_of(shape)
    tables = write(people(shape), len(shape.window) or 1, folder)
    _, column = agreed_pair(study, *tables, SECRET)
    column.intake()
    met = np.zeros((column._person.max() + 1, study.slots), np.int64)
    np.add.at(met, (column._person, column._slot), 1)
    return int(met.sum(axis=1).max()), int(met.max()), int((met**2).sum(axis=1).max())


def declared(shape: Shape) -> tuple[int, int, int]:
    sensitivity = study_of(shape).sensitivity
    assert sensitivity.rows == 1 and sensitivity.l2_squared == sensitivity.flags_squared
    assert sensitivity.l2_squared <= sensitivity.column_units * sensitivity.l1
    return sensitivity.flags, sensitivity.column_flags, sensitivity.flags_squared


NONE: tuple[tuple[int, ...], ...] = ()
ONE = ((0,),)
TWO = ((-1, 0),)
THREE = ((0, 1, 2),)
BOTH = ((-1,), (0, 1))
SHORT = [
    Shape(1, 1, NONE, 2, 1, True),
    Shape(3, 1, NONE, 3, 2, True),
    Shape(3, 2, ONE, 2, 2, True),
    Shape(3, 2, TWO, 9, 2, True),
    Shape(3, 2, TWO, 3, 2, False),
    Shape(3, 3, THREE, 5, 1, True),
    Shape(2, 1, THREE, 2, 1, True),
    Shape(2, 2, THREE, 5, 2, False),
    Shape(2, 1, BOTH, 3, 2, True),
]


@pytest.mark.parametrize("shape", SHORT, ids=str)
def test_one_person_has_as_many_flags_as_declared_and_no_more(shape: Shape, tmp_path: Path) -> None:
    assert most(shape, tmp_path) == declared(shape)


@thorough
@pytest.mark.parametrize(("boardings", "per_column"), list(product((1, 2, 3), (1, 2, 3))))
@pytest.mark.parametrize("window", [NONE, ONE, TWO, THREE, BOTH], ids=str)
def test_so_it_is_for_all_small_bounds_windows_and_spans(
    boardings: int, per_column: int, window: tuple[tuple[int, ...], ...], tmp_path: Path
) -> None:
    hours = (1, 2, 3) if window == BOTH else (1, 2, 3, 5, 9)
    for span, kinds, spread in product(hours, (1, 2), (True, False)):
        if boardings == 3 and window == BOTH and kinds == 2:
            continue  # Too many ways.
        shape = Shape(boardings, per_column, window, span, kinds, spread)
        assert most(shape, tmp_path) == declared(shape), shape


@pytest.mark.parametrize("window", [((0, 2),), ((0, 3),), ((0, 1, 3),)], ids=str)
@pytest.mark.parametrize("spread", [True, False])
def test_a_window_with_gaps_never_exceeds_what_is_declared(
    window: tuple[tuple[int, ...], ...], spread: bool, tmp_path: Path
) -> None:
    for hours in (1, 2, 3, 4, 5, 12):
        shape = Shape(2, 1, window, hours, 2, spread)
        found = most(shape, tmp_path)
        assert all(f <= d for f, d in zip(found, declared(shape), strict=True)), shape
    assert found == declared(shape)


def test_bounds_that_are_not_kept_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = column_party.bound_boardings
    shape = Shape(2, 1, TWO, 9, 3, True)
    exceeded = []
    for kept in (Bounds(boardings=3), Bounds(boardings=2, per_column=2)):
        monkeypatch.setattr(
            column_party,
            "bound_boardings",
            lambda person, column, _, words, kept=kept: bound(person, column, kept, words),
        )
        pairs = zip(most(shape, tmp_path), declared(shape), strict=True)
        exceeded.append([found > allowed for found, allowed in pairs])
    # Flags, flags in one column, sum of squares.
    assert exceeded == [[True, False, True], [False, True, True]]


def test_with_period_none_one_flag_takes_part_and_the_rest_are_counted_as_without(
    tmp_path: Path,
) -> None:
    study = study_of(Shape(3, 2, NONE, 1, 2, True))
    study = Study(
        "none",
        RowSide("id", study.row.dimensions),
        ColumnSide("id", study.column.dimensions),
        bounds=study.bounds,
    )
    boardings = [(0, (0,)), (0, (1,)), (0, (2,)), (1, (0,)), (1, (1,)), (1, (2,))]
    tables = write([boardings] * 4, 1, tmp_path)
    _, column = agreed_pair(study, *tables, SECRET)
    column.intake()
    counts = column.counts
    assert (counts.rows, counts.persons, counts.kept) == (24, 4, 4)
    # Of three in a column two are left, of these four in all three, and of these one has the flag.
    assert (counts.over_column_bound, counts.over_bound, counts.without_flag) == (8, 4, 8)
    assert len(np.unique(column._person)) == len(column._person) == 4
    assert study.person_units == study.slot_units == study.sensitivity.l2_squared == 1


@pytest.mark.parametrize(("rows", "cells"), [(1, 3), (2, 3), (3, 3), (5, 3), (5, 1)])
@pytest.mark.parametrize("weight", [True, False])
def test_one_person_has_as_many_rows_in_a_period_as_declared_and_no_more(
    rows: int, cells: int, weight: bool, tmp_path: Path
) -> None:
    study = Study(
        "rows",
        RowSide("id", (dimension("area", cells),), "at", "dwell" if weight else None),
        ColumnSide("id", (dimension("kind", 1),), time="at"),
        period=Period("hour", START, START + timedelta(hours=2)),
        bounds=Bounds(rows=rows, persons=10),
    )
    stays = [(hour, area) for hour in range(2) for area in range(cells) for _ in range(6)]
    table = {
        "id": ["p"] * len(stays),
        "at": [START + timedelta(hours=hour) for hour, _ in stays],
        "area": [f"area{area}" for _, area in stays],
        "dwell": [1.0] * len(stays),
    }
    pq.write_table(pa.table(table), tmp_path / "row.parquet")
    column = {"id": ["p"], "at": [START], "kind": ["kind0"]}
    pq.write_table(pa.table(column), tmp_path / "column.parquet")

    row, _ = exchanged_pair(
        SimpleNamespace(
            study=study, row=tmp_path / "row.parquet", column=tmp_path / "column.parquet"
        ),
        SECRET,
    )
    grid = ShardGrid.plan(study.cells, study.period.span, 1)
    row.prepare(grid)
    _, met = np.unique(row.emit(grid.shards[0]).tags, axis=0, return_counts=True)
    assert met.tolist() == [study.sensitivity.rows] * 2
    assert study.rows_per_flag == (min(rows, cells) if weight else rows)
