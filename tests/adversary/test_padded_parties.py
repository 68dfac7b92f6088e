"""Several column parties with padding: whose flags a row meets tells no more than was declared.

The aggregator has everything of one padded view, and sees of which column parties every row meets
flags. About each of many people a coin says whether they are in the tables: in the row party's
alone, in one column party's too, or in both. It guesses by whatever it can count in cells, and may
be right as often as the view's epsilon and delta allow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adversary.padded import Counts, parts_of, with_one_number_each
from tests.adversary.padded_several import AREAS, BOUNDS, JOIN, Game, study_of
from tests.adversary.planted import dummies
from tests.adversary.recorder import Thing
from tests.sizes import first, slow, thorough

NAMES = ("jal", "hac")
STUDY = study_of({}, {"parties": [{"name": name, **BOUNDS} for name in NAMES]}, {"rows": 1})


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


KINDS = {
    "jal": ("row", "jal"),
    "hac": ("row", "hac"),
    "both": ("row", "jal", "hac"),
    "none": ("row",),
}
GAME = Game(STUDY, KINDS, ("row",), NAMES, by_cell)


@slow
@pytest.mark.parametrize("runs", first(1, [1, 4], slow))
def test_of_which_parties_a_row_met_flags_shows_no_more_than_was_declared(
    runs: int, tmp_path: Path
) -> None:
    assert GAME.found(tmp_path, runs) == set()


@thorough
def test_where_no_dummies_meet_two_parties_codeshares_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dummies.none_for_rows_of_two_parties(monkeypatch)
    assert GAME.found(tmp_path) == {"both"}
