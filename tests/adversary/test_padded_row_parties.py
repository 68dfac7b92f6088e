"""Several row parties with padding: what is counted of each tells no more than was declared.

The aggregator has everything of one padded view, and sees the rows of each row party apart, in one
order of cells. About each of many people a coin says whether they are in the tables: in those of
all parties, or in one row party's alone. It guesses by whatever it can count in cells, and may be
right as often as the view's epsilon and delta allow.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.adversary.criterion import Guesses, chance, guess_drawn
from tests.adversary.padded import (
    Counts,
    drawn,
    in_order,
    order_of,
    parts_of,
    with_one_number_each,
)
from tests.adversary.planted import dummies
from tests.adversary.recorder import NOBODY, Record, Recorder, Thing
from tests.case import study
from tests.several import KEY_BITS, keys_at_hand
from tests.sizes import first, slow, thorough
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play

AREAS = 136
DAYS = 2
EPSILON = 1.0
DELTA = 0.01
LEARN = 8
SHARDS = 2
NAMES = ("north", "south")
COLUMN = "column"
JOIN = "roles/join.join."
KINDS: Mapping[str, tuple[str, ...]] = {
    "everywhere": (*NAMES, COLUMN),
    "north": ("north",),
    "south": ("south",),
}
"""In whose tables people are of whom a coin says whether they are there."""
ALLOWED = chance(EPSILON, DELTA)
STUDY = study(
    noise="laplace",
    areas=[f"a{number:03d}" for number in range(AREAS)],
    period={"grain": "date", "start": "2024-05-01", "end": f"2024-05-{1 + DAYS:02d}"},
    row={"time": "at", "parties": [{"name": name} for name in NAMES]},
    column={"time": "at"},
    bounds={"boardings": DAYS, "per_column": DAYS, "persons": 2000},
    privacy={
        "mechanism": "flat",
        "padding": "dp",
        "view": {"epsilon": EPSILON, "delta": DELTA},
        "cap": 100,
    },
)
Coins = Mapping[str, NDArray[np.bool_]]
"""(cells,) whether there is somebody of each kind in each cell."""


def tables_of(there: Coins) -> dict[str, pa.Table]:
    """Tables in which these people are on all days."""
    found: dict[str, dict[str, list[Any]]] = {name: {} for name in (*NAMES, COLUMN)}
    for kind, names in KINDS.items():
        for cell in np.flatnonzero(there[kind]).tolist():
            for name in names:
                table = found[name]
                for day in range(DAYS):
                    table.setdefault("id", []).append(f"{kind} {cell}")
                    table.setdefault("at", []).append(dt.datetime(2024, 5, 1 + day, 3))
                    last = ("kind", "x") if name == COLUMN else ("area", f"a{cell:03d}")
                    table.setdefault(last[0], []).append(last[1])
    return {name: pa.table(table) for name, table in found.items()}


def played(there: Coins, folder: Path) -> Record:
    """Play a run with these people in one batch and two shards."""
    folder.mkdir()
    paths = {}
    for name, table in tables_of(there).items():
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(table, paths[name])
    plan = make_plan(STUDY, key_bits=KEY_BITS, shards=SHARDS, batch="release")
    column = paths.pop(COLUMN)
    with keys_at_hand(), Recorder("aggregator", "north").recording(NOBODY) as record:
        play(plan, row_table=paths, column_table=column, ledger=folder / "ledger")
    return record


def by_cell(things: list[Thing]) -> Counts:
    """Numbers of each cell that the aggregator had, and rows of each row party that met flags."""
    found = with_one_number_each(things, AREAS)
    joined: dict[str, list[Any]] = {}
    for thing in things:
        if thing.name.startswith(JOIN):
            joined.setdefault(thing.name.removeprefix(JOIN), []).append(thing.value)
    # What is recorded twice is kept once: the flags for either row party, in turn, and its shards.
    flags = joined["flags[0].tags"]
    rows = list(zip(joined["rows.tags"], joined["rows.cells"], strict=True))
    assert len(flags) == len(NAMES) and len(rows) == SHARDS * len(NAMES)
    for number, name in enumerate(NAMES):
        for kind in ("met", "unmet"):
            found[f"{kind} {name}"] = np.zeros(AREAS, np.int64)
        for tags, cells in rows[SHARDS * number : SHARDS * (number + 1)]:
            met = np.isin(parts_of([tags]), parts_of([flags[number]]))
            found[f"met {name}"] += np.bincount(cells[met], minlength=AREAS)
            found[f"unmet {name}"] += np.bincount(cells[~met], minlength=AREAS)
    for kind in ("met", "unmet"):
        of_rows = [found[f"{kind} {name}"] for name in NAMES]
        found[kind] = sum(of_rows)
        found[f"{kind} by both"] = np.minimum(*of_rows)
        found[f"{kind} more by north"] = of_rows[0] - of_rows[1]
    return found | {"rows": found["met"] + found["unmet"]}


def games(folder: Path, runs: int = 1) -> dict[str, Guesses]:
    """Let the aggregator guess about the people of every cell."""
    draws: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for run in range(runs):
        throw = np.random.default_rng(run)
        there = {kind: throw.integers(0, 2, AREAS).astype(bool) for kind in KINDS}
        record = played(there, folder / str(run))
        counts = in_order(by_cell(record.of("aggregator")), order_of(record, "north"))
        for kind in KINDS:
            draws[kind] += drawn(counts, there[kind], range(AREAS))
    return {kind: guess_drawn(of_kind, runs * LEARN) for kind, of_kind in draws.items()}


def found(made: dict[str, Guesses]) -> set[str]:
    """The games in which the aggregator was right more often than was declared."""
    return {kind for kind, game in made.items() if game.beat(ALLOWED, searched=len(made))}


@thorough
@pytest.mark.parametrize("runs", first(1, [1, 4], slow))
def test_what_is_counted_of_each_row_party_shows_no_more_than_was_declared(
    runs: int, tmp_path: Path
) -> None:
    assert found(games(tmp_path, runs)) == set()


@thorough
@pytest.mark.parametrize(
    ("leak", "expected"),
    [
        (dummies.none_among_the_rows_of_further_row_parties, {"everywhere", "south"}),
        (dummies.none_for_rows_that_meet_flags, {"everywhere"}),
    ],
)
def test_where_dummies_are_left_out_people_are_counted(
    leak: Callable[[pytest.MonkeyPatch], None],
    expected: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leak(monkeypatch)
    assert found(games(tmp_path)) == expected
