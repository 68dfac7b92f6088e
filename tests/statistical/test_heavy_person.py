"""One person who does all that could count too often moves no more than the study declares.

It is a study of the form of those that are shipped: phone numbers, dwell times, and windows around
departure and arrival by route and direction. The person is added to tables of others.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from tests.sizes import first
from tests.statistical.auditor import (
    AREAS,
    HIERARCHY,
    START,
    coefficients,
    dimension,
    note_people,
    taken_in,
    write,
)
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.period import Period
from xstat_ray.model.study import Bounds, ColumnSide, Privacy, RowSide, Study, Window
from xstat_ray.planning.plan import make_plan

HOURS = 72
LEGS = ("CTS-KUH", "KUH-CTS", "OKD-KUH", "KUH-OKD")
WINDOWS = (
    Window("departure", (-7200, -3600), ("d-2", "d-1")),
    Window("arrival", (3600, 7200), ("a+1", "a+2")),
)
Tables = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def study(per_column: int, spread: bool) -> Study:
    columns = (
        Dimension("route", "leg", ("CTS", "OKD"), (LEGS[:2], LEGS[2:])),
        Dimension("direction", "leg", ("to", "from"), (LEGS[::2], LEGS[1::2])),
    )
    return Study(
        "heavy",
        RowSide("id", (dimension("area", AREAS, HIERARCHY),), time="at", weight="dwell"),
        ColumnSide("id", columns, windows=WINDOWS, offset_dimension=spread),
        id_form="phone",
        id_region="JP",
        period=Period("hour", START, START + timedelta(hours=HOURS)),
        bounds=Bounds(boardings=2, per_column=per_column, persons=20),
        privacy=Privacy(noise="off", mechanism="tree"),
    )


def spelled(person: int, form: int) -> str:
    """Write a phone number in one of six ways."""
    number = f"{10000000 + person}"
    return (
        f"+8190{number}",
        f"090-{number[:4]}-{number[4:]}",
        f"090{number}",
        f" +81 90 {number[:4]} {number[4:]} ",
        f"０９０-{number[:4]}-{number[4:]}",
        f"+81(0)90{number}",
    )[form % 6]


def at(hour: int) -> datetime:
    return START + timedelta(hours=hour, minutes=7)


Spell = Callable[[int], int]
"""The form in which the n-th row of the person writes the id."""


def once(number: int) -> int:
    return 0


def everywhere(number: int) -> int:
    return number


def stays(person: int, area: Callable[[int], int], spell: Spell = once, many: int = 1) -> list[Any]:
    """Make rows of a person in every hour, in so many areas."""
    return [
        (spelled(person, spell(hour + n)), at(hour), f"area{(area(hour) + n) % AREAS}", 300.0)
        for hour in range(HOURS)
        for n in range(many)
    ]


def flights(person: int, hours: range, legs: tuple[str, ...], spell: Spell = once) -> list[Any]:
    """Make boardings of a person, one leg after the other, each an hour long."""
    return [
        (spelled(person, spell(n)), at(hour), at(hour + 1), legs[n % len(legs)])
        for n, hour in enumerate(hours)
    ]


DAY = range(4, HOURS - 4, 8)
SAME = LEGS[:1]
BACK = LEGS[:2]
TO = LEGS[::2]
HEAVY: dict[str, Tables] = {
    "flights in one column": (stays(0, lambda h: 3), flights(0, DAY, SAME)),
    "windows that overlap": (stays(0, lambda h: 3), flights(0, range(3, 68), BACK)),
    "six spellings": (stays(0, lambda h: 3, everywhere), flights(0, DAY, SAME, everywhere)),
    "equal stays in five areas": (
        stays(0, lambda h: h % AREAS, everywhere, many=5),
        flights(0, DAY, BACK, everywhere),
    ),
    "every row twice": (stays(0, lambda h: 3) * 2, flights(0, DAY, BACK) * 3),
    "out and back": (stays(0, lambda h: 3), flights(0, DAY, BACK)),
    "two routes, one direction": (stays(0, lambda h: 3), flights(0, DAY, TO)),
    "two flights in one column": (stays(0, lambda h: 3), flights(0, range(4, 20, 8), SAME)),
}


def others() -> Tables:
    """Make people who move about, each with a flight."""
    rows = [row for person in range(1, 5) for row in stays(person, lambda h, p=person: p + h // 5)]
    boardings = [
        flight
        for person in range(1, 5)
        for flight in flights(person, range(5 * person, 5 * person + 1), LEGS[person - 1 :])
    ]
    return rows, boardings


def counted(made: Study, tables: Tables, folder: Path) -> list[NDArray[np.int64]]:
    """Count all levels, with the tables in any order."""
    shuffle = np.random.default_rng(len(tables[0]) + len(tables[1])).permutation
    names = (("id", "at", "area", "dwell"), ("id", "departure", "arrival", "leg"))
    arrow = []
    for columns, data in zip(names, tables, strict=True):
        ordered = [data[i] for i in shuffle(len(data)).tolist()]
        arrow.append(pa.table(dict(zip(columns, zip(*ordered, strict=True), strict=True))))
    paths = write((arrow[0], arrow[1]), folder)
    packing = make_plan(made, key_bits=2048).packing
    return coefficients(made, *taken_in(made, paths), packing)


@pytest.mark.parametrize(
    ("per_column", "spread"), first(2, [(1, True), (2, True), (1, False), (2, False)])
)
def test_nobody_moves_more_than_is_declared_and_somebody_as_much(
    per_column: int, spread: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study(per_column, spread)
    note_people(monkeypatch)
    rows, boardings = others()
    before = counted(made, (rows, boardings), tmp_path)
    moved = {}
    for name, (more_rows, more_boardings) in HEAVY.items():
        after = counted(made, (rows + more_rows, boardings + more_boardings), tmp_path)
        change = [a - b for a, b in zip(after, before, strict=True)]
        assert all((level >= 0).all() for level in change), name
        moved[name] = [(int(level.sum()), int((level**2).sum())) for level in change]
    most = np.max(list(moved.values()), axis=0)
    declared = SimpleNamespace(l1=2 * 4, m=per_column if spread else 4 * per_column)
    assert most.tolist() == [[declared.l1, declared.m * declared.l1]] * len(most), moved
    assert (made.person_units, made.slot_units) == (declared.l1, declared.m)
    assert made.sensitivity.l2_squared == declared.m * declared.l1
    # Somebody who only flies in one column is held to q flights there.
    single = moved["flights in one column"][0]
    assert single[0] == 4 * per_column
