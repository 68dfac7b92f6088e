"""An audit of the aggregator's view, with padding, where there are two row parties.

It sees the rows of each of them apart, and the flags for each. Two inputs differ by one person with
all that the bounds allow: who is in all tables or in none, or who is in both row parties' tables or
in that of the first alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.adversary.planted import dummies
from tests.case import study as make_study
from tests.several import keys_at_hand, met_together
from tests.sizes import slow, thorough
from tests.statistical.test_view_several import at
from tests.statistical.view_audit import EPSILON, audit, half_the_scale, stocked
from xstat_ray.joint_opening import column_parties, meet, row_parties
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.padding import Padding
from xstat_ray.protocol import agree, exchange_persons
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.dummies import FlagDummies, RowDummies

HOURS = 7
W = 3
MOST = {"north": 2, "south": 1}
"""R of each row party."""
NAMES = tuple(MOST)
COLUMN = "column"
STUDY = make_study(
    areas=("a", "b"),
    period={"grain": "hour", "start": "2024-05-01T00:00", "end": f"2024-05-01T{HOURS:02d}:00"},
    row={"time": "at", "parties": [{"name": name, "rows": most} for name, most in MOST.items()]},
    column={"windows": [{"anchor": "at", "name": "after", "unit": "hour", "from": 1, "to": W}]},
    bounds={"persons": 10},
    privacy={"padding": "dp", "view": {"epsilon": EPSILON, "delta": "1/1000"}},
)
SHORT = 1_200
FULL = 20_000
Person = Mapping[str, Sequence[int]]
"""Hours in which somebody is in a table, by its name."""
ALWAYS = {name: [hour for hour in range(HOURS) for _ in range(most)] for name, most in MOST.items()}
EVERYWHERE: Person = {**ALWAYS, COLUMN: [0]}
IN_ONE: Person = {"north": ALWAYS["north"], COLUMN: [0]}
OTHERS: Sequence[Person] = [{"north": [1], "south": [2], COLUMN: [0]}, {"north": [3], "south": [3]}]


def write(folder: Path, people: Sequence[Person]) -> dict[str, Path]:
    """Write the tables of some people, all of whom are in area a."""
    folder.mkdir()
    paths = {}
    for name in (*NAMES, COLUMN):
        rows = [(f"p{n}", hour) for n, one in enumerate(people) for hour in one.get(name, ())]
        ids, hours = zip(*rows, strict=True)
        last = {"area": ["a"] * len(ids)} if name in NAMES else {"kind": ["x"] * len(ids)}
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table({"id": ids, "at": at(hours), **last}), paths[name])
    return paths


@dataclass(frozen=True)
class Input:
    """An input that all parties have taken in."""

    rows: Sequence[RowParty]
    column: ColumnParty
    plan: Plan

    @classmethod
    def of(cls, folder: Path, people: Sequence[Person]) -> Input:
        """Take in the tables of these people."""
        plan = make_plan(STUDY, key_bits=2048, batch="release")
        paths = write(folder, people)
        column_table = paths.pop(COLUMN)
        rows = row_parties(STUDY, paths, folder / "ledger", {})
        columns = column_parties(STUDY, column_table, folder / "ledger", {})
        with keys_at_hand():
            agree(plan, rows[0], columns)
        meet(rows, columns)
        exchange_persons(rows[0], columns, *rows[1:])
        for party in (*rows, *columns):
            party.prepare(plan.grid, party.draw_dummies(plan.grid))
        return cls(rows, columns[0], plan)

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
        return np.array([padding.matched.shift, padding.unmatched.shift, padding.flags.shift] * 2)

    @property
    def base(self) -> NDArray[np.int64]:
        """What is in each of them in any case."""
        return np.array([0, 0, self.padding.reserve] * 2)

    def counts(self) -> tuple[int, ...]:
        """Count what is real, which the adversary knows."""
        padding = replace(self.padding, reserve=0)
        nothing = np.zeros_like(RowDummies.draw(self.padding))
        return self._seen(padding, [nothing] * 2, np.zeros((2, 1), np.int64))

    def view(self) -> tuple[int, ...]:
        """Count rows of area a that meet flags, others, and flags: of, and for, each row party.

        With fresh dummies.
        """
        padding = self.padding
        drawn = [RowDummies.draw(padding) for _ in self.rows]
        return self._seen(padding, drawn, FlagDummies.draw(padding))

    def _seen(
        self, padding: Padding, drawn: Sequence[NDArray[np.int64]], unmet: NDArray[np.int64]
    ) -> tuple[int, ...]:
        self.column._dummies = FlagDummies(padding, unmet)
        found: list[int] = []
        (shard,) = self.plan.grid.shards
        for row, of_row in zip(self.rows, drawn, strict=True):
            row._dummies = RowDummies(padding, of_row)
            link = self.column.link(row.row_party)
            flags = self.column._with_dummies(0, slice(None), link).tag
            sent = row.emit(shard)
            here = sent.cells == row._blinding().forward[0]
            matched, others = np.bincount(met_together(sent, [flags])[here], minlength=2).tolist()
            found += [matched, others, len(flags)]
        return tuple(found)

    def views(self, number: int) -> NDArray[np.int64]:
        """(number, 6) simulated views."""
        return np.array([self.view() for _ in range(number)])


@dataclass(frozen=True)
class Difference:
    """Of an input, by how much the flags for the first row party are more than for the other."""

    whole: Input

    @property
    def shift(self) -> NDArray[np.int64]:
        """None: dummies of both are as many on average."""
        return np.zeros(1, np.int64)

    @property
    def base(self) -> NDArray[np.int64]:
        """None: the reserves are equal."""
        return np.zeros(1, np.int64)

    def counts(self) -> tuple[int, ...]:
        """Count the real difference."""
        counts = self.whole.counts()
        return (counts[2] - counts[5],)

    def views(self, number: int) -> NDArray[np.int64]:
        """(number, 1) simulated differences."""
        views = np.array([FlagDummies.draw(self.whole.padding)[:, 0] for _ in range(number)])
        return views[:, :1] - views[:, 1:] + np.array(self.counts())


@pytest.fixture(autouse=True)
def stock() -> Iterator[None]:
    """Draw in large lots."""
    with stocked():
        yield


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Input]]:
    """Take in pairs of inputs that differ by one person."""
    folder = tmp_path_factory.mktemp("inputs")
    people = {"all": [EVERYWHERE, None], "one": [EVERYWHERE, IN_ONE]}
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
    both = sum(MOST.values())
    assert padding.matched.l1 == padding.flags.l1 == both * W
    assert padding.unmatched.l1 == both * HOURS
    moved = {
        name: (np.array(more.counts()) - np.array(less.counts())).tolist()
        for name, (more, less) in pairs.items()
    }
    assert moved == {
        "all": [2 * W, 2 * (HOURS - W), 2 * W, W, HOURS - W, W],
        "one": [0, 0, 0, W, HOURS - W, 0],
    }


@pytest.mark.parametrize(
    ("name", "number", "share"),
    [
        pytest.param("all", SHORT, 0.15, marks=thorough),
        pytest.param("all", FULL, 0.4, marks=slow),
        pytest.param("one", FULL, 0.1, marks=slow),
    ],
)
def test_the_view_loses_no_more_than_declared(
    name: str, number: int, share: float, pairs: dict[str, list[Input]]
) -> None:
    proven = audit(pairs[name], number)
    # An audit that sees nothing would prove nothing.
    assert share * EPSILON < proven <= EPSILON


def each_as_if_it_were_alone(patch: pytest.MonkeyPatch) -> None:
    """Scale and shift all dummies to what a person changes with the first row party alone."""
    honest = Padding.of_study
    share = Fraction(MOST["north"], sum(MOST.values()))

    def smaller(study: Study, grid: ShardGrid) -> Padding:
        padding = honest(study, grid)
        assert padding is not None
        kinds = {name: getattr(padding, name) for name in ("matched", "unmatched", "flags")}
        return replace(
            padding,
            **{
                name: replace(kind, scale=kind.scale * float(share), shift=int(kind.shift * share))
                for name, kind in kinds.items()
            },
        )

    patch.setattr(Padding, "of_study", staticmethod(smaller))


@thorough
@pytest.mark.parametrize(
    ("sabotage", "number"),
    [
        (dummies.none_among_the_rows_of_further_row_parties, 400),
        pytest.param(half_the_scale, FULL, marks=pytest.mark.slow),
        pytest.param(each_as_if_it_were_alone, FULL, marks=pytest.mark.slow),
    ],
)
def test_the_audit_catches_padding_that_leaves_something_out(
    sabotage: Callable[[pytest.MonkeyPatch], None],
    number: int,
    pairs: dict[str, list[Input]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sabotage(monkeypatch)
    assert audit(pairs["all"], number) > EPSILON


@thorough
@pytest.mark.parametrize("alike", [False, True])
def test_one_number_of_flags_for_all_row_parties_would_cancel(
    alike: bool, pairs: dict[str, list[Input]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if alike:
        dummies.as_many_flags_for_every_row_party(monkeypatch)
    proven = audit([Difference(one) for one in pairs["all"]], FULL // 4)
    assert (proven > EPSILON) == alike
