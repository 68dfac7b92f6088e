"""Several column parties with padding: whose flags a row meets tells no more than was declared.

The aggregator has everything of one padded view, and sees of which column parties every row meets
flags. About each of many people a coin says whether they are in the tables: in the row party's
alone, in one column party's too, or in both. It guesses by whatever it can count in cells, and may
be right as often as the view's epsilon and delta allow.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
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
NAMES = ("jal", "hac")
JOIN = "roles/join.join."
KINDS: Mapping[str, tuple[str, ...]] = {
    "jal": ("row", "jal"),
    "hac": ("row", "hac"),
    "both": ("row", "jal", "hac"),
    "none": ("row",),
}
"""In whose tables people are of whom a coin says whether they are there."""
ALLOWED = chance(EPSILON, DELTA)
BOUNDS = {"boardings": DAYS, "per_column": DAYS, "persons": 2000}
STUDY = study(
    noise="laplace",
    areas=[f"a{number:03d}" for number in range(AREAS)],
    period={"grain": "date", "start": "2024-05-01", "end": f"2024-05-{1 + DAYS:02d}"},
    row={"time": "at"},
    column={"time": "at", "parties": [{"name": name, **BOUNDS} for name in NAMES]},
    bounds={"rows": 1},
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
    found: dict[str, dict[str, list[Any]]] = {name: {} for name in ("row", *NAMES)}
    for kind, names in KINDS.items():
        for cell in np.flatnonzero(there[kind]).tolist():
            for name in names:
                table = found[name]
                for day in range(DAYS):
                    table.setdefault("id", []).append(f"{kind} {cell}")
                    table.setdefault("at", []).append(dt.datetime(2024, 5, 1 + day, 3))
                    last = ("area", f"a{cell:03d}") if name == "row" else ("kind", "x")
                    table.setdefault(last[0], []).append(last[1])
    return {name: pa.table(table) for name, table in found.items()}


def played(there: Coins, folder: Path) -> Record:
    """Play a run with these people in one batch and two shards."""
    folder.mkdir()
    paths = {}
    for name, table in tables_of(there).items():
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(table, paths[name])
    plan = make_plan(STUDY, key_bits=KEY_BITS, shards=2, batch="release")
    row = paths.pop("row")
    with keys_at_hand(), Recorder("aggregator", "row").recording(NOBODY) as record:
        play(plan, row_table=row, column_table=paths, ledger=folder / "ledger")
    return record


def by_cell(things: list[Thing]) -> Counts:
    """Numbers of each cell that the aggregator had, and rows by the parties whose flags they met."""
    found = with_one_number_each(things, AREAS)
    joined: dict[str, list[Any]] = {}
    for thing in things:
        if thing.name.startswith(JOIN):
            joined.setdefault(thing.name.removeprefix(JOIN), []).append(thing.value)
    # What is recorded twice is kept once, where it came first: flags of the first party, then those
    # of the second.
    flags = [parts_of([tags]) for tags in joined["flags[0].tags"]]
    assert len(flags) == len(NAMES)
    met = np.zeros((1 << len(NAMES), AREAS), np.int64)
    for tags, cells in zip(joined["rows.tags"], joined["rows.cells"], strict=True):
        kind = np.zeros(len(cells), np.int64)
        for number, of_party in enumerate(flags):
            own = parts_of([np.ascontiguousarray(tags[:, 16 * number : 16 * number + 16])])
            kind |= np.isin(own, of_party).astype(np.int64) << number
        np.add.at(met, (kind, cells.astype(np.int64)), 1)
    found |= {f"met {kind}": numbers for kind, numbers in enumerate(met)}
    for number, name in enumerate(NAMES):
        found[f"met {name}"] = met[[kind for kind in range(len(met)) if kind >> number & 1]].sum(0)
    return found | {"met": met[1:].sum(axis=0), "rows": met.sum(axis=0)}


def games(folder: Path, runs: int = 1) -> dict[str, Guesses]:
    """Let the aggregator guess about the people of every cell."""
    draws: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for run in range(runs):
        throw = np.random.default_rng(run)
        there = {kind: throw.integers(0, 2, AREAS).astype(bool) for kind in KINDS}
        record = played(there, folder / str(run))
        counts = in_order(by_cell(record.of("aggregator")), order_of(record))
        for kind in KINDS:
            draws[kind] += drawn(counts, there[kind], range(AREAS))
    return {kind: guess_drawn(of_kind, runs * LEARN) for kind, of_kind in draws.items()}


def found(made: dict[str, Guesses]) -> set[str]:
    """The games in which the aggregator was right more often than was declared."""
    return {kind for kind, game in made.items() if game.beat(ALLOWED, searched=len(made))}


@slow
@pytest.mark.parametrize("runs", first(1, [1, 4], slow))
def test_of_which_parties_a_row_met_flags_shows_no_more_than_was_declared(
    runs: int, tmp_path: Path
) -> None:
    assert found(games(tmp_path, runs)) == set()


@thorough
def test_where_no_dummies_meet_two_parties_codeshares_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dummies.none_for_rows_of_two_parties(monkeypatch)
    assert found(games(tmp_path)) == {"both"}
