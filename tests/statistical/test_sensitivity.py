"""An auditor by brute force: what removing one person does to the coefficients, against the declared sensitivity.

Both parties take in and bound their tables as in a release. What they would encrypt is then
counted, in the clear, with each person of the study in turn removed from both tables.

Bounds choose at random, by words that belong to rows. A removed person's rows take their
words with them: independent words of the others remain, distributed as before. So the two runs are
coupled in that way, row by row, and the change is that of one person alone. Under this coupling the
loss that holds for every choice of the words holds for their mixture, which is what a reader of the
release sees (differential privacy is closed under it).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xstat_ray.crypto.derive import keyed_words
from xstat_ray.model.periods import span
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import (
    Bounds,
    ColumnSide,
    Dimension,
    Level,
    Period,
    Privacy,
    RowSide,
    Study,
    Window,
)
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.design import Design
from xstat_ray.protocol import play
from xstat_ray.roles import ColumnParty, RowParty, column_party, row_party
from xstat_ray.roles.bounds import Located, keep_per_group

START = datetime(2024, 5, 1, tzinfo=UTC)
HOURS = 16
AREAS = 6
KINDS = 2
HIERARCHY = (
    Level("town", ("t0", "t1", "t2"), (0, 1, 0, 2, 1, 2)),
    Level("county", ("c0", "c1"), (0, 1, 0)),
)
WINDOWS = (
    Window("departure", (-3600, 0), ("d-1", "d")),
    Window("arrival", (0, 3600), ("a", "a+1")),
)


def dimension(name, size, hierarchy=()):
    labels = tuple(f"{name}{i}" for i in range(size))
    return Dimension(name, name, labels, tuple((label,) for label in labels), hierarchy=hierarchy)


def make_study(bounds, offset_dimension, weight, noise="off"):
    return Study(
        "audit",
        RowSide(
            "id",
            (dimension("area", AREAS, HIERARCHY),),
            time="at",
            weight="dwell" if weight else None,
        ),
        ColumnSide(
            "id", (dimension("kind", KINDS),), windows=WINDOWS, offset_dimension=offset_dimension
        ),
        period=Period("hour", START, START + timedelta(hours=HOURS)),
        bounds=bounds,
        privacy=Privacy(noise=noise, mechanism="tree", delta=Fraction(noise == "gaussian", 10**6)),
    )


def make_tables(seed, bounds, kind=0):
    """Random people who board often and at overlapping hours, and one, `most`, who does all that the bounds allow.

    `most` stays in one area, and boards F times the same kind, so that no two windows overlap and
    all hours are in the study; there is more of each, which the bounds must cut.
    """
    draw = np.random.default_rng(seed)
    people = [f"p{i}" for i in range(5)]
    rows = [
        (str(draw.choice(people)), int(draw.integers(-2, HOURS + 2)), int(draw.integers(AREAS + 1)))
        for _ in range(250)
    ]
    boardings = [
        (
            str(draw.choice(people)),
            (hour := int(draw.integers(HOURS))),
            hour + int(draw.integers(1, 4)),
        )
        for _ in range(14)
    ]
    boardings.append(("stranger", 5, 7))
    kinds = draw.integers(KINDS, size=len(boardings)).tolist()
    rows += [("most", hour, 3) for hour in range(HOURS) for _ in range(bounds.rows + 1)]
    own = [("most", 1 + 5 * i, 3 + 5 * i) for i in range(3)]
    boardings = boardings + own
    kinds = kinds + [kind] * len(own)
    shuffled = draw.permutation(len(rows)).tolist()
    ids, hours, areas = zip(*(rows[i] for i in shuffled), strict=True)
    row_table = {
        "id": ids,
        "at": [at(hour) for hour in hours],
        "area": [f"area{i}" for i in areas],
        "dwell": draw.integers(0, 3, len(ids)).astype(float),
    }
    order = draw.permutation(len(boardings)).tolist()
    column_table = {
        "id": [boardings[i][0] for i in order],
        "departure": [at(boardings[i][1]) for i in order],
        "arrival": [at(boardings[i][2]) for i in order],
        "kind": [f"kind{kinds[i]}" for i in order],
    }
    return pa.table(row_table), pa.table(column_table)


def at(hour):
    return START + timedelta(hours=hour, minutes=7)


class Words:
    """The words of both parties' draws: fresh for the whole tables, and for a neighbour those of the rows it shares."""

    def __init__(self, seed, monkeypatch):
        self._draw = np.random.default_rng(seed)
        self._seed = bytes([seed]) * 32
        self._words = {}
        self._owners = {}
        self._purpose = ""
        self.removed = None
        monkeypatch.setattr(row_party, "keyed_words", self._row_words)
        monkeypatch.setattr(column_party, "uniform_words", self._draw_words)
        monkeypatch.setattr(column_party, "keep_per_group", self._keep)

    def _row_words(self, seed, purpose, person, *rest):
        """By person: without one of them the numbers of those who are sorted behind are one less."""
        if self.removed is not None and self.removed["row"] >= 0:
            person = person + (person >= self.removed["row"])
        return keyed_words(self._seed, purpose, person, *rest)

    def _draw_words(self, seed, purpose, count):
        """By boarding or flag: the owner of each is seen in the first group that a bound is given."""
        self._purpose = purpose
        if self.removed is None:
            self._words[purpose] = self._draw.integers(2**64, size=count, dtype=np.uint64)
            return self._words[purpose]
        words = self._words[purpose][self._owners[purpose] != self.removed["column"]]
        assert len(words) == count
        return words

    def _keep(self, groups, limit, priority, *weight):
        if self.removed is None:
            self._owners[self._purpose] = groups[0].copy()
        return keep_per_group(groups, limit, priority, *weight)


def taken_in(study, paths):
    parties = RowParty(study, paths["row"]), ColumnParty(study, paths["column"])
    for party in parties:
        party.intake()
    return parties


def coefficients(study, row, column):
    """(cells, slots) and then the sums of every level, from what the parties are about to tag and encrypt."""
    declared = np.argsort(row._blinding().forward)
    slots = {
        (column._exchange.ids[person], period): slot
        for person, period, slot in zip(
            column._person.tolist(), column._period.tolist(), column._slot.tolist(), strict=True
        )
    }
    assert len(slots) == len(column._slot), "two flags of one person in one period"
    table = np.zeros((study.cells, study.slots), np.int64)
    grid = ShardGrid.plan(study.cells, span(study.period), 1)
    row.prepare(grid)
    row._load(grid, 0)
    rows = Located.join([cut.rows for cut in row._held])
    for person, period, cell in zip(*(column.tolist() for column in rows), strict=True):
        slot = slots.get((row._exchange.ids[person], period))
        if slot is not None:
            table[declared[cell], slot] += 1
    levels = [table]
    for level in HIERARCHY:
        sums = np.zeros((len(level.labels), study.slots), np.int64)
        np.add.at(sums, list(level.parents), levels[-1])
        levels.append(sums)
    return [*levels, table.sum(axis=0, keepdims=True)]


def write(tables, folder, without=None):
    paths = {}
    for role, table in zip(("row", "column"), tables, strict=True):
        keep = [person != without for person in table["id"].to_pylist()]
        paths[role] = folder / f"{role}.parquet"
        pq.write_table(table.filter(pa.array(keep)), paths[role])
    return paths


def changes(study, tables, seed, folder, monkeypatch):
    """For every person who can be removed from either table, the change of every level."""
    words = Words(seed, monkeypatch)
    row, column = taken_in(study, write(tables, folder))
    whole = coefficients(study, row, column)
    numbers = {
        "row": row._exchange.ids.astype(str).tolist(),
        "column": column._exchange.ids.astype(str).tolist(),
    }
    found = {}
    for person in sorted({*numbers["row"], *numbers["column"]}):
        words.removed = {
            role: ids.index(person) if person in ids else -1 for role, ids in numbers.items()
        }
        left = coefficients(study, *taken_in(study, write(tables, folder, without=person)))
        found[person] = [before - after for before, after in zip(whole, left, strict=True)]
    return found


BOUNDS = [Bounds(rows=r, boardings=f, persons=20) for r, f in ((1, 1), (2, 1), (1, 2), (2, 2))]
SEEDS = range(3)


@pytest.mark.parametrize("bounds", BOUNDS, ids=lambda bounds: f"R{bounds.rows}F{bounds.boardings}")
@pytest.mark.parametrize("offset_dimension", [True, False])
def test_no_neighbour_is_further_away_than_declared_and_one_is_as_far(
    bounds, offset_dimension, tmp_path, monkeypatch
):
    l1 = []
    l2_squared = []
    for seed in SEEDS:
        study = make_study(bounds, offset_dimension, weight=seed == 0)
        for person, levels in changes(
            study, make_tables(seed, bounds), seed, tmp_path, monkeypatch
        ).items():
            # Removing a person takes only that person's units away; the others' choices are as
            # before.
            assert all((change >= 0).all() for change in levels), person
            l1.append([int(np.abs(change).sum()) for change in levels])
            l2_squared.append([int((change**2).sum()) for change in levels])
    assert len(l1) == 7 * len(SEEDS)  # five people, a stranger to the row party, and `most`
    declared = Design.of_study(study).budget
    assert declared.l1 == study.person_units == bounds.rows * bounds.boardings * 4
    assert declared.l2_squared == study.slot_units * study.person_units
    # At every level: never more, and exactly as much for the person made for it.
    assert np.max(l1, axis=0).tolist() == [declared.l1] * 4
    assert np.max(l2_squared, axis=0).tolist() == [declared.l2_squared] * 4
    # Random people do move the counts too, mostly by less.
    assert sum(0 < own[0] < declared.l1 for own in l1) > 5


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_the_loss_over_all_levels_is_the_budget(noise, tmp_path, monkeypatch):
    study = make_study(BOUNDS[3], True, False, noise)
    design = Design.of_study(study)
    assert [m.level for m in design.levels] == [0, 1, 2, 3]
    found = changes(study, make_tables(5, study.bounds), 5, tmp_path, monkeypatch)
    losses = {person: loss(design, levels) for person, levels in found.items()}
    budget = design.budget.epsilon if noise == "laplace" else design.budget.rho
    assert max(losses.values()) == losses["most"]
    assert budget * (1 - Fraction(1, 10**9)) < losses["most"] <= budget


def loss(design, levels):
    """Worst-case epsilon of Laplace noise, L1/lambda, or rho of Gaussian noise, L2^2/(2 sigma^2).

    Levels add up.
    """
    total = Fraction(0)
    for measured in design.levels:
        change = levels[measured.level]
        scale = Fraction(measured.mechanism.scale)
        laplace = design.budget.noise == "laplace"
        total += int(change.sum()) / scale if laplace else int((change**2).sum()) / (2 * scale**2)
    return total


def test_an_auditor_of_looser_bounds_would_have_noticed(tmp_path, monkeypatch):
    declared = make_study(BOUNDS[0], False, False)
    enforced = replace(declared, bounds=BOUNDS[3])
    found = changes(enforced, make_tables(0, BOUNDS[3]), 0, tmp_path, monkeypatch)
    assert max(int(levels[0].sum()) for levels in found.values()) > declared.person_units


def test_the_auditor_counts_what_the_protocol_counts(tmp_path, monkeypatch):
    """With the same words, and the same order of the rows, the whole protocol gives the auditor's coefficients."""
    study = make_study(BOUNDS[3], True, True)
    paths = write(make_tables(1, study.bounds), tmp_path)
    audited = []
    parties = (RowParty, ColumnParty)
    for kind in parties:
        monkeypatch.setattr(kind, "finalize", spy(kind.finalize, audited))
    result = play(
        make_plan(study, key_bits=2048),
        row_table=paths["row"],
        column_table=paths["column"],
        ledger=tmp_path / "x",
    )
    (row, row_ids), (column, column_ids) = audited
    row._exchange._ids = row_ids
    column._exchange._ids = column_ids
    expected = coefficients(study, row, column)
    assert expected[0].sum() > 20
    assert (result.values == np.concatenate(expected)).all()


def spy(finalize, seen):
    def record(self, sealed, parts):
        # The ids are forgotten by the party itself after this.
        seen.append((self, self._exchange.ids.copy()))
        finalize(self, sealed, parts)

    return record
