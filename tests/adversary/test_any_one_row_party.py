"""Several row parties: any one role against all the others, in one run for sixty people at once.

A coin for each of them throws what the role may not learn: whether that person is in another's
table, where another row party has that person, whose customer that person is, or what that person
paid. The role has the same people in its table, and everything that it receives, holds and
computes; nothing is published that tells one coin, though there is no noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.adversary.attributes import readings
from tests.adversary.matching import learnt, namings
from tests.adversary.matrices import namings_of_matrices
from tests.adversary.people import NUMBERS, in_turn
from tests.adversary.planted import matrices, united
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.recorder import NOBODY, Record, Recorder
from tests.adversary.test_any_one_role import MOST, flags
from tests.case import study
from tests.several import KEY_BITS, keys_at_hand
from tests.sizes import first, slow, thorough
from xstat_ray.crypto import oprf
from xstat_ray.model.messages import Flags, Rows
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play
from xstat_ray.roles import Aggregator

ROWS = ("north", "south", "coast")
COLUMNS = ("jal", "hac")
ASKED = 60
Parties = tuple[int, int]
"""Numbers of row parties and column parties."""
Tables = dict[str, Mapping[str, list[Any]]]
Leak = Callable[[pytest.MonkeyPatch], None]


def study_of(parties: Parties) -> Study:
    """Make a study of areas by kinds, with fares."""
    rows, columns = parties
    column: dict[str, Any] = {"measures": [{"name": "fare", "low": 0, "high": MOST}]}
    if columns > 1:
        column["parties"] = [{"name": name, "persons": 200} for name in COLUMNS[:columns]]
    return study(
        row={"parties": [{"name": name} for name in ROWS[:rows]]},
        column=column,
        bounds=None if columns > 1 else {"persons": 200},
    )


@dataclass(frozen=True)
class Game:
    """All tables, and what a role is to find out about the people in its own."""

    tables: Tables
    truth: frozenset[bytes]
    """Those whose coin is one."""
    hidden: frozenset[str]
    """Parties that know by their own tables."""


class Made:
    """The tables of a game in the making: everybody is in all of them, by default."""

    def __init__(self, parties: Parties) -> None:
        draw = np.random.default_rng(sum(parties))
        self._draw = draw
        pool = draw.permutation(NUMBERS).tolist()
        self.asked: list[str] = pool[:ASKED]
        self.strangers: list[str] = pool[ASKED:]
        self.coin = draw.integers(0, 2, ASKED).astype(bool)
        declared = study_of(parties)
        self.rows = [terms.name for terms in declared.row_parties]
        self.columns = [terms.name for terms in declared.column_parties]
        self.tables: Tables = {name: self.of_rows(self.asked) for name in self.rows}
        self.tables |= dict.fromkeys(self.columns, flags(self.asked, "x"))

    def mixed(self, people: Sequence[Any]) -> list[Any]:
        """The same in another order."""
        return [people[place] for place in self._draw.permutation(len(people))]

    def some(self, number: int) -> list[str]:
        """Those with this coin, and strangers for the others."""
        some = [p for p, coin in zip(self.asked, self.coin, strict=True) if coin == number]
        return self.mixed(some + self.strangers[: ASKED - len(some)])

    def of_rows(self, people: Sequence[str]) -> Mapping[str, list[Any]]:
        """A row party's table, with areas in turn."""
        return {"id": list(people), "area": in_turn("ab", len(people))}

    def game(self, *hidden: str) -> Game:
        """Make the game of it."""
        pairs = zip(self.asked, self.coin, strict=True)
        truth = frozenset(person.encode() for person, coin in pairs if coin)
        return Game(self.tables, truth, frozenset(hidden))


def who(parties: Parties, hidden: str) -> Game:
    """Who is in a party's table."""
    made = Made(parties)
    some = made.some(1)
    made.tables[hidden] = flags(some, "x") if hidden in made.columns else made.of_rows(some)
    return made.game(hidden)


def where(parties: Parties, hidden: str) -> Game:
    """In which of two areas a row party has everybody. Column parties know half of them."""
    made = Made(parties)
    pairs = made.mixed(list(zip(made.asked, np.where(made.coin, "a", "b").tolist(), strict=True)))
    people, areas = zip(*pairs, strict=True)
    made.tables[hidden] = {"id": list(people), "area": list(areas)}
    known = flags(made.asked[: ASKED // 2], "x")
    made.tables |= dict.fromkeys(made.columns[1:], known)
    return made.game(hidden)


def whose(parties: Parties, *_: str) -> Game:
    """Whether the first row party or the second one has a person; each has strangers beside."""
    made = Made(parties)
    for number, name in ((1, "north"), (0, "south")):
        made.tables[name] = made.of_rows(made.some(number))
    return made.game("north", "south")


def paid(parties: Parties, *_: str) -> Game:
    """Who has paid nothing, and who as much as may be."""
    made = Made(parties)
    fares = np.where(made.coin, MOST, 0).tolist()
    pairs = made.mixed(list(zip(made.asked, fares, strict=True)))
    people, fares = (list(of_all) for of_all in zip(*pairs, strict=True))
    made.tables |= dict.fromkeys(made.columns, flags(people, "x", fares))
    return made.game(*made.columns)


Question = Callable[[Parties, str], Game]


def recorded(parties: Parties, tables: Tables, folder: Path, *roles: str) -> Record:
    """Play a run; returns what these roles had."""
    declared = study_of(parties)
    paths = {name: folder / f"{name}.parquet" for name in tables}
    for name, columns in tables.items():
        pq.write_table(pa.table(dict(columns)), paths[name])
    rows = {terms.name: paths[terms.name] for terms in declared.row_parties}
    columns = {terms.name: paths[terms.name] for terms in declared.column_parties}
    plan = make_plan(declared, key_bits=KEY_BITS)
    with keys_at_hand(), Recorder(*roles).recording(NOBODY) as record:
        play(plan, row_table=rows, column_table=columns, ledger=folder / "ledger")
    return record


def told(question: Question, parties: Parties, hidden: str, folder: Path) -> set[str]:
    """The roles that find it out of more people than by chance."""
    game = question(parties, hidden)
    roles = [name for name in (*game.tables, "aggregator") if name not in game.hidden]
    record = recorded(parties, game.tables, folder, *roles)
    people = frozenset(person.encode() for person in Made(parties).asked)
    found = set()
    for role in roles:
        things = record.of(role)
        assert things
        ways = [*namings(things, people), *namings_of_matrices(things, people)]
        if learnt([*ways, *readings(things, people)], game.truth)[1]:
            found.add(role)
    return found


CASES = [
    (where, (2, 1), "south"),
    (whose, (2, 1), ""),
    (where, (3, 1), "north"),
    (paid, (2, 1), ""),
    (who, (3, 2), "south"),
    (where, (3, 2), "coast"),
    (whose, (3, 2), ""),
    (who, (3, 2), "jal"),
    (paid, (3, 2), ""),
]
"""What is asked, of how many parties, and whose table is hidden."""


@thorough
@pytest.mark.parametrize(("question", "parties", "hidden"), first(1, CASES, slow))
def test_no_role_finds_out_what_another_table_says_of_its_people(
    question: Question, parties: Parties, hidden: str, tmp_path: Path
) -> None:
    assert told(question, parties, hidden, tmp_path) == set()


def without_pads(patch: pytest.MonkeyPatch) -> None:
    """Matrices of the ID exchange hide nothing."""
    replace_everywhere(patch, oprf.hidden, matrices.without_pads)


LEAKS: list[tuple[Leak, Question, Parties, str, set[str]]] = [
    (united.row_parties_tell_column_parties, where, (2, 1), "south", {"column"}),
    (united.row_parties_tell_the_first, where, (2, 1), "south", {"north"}),
    (united.the_first_tells_row_parties, where, (3, 1), "north", {"south", "coast"}),
    (united.row_parties_tell_column_parties, whose, (2, 1), "", {"column"}),
    (united.row_parties_tell_the_first, who, (2, 1), "south", {"north"}),
    (united.column_parties_tell_row_parties, paid, (3, 1), "", {"south", "coast"}),
    (without_pads, whose, (2, 1), "", {"column"}),
    (without_pads, who, (3, 2), "jal", {"north", "south", "coast"}),
]


@thorough
@pytest.mark.parametrize(("leak", "question", "parties", "hidden", "roles"), first(1, LEAKS, slow))
def test_with_a_leak_it_does(
    leak: Leak,
    question: Question,
    parties: Parties,
    hidden: str,
    roles: set[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leak(monkeypatch)
    assert told(question, parties, hidden, tmp_path) == roles


@dataclass
class Seen:
    """What the aggregator counts, by row party."""

    rows: dict[str, list[int]]
    """Rows of each blinded cell."""
    matched: dict[str, int]
    """Rows that met a flag."""


def seen(parties: Parties, tables: Tables, folder: Path, patch: pytest.MonkeyPatch) -> Seen:
    """Play a run; returns what the aggregator counts of what it joins."""
    declared = study_of(parties)
    views: dict[str, None] = {}
    found = Seen({}, {})
    honest = Aggregator.join

    def join(self: Aggregator, rows: Rows, *of_flags: Flags) -> Any:
        made = honest(self, rows, *of_flags)
        views[rows.view] = None
        name = declared.row_parties[list(views).index(rows.view)].name
        found.rows[name] = np.bincount(rows.cells, minlength=2).tolist()
        found.matched[name] = len(made.flags)
        return made

    with patch.context() as inside:
        inside.setattr(Aggregator, "join", join)
        recorded(parties, tables, folder, "nobody")
    return found


@thorough
def test_the_aggregator_can_compare_the_cells_and_the_matches_of_row_parties(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is what it learns beside the sizes of a table of one row party."""
    made = Made((2, 1))
    for name, areas in (("north", "aab"), ("south", "abb")):
        people = made.asked[:30] + made.strangers[:30]
        made.tables[name] = {"id": people, "area": in_turn(areas, len(people))}
    made.tables["north"] = {"id": made.asked, "area": in_turn("aab", ASKED)}
    found = seen((2, 1), made.tables, tmp_path, monkeypatch)
    north = found.rows["north"]
    south = found.rows["south"]
    assert sorted(north) == sorted(south) == [20, 40]
    assert north == south[::-1]
    assert found.matched == {"north": 60, "south": 30}
