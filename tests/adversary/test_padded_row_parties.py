"""Several row parties with padding: what is counted of each tells no more than was declared.

The aggregator has everything of one padded view, and sees the rows of each row party apart, in one
order of cells. About each of many people a coin says whether they are in the tables: in those of
all parties, or in one row party's alone. It guesses by whatever it can count in cells, and may be
right as often as the view's epsilon and delta allow.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adversary.padded import Counts, parts_of, with_one_number_each
from tests.adversary.padded_several import AREAS, BOUNDS, JOIN, SHARDS, Game, study_of
from tests.adversary.planted import dummies
from tests.adversary.recorder import Thing
from tests.sizes import first, slow, thorough

NAMES = ("north", "south")
COLUMN = "column"
STUDY = study_of({"parties": [{"name": name} for name in NAMES]}, {}, BOUNDS)


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


KINDS = {"everywhere": (*NAMES, COLUMN), "north": ("north",), "south": ("south",)}
GAME = Game(STUDY, KINDS, NAMES, (COLUMN,), by_cell)


@thorough
@pytest.mark.parametrize("runs", first(1, [1, 4], slow))
def test_what_is_counted_of_each_row_party_shows_no_more_than_was_declared(
    runs: int, tmp_path: Path
) -> None:
    assert GAME.found(tmp_path, runs) == set()


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
    assert GAME.found(tmp_path) == expected
