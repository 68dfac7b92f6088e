"""An audit of the aggregator's view, with padding, where there are two column parties.

It sees of which of them every row meets flags. Two inputs differ by one person with all that the
bounds allow: who is in all tables or in none, or who is in both column parties' tables or in one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.case import study as make_study
from tests.several import keys_at_hand, met_together
from tests.sizes import slow, thorough
from tests.statistical.view_audit import EPSILON, audit, half_the_scale, stocked
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.design import shown_tree
from xstat_ray.privacy.padding import Padding
from xstat_ray.protocol import agree, exchange_persons
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.blinding import Blinding
from xstat_ray.roles.dummies import FlagDummies, RowDummies

HOURS = 7
R = 2
W = 3
NAMES = ("jal", "hac")
SEED = b"r" * 32
"""The row party's, which the adversary knows, to find area a among blinded cells."""
STUDY = make_study(
    areas=("a", "b"),
    period={"grain": "hour", "start": "2024-05-01T00:00", "end": f"2024-05-01T{HOURS:02d}:00"},
    row={"time": "at"},
    column={
        "windows": [{"anchor": "at", "name": "after", "unit": "hour", "from": 1, "to": W}],
        "parties": [{"name": name, "persons": 10} for name in NAMES],
    },
    bounds={"rows": R},
    privacy={"padding": "dp", "view": {"epsilon": EPSILON, "delta": "1/1000"}},
)
SHORT = 1_200
FULL = 20_000
Person = Mapping[str, Sequence[int]]
"""Hours in which somebody is in a table, by its name."""
ALWAYS = [hour for hour in range(HOURS) for _ in range(R)]
EVERYWHERE: Person = {"row": ALWAYS, "jal": [0], "hac": [W]}
"""The flags of both parties meet different rows."""
ON_A_CODESHARE: Person = {"row": ALWAYS, "jal": [0], "hac": [0]}
"""They meet the same."""
IN_ONE: Person = {"row": ALWAYS, "jal": [0]}
OTHERS: Sequence[Person] = [{"row": [1], "jal": [0], "hac": [0]}, {"row": [3]}]


def at(hours: Sequence[int]) -> list[dt.datetime]:
    """Name moments in hours of the study."""
    return [dt.datetime(2024, 5, 1, hour, 10) for hour in hours]


def write(folder: Path, people: Sequence[Person]) -> dict[str, Path]:
    """Write the tables of some people, all of whom are in area a."""
    folder.mkdir()
    paths = {}
    for name in ("row", *NAMES):
        rows = [(f"p{n}", hour) for n, one in enumerate(people) for hour in one.get(name, ())]
        ids, hours = zip(*rows, strict=True)
        last = {"area": ["a"] * len(ids)} if name == "row" else {"kind": ["x"] * len(ids)}
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table({"id": ids, "at": at(hours), **last}), paths[name])
    return paths


@dataclass(frozen=True)
class Input:
    """An input that all parties have taken in."""

    row: RowParty
    columns: Sequence[ColumnParty]
    plan: Plan

    @classmethod
    def of(cls, folder: Path, people: Sequence[Person]) -> Input:
        """Take in the tables of these people."""
        plan = make_plan(STUDY, key_bits=2048, batch="release")
        paths = write(folder, people)
        row = RowParty(STUDY, paths["row"], seed=SEED)
        columns = [ColumnParty(STUDY, paths[name], party=name) for name in NAMES]
        with keys_at_hand():
            agree(plan, row, columns)
        exchange_persons(row, columns)
        row.prepare(plan.grid, row.draw_dummies(plan.grid))
        for column in columns:
            column.prepare(plan.grid, column.draw_dummies(plan.grid))
        return cls(row, columns, plan)

    @property
    def padding(self) -> Padding:
        """The dummies that the study asks for."""
        padding = Padding.of_study(STUDY, self.plan.grid)
        assert padding is not None
        return padding

    @property
    def shift(self) -> NDArray[np.int64]:
        """Expected dummies in each of the numbers."""
        padding = self.padding
        kinds = (padding.matched, padding.matched, padding.matched, padding.unmatched)
        return np.array([kind.shift for kind in (*kinds, padding.flags, padding.flags)])

    @property
    def base(self) -> NDArray[np.int64]:
        """What is in each of them in any case."""
        return np.array([0, 0, 0, 0, self.padding.reserve, self.padding.reserve])

    def counts(self) -> tuple[int, ...]:
        """Count what is real, which the adversary knows."""
        padding = replace(self.padding, reserve=0)
        self.row._dummies = RowDummies(padding, np.zeros_like(RowDummies.draw(self.padding)))
        return self._seen([FlagDummies(padding, np.zeros(1, np.int64)) for _ in NAMES])

    def view(self) -> tuple[int, ...]:
        """Count the rows of area a by whose flags they meet, and the flags of either party.

        With fresh dummies.
        """
        padding = self.padding
        self.row._dummies = RowDummies(padding, RowDummies.draw(padding))
        return self._seen([FlagDummies(padding, FlagDummies.draw(padding)) for _ in NAMES])

    def _seen(self, dummies: Sequence[FlagDummies]) -> tuple[int, ...]:
        flags = []
        for column, of_party in zip(self.columns, dummies, strict=True):
            column._dummies = of_party
            flags.append(column._with_dummies(0, slice(None)).tag)
        (shard,) = self.plan.grid.shards
        rows = self.row.emit(shard)
        here = rows.cells == Blinding(shown_tree(STUDY), SEED).forward[0]
        kinds = np.bincount(met_together(rows, flags)[here], minlength=4)
        return (*kinds.tolist(), *map(len, flags))

    def views(self, number: int) -> NDArray[np.int64]:
        """(number, 6) simulated views."""
        return np.array([self.view() for _ in range(number)])


@pytest.fixture(autouse=True)
def stock() -> Iterator[None]:
    """Draw in large lots."""
    with stocked():
        yield


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Input]]:
    """Take in pairs of inputs that differ by one person."""
    folder = tmp_path_factory.mktemp("inputs")
    people = {"all": [EVERYWHERE, None], "one": [ON_A_CODESHARE, IN_ONE]}
    return {
        name: [
            Input.of(folder / f"{name} {number}", [*OTHERS, *([one] if one else [])])
            for number, one in enumerate(pair)
        ]
        for name, pair in people.items()
    }


@thorough
def test_the_person_changes_what_was_declared(pairs: dict[str, list[Input]]) -> None:
    padding = pairs["all"][0].padding
    assert padding.matched.l1 == padding.flags.l1 == 2 * R * W
    assert padding.unmatched.l1 == R * HOURS
    moved = {
        name: (np.array(more.counts()) - np.array(less.counts())).tolist()
        for name, (more, less) in pairs.items()
    }
    assert moved == {
        "all": [R * W, R * W, 0, R, R * W, R * W],
        "one": [-R * W, 0, R * W, 0, 0, R * W],
    }


@pytest.mark.parametrize(
    ("name", "number", "share"),
    [
        pytest.param("one", SHORT, 0.15, marks=slow),
        pytest.param("all", FULL, 0.4, marks=slow),
        pytest.param("one", FULL, 0.5, marks=slow),
    ],
)
def test_the_view_loses_no_more_than_declared(
    name: str, number: int, share: float, pairs: dict[str, list[Input]]
) -> None:
    proven = audit(pairs[name], number)
    # An audit that sees nothing would prove nothing.
    assert share * EPSILON < proven <= EPSILON


def nothing_for_the_overlap(patch: pytest.MonkeyPatch) -> None:
    """Send dummies that meet flags of one party, and none that meet flags of both."""
    _without(patch, [2])


def dummies_of_the_first_alone(patch: pytest.MonkeyPatch) -> None:
    """Send dummies for the flags of the first party alone, as if it stood for all."""
    _without(patch, [1, 2])


def _without(patch: pytest.MonkeyPatch, kinds: list[int]) -> None:
    honest = RowDummies.draw

    def draw(padding: Padding) -> NDArray[np.int64]:
        drawn = honest(padding)
        drawn[kinds] = 0
        return drawn

    patch.setattr(RowDummies, "draw", staticmethod(draw))


@thorough
@pytest.mark.parametrize(
    ("sabotage", "number"),
    [
        (nothing_for_the_overlap, 400),
        (dummies_of_the_first_alone, 400),
        pytest.param(half_the_scale, FULL, marks=pytest.mark.slow),
    ],
)
def test_the_audit_catches_padding_that_leaves_something_out(
    sabotage: Callable[[pytest.MonkeyPatch], None],
    number: int,
    pairs: dict[str, list[Input]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sabotage(monkeypatch)
    assert audit(pairs["one"], number) > EPSILON
